"""The programs of one machine: what the supervisor runs, in which order, with which environment."""

import hashlib
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from scheduler.free_ports import LOOPBACK
from scheduler.machine.endpoints import Endpoints
from scheduler.machine.postgres import PostgresServer
from scheduler.machine.redis import RedisServer
from scheduler.machine.secret import write_if_changed
from shared.settings import PROJECT_ROOT, Settings
from shared.version import code_version

_CELERY = ("celery", "-A", "shared.queue")
_FLOWER_COLUMNS = "name,args,state,runtime,worker,result,received,started,uuid"
# Keys and endpoints of object storage go from the person's environment to the programs.
_PASSED_PREFIXES = ("AWS_", "FSSPEC_")


@dataclass(frozen=True)
class Program:
    """One program under the supervisor; a lower priority starts earlier and stops later."""

    name: str
    command: tuple[str, ...]
    priority: int
    directory: str | None = None
    account: str | None = None
    stop_signal: str = "TERM"
    stop_wait_seconds: int = 10
    n_start_retries: int = 3
    # Longer than a program needs to fail at its imports.
    start_seconds: int = 2


def postgres_program(server: PostgresServer) -> Program:
    """Postgres as its account; SIGINT is its fast shutdown."""
    return Program(
        name="postgres",
        command=tuple(server.command()),
        priority=10,
        account=server.account.name if server.account else None,
        stop_signal="INT",
        stop_wait_seconds=60,
        n_start_retries=20,
        start_seconds=1,
    )


def redis_program(server: RedisServer) -> Program:
    """Redis in its home; on SIGTERM it saves."""
    return Program(
        name="redis",
        command=tuple(server.command()),
        priority=20,
        directory=server.home.name,
        stop_wait_seconds=60,
        n_start_retries=20,
        start_seconds=1,
    )


def own_programs(
    settings: Settings, state_dir: Path, endpoints: Endpoints, n_workers: int, ports: Mapping[str, int]
) -> list[Program]:
    """Watcher, Flower, the page and, unless `n_workers` is 0, the workers; writes their launch files."""
    environment = program_environment(settings, state_dir, endpoints)
    name = "worker" if settings.broker_url is None else f"worker-{_short_hash(os.fsencode(state_dir))}"
    flower = (
        *(*_CELERY, "flower", f"--address={LOOPBACK}", f"--port={ports['flower']}"),
        *("--persistent=True", f"--db={state_dir / 'flower.db'}", f"--tasks-columns={_FLOWER_COLUMNS}"),
    )
    dashboard = ("scheduler", "dashboard", "--serve", f"--port={ports['dashboard']}")
    programs = [
        _launched(state_dir, "watcher", 30, ("scheduler", "watch"), environment),
        _launched(state_dir, "flower", 40, flower, environment),
        _launched(state_dir, "dashboard", 45, dashboard, environment),
    ]
    if n_workers > 0:
        arguments = ("worker", "--processes", str(n_workers), "--name", name)
        worker_program = _launched(state_dir, "worker", 50, arguments, environment)
        programs.append(replace(worker_program, stop_wait_seconds=30))
    return programs


def program_environment(settings: Settings, state_dir: Path, endpoints: Endpoints) -> dict[str, str]:
    """Every setting as a variable, with the URLs that are in use and no path that depends on a folder.

    The code's fingerprint is among them: the supervisor sees a changed program when the code has changed.
    """
    values: dict[str, object] = settings.model_dump() | {
        "database_url": endpoints.database_url,
        "broker_url": endpoints.broker_url,
        "artifact_url": settings.artifacts,
        "state_dir": state_dir,
        "data_dir": settings.data_dir.resolve() if settings.data_dir else None,
    }
    variables = {name.upper(): str(value) for name, value in values.items() if value is not None}
    return variables | _passed(os.environ) | {"RECSWEEP_CODE": code_version()}


def supervisor_environment(marker: Mapping[str, str]) -> dict[str, str]:
    """The caller's environment without what programs are told explicitly, so that nothing old lingers."""
    told = {name.upper() for name in Settings.model_fields} | set(_passed(os.environ))
    kept = {name: value for name, value in os.environ.items() if name not in told}
    # Paths in the configuration are UTF-8, whatever the locale.
    return kept | {"PYTHONUTF8": "1", "PYTHONUNBUFFERED": "1"} | dict(marker)


def _passed(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name.startswith(_PASSED_PREFIXES)}


def _launched(
    state_dir: Path, name: str, priority: int, module: tuple[str, ...], environment: Mapping[str, str]
) -> Program:
    """A program that runs `python -m <module>` by way of its launch file."""
    content = json.dumps(
        {
            "command": [sys.executable, "-m", *module],
            "directory": str(PROJECT_ROOT),
            "environment": dict(environment),
        },
        indent=2,
        sort_keys=True,
    )
    file = Path("programs") / f"{name}.json"
    (state_dir / file.parent).mkdir(mode=0o700, exist_ok=True)
    write_if_changed(state_dir / file, content)
    launcher = Path(__file__).with_name("launch.py")
    # The hash makes another launch file another command, so that the supervisor restarts the program.
    digest = _short_hash(content.encode())
    command = (sys.executable, "-P", str(launcher), str(file), digest)
    return Program(name=name, command=command, priority=priority)


def _short_hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:12]
