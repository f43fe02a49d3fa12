"""What runs on this machine and where it is reached: looked up, nothing started."""

import hashlib
import os
from dataclasses import replace
from pathlib import Path

from scheduler.free_ports import LOOPBACK
from scheduler.machine.endpoints import Endpoints, ServiceStatus
from scheduler.machine.leftovers import find_supervisors
from scheduler.machine.patience import ask_until
from scheduler.machine.postgres import can_connect, database_url
from scheduler.machine.reachability import broker_address, database_address
from scheduler.machine.redis import broker_url, can_ping
from scheduler.machine.state import ServicesState, load_state
from scheduler.machine.supervisor import ProgramState, Supervisor
from shared.errors import ServiceError
from shared.settings import Settings

_WORDS = {
    "RUNNING": "running",
    "STARTING": "starting",
    "STOPPING": "stopping",
    "BACKOFF": "failing",
    "FATAL": "failed",
}
_TAIL_BYTES = 3000
_PATIENCE_SECONDS = 20.0


def find_endpoints(settings: Settings) -> Endpoints:
    """Endpoints of what runs; raises ServiceError with the remedy when an embedded service does not."""
    state_dir = settings.state_dir.resolve()
    state = load_state(state_dir)
    supervisor = find_supervisor(state_dir, state)
    running = _running(supervisor)
    if settings.database_url is None and "postgres" not in running:
        raise ServiceError("Postgres is not running on this machine: start the services with `make sweep`")
    if settings.broker_url is None and "redis" not in running:
        raise ServiceError("Redis is not running on this machine: start the services with `make sweep`")
    endpoints = endpoints_of(settings, state)
    return replace(
        endpoints,
        flower_url=endpoints.flower_url if "flower" in running else settings.flower_url,
        dashboard_url=endpoints.dashboard_url if "dashboard" in running else settings.dashboard_url,
    )


def database_folder(settings: Settings) -> Path | None:
    """Where the embedded PostgreSQL keeps its data; None for a server of DATABASE_URL."""
    if settings.database_url is not None:
        return None
    state_dir = settings.state_dir.resolve()
    state = load_state(state_dir)
    return Path(state.postgres_home) if state and state.postgres_home else state_dir / "postgres"


def services_status(settings: Settings) -> list[ServiceStatus]:
    """One line for every service, in the order of their start, and for the supervisor that holds them.

    With START_SERVICES=false only for the servers that are used.
    """
    state_dir = settings.state_dir.resolve()
    state = load_state(state_dir)
    supervisor = find_supervisor(state_dir, state)
    programs = supervisor.states() if supervisor else {}
    ports = state.ports if state else {}
    lines = []
    for name in ("postgres", "redis", "watcher", "flower", "dashboard", "worker"):
        if name == "postgres" and settings.database_url is not None:
            is_up = can_connect(settings.database_url) is None
            lines.append(_external(name, database_address(settings.database_url), is_up=is_up))
        elif name == "redis" and settings.broker_url is not None:
            is_up = can_ping(settings.broker_url) is None
            lines.append(_external(name, broker_address(settings.broker_url), is_up=is_up))
        elif settings.start_services:
            address = f"{LOOPBACK}:{ports[name]}" if name in ports else None
            lines.append(_local(name, programs.get(name), address))
    if not settings.start_services:
        return lines
    supervisor_state = ProgramState("RUNNING", supervisor.pid, None) if supervisor else None
    address = f"{LOOPBACK}:{ports['supervisor']}" if "supervisor" in ports else None
    return [*lines, _local("supervisor", supervisor_state, address)]


def tail_logs(settings: Settings) -> list[tuple[str, str]]:
    """Name and last lines of the log of every service that has one."""
    tails = []
    for log in sorted((settings.state_dir.resolve() / "logs").glob("*.log")):
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - _TAIL_BYTES))
            text = file.read().decode(errors="replace")
        # The first line may be cut.
        lines = text.splitlines() if len(text) < _TAIL_BYTES else text.splitlines()[1:]
        tails.append((log.stem, "\n".join(lines)))
    return tails


def find_supervisor(state_dir: Path, state: ServicesState | None) -> Supervisor | None:
    """The supervisor of this state folder, if it answers."""
    if state is None:
        return None
    return Supervisor.connect(
        state.ports.get("supervisor"), state.passwords["supervisor"], supervisor_identifier(state_dir)
    )


def wait_for_supervisor(state_dir: Path, state: ServicesState | None) -> Supervisor | None:
    """The supervisor of this state folder, given time to answer while its process lives.

    An interrupted command may have started it a moment ago; a busy machine may keep it waiting.
    """
    return ask_until(
        lambda: find_supervisor(state_dir, state),
        lambda supervisor: supervisor is not None or not find_supervisors(state_dir),
        _PATIENCE_SECONDS,
    )


def supervisor_identifier(state_dir: Path) -> str:
    """Tells the supervisor of this folder from that of a copy of it, which has the same password."""
    return hashlib.sha256(os.fsencode(state_dir)).hexdigest()[:16]


def endpoints_of(settings: Settings, state: ServicesState | None) -> Endpoints:
    """The URLs that the settings give, else those of the embedded services."""
    ports = state.ports if state else {}
    passwords = state.passwords if state else {}
    return Endpoints(
        database_url=settings.database_url or database_url(ports["postgres"], passwords["postgres"]),
        broker_url=settings.broker_url or broker_url(ports["redis"], passwords["redis"]),
        flower_url=f"http://{LOOPBACK}:{ports['flower']}" if "flower" in ports else None,
        dashboard_url=f"http://{LOOPBACK}:{ports['dashboard']}" if "dashboard" in ports else None,
    )


def _running(supervisor: Supervisor | None) -> set[str]:
    states = supervisor.states() if supervisor else {}
    return {name for name, state in states.items() if state.name in ("RUNNING", "STARTING")}


def _external(name: str, address: str, *, is_up: bool) -> ServiceStatus:
    return ServiceStatus(name, "external" if is_up else "unreachable", address=address)


def _local(name: str, program: ProgramState | None, address: str | None) -> ServiceStatus:
    if program is None or program.pid is None:
        state = _WORDS.get(program.name, "stopped") if program else "stopped"
        return ServiceStatus(name, state)
    return ServiceStatus(
        name, _WORDS.get(program.name, "stopped"), program.pid, program.uptime_seconds, address
    )
