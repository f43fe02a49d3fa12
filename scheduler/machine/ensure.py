"""Start what is not running, change what differs, leave the rest alone."""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from scheduler.machine.configuration import render_configuration
from scheduler.machine.endpoints import Endpoints
from scheduler.machine.given_servers import prepare_given_servers
from scheduler.machine.leftovers import end_leftovers
from scheduler.machine.patience import ask_until
from scheduler.machine.ports import choose_ports, keep_ports
from scheduler.machine.postgres import (
    PostgresServer,
    can_connect,
    locate_server,
    prepare_data,
    remove_stale_pid,
)
from scheduler.machine.processes import MARKER
from scheduler.machine.programs import (
    Program,
    own_programs,
    postgres_program,
    redis_program,
    supervisor_environment,
)
from scheduler.machine.redis import RedisServer, can_ping, write_config
from scheduler.machine.secret import write_if_changed
from scheduler.machine.state import (
    ServicesState,
    load_state,
    new_state,
    open_state_folder,
    save_state,
    state_lock,
)
from scheduler.machine.status import endpoints_of, supervisor_identifier, wait_for_supervisor
from scheduler.machine.supervisor import CONFIGURATION_NAME, Supervisor, last_line, start_supervisor
from shared.cores import count_cores
from shared.errors import ServiceError
from shared.settings import Settings
from shared.store.database import create_engine
from shared.store.schema import upgrade_schema

# Recovery after a kill may take a while; a server that ends again and again is given up sooner.
_READY_TIMEOUT_SECONDS = 120.0
_FAILING_TIMEOUT_SECONDS = 15.0

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Plan:
    """Everything that should run; the servers are None where a URL is set."""

    postgres: PostgresServer | None
    redis: RedisServer | None
    own: Sequence[Program]
    endpoints: Endpoints

    @property
    def programs(self) -> list[Program]:
        return [
            *([postgres_program(self.postgres)] if self.postgres else []),
            *([redis_program(self.redis)] if self.redis else []),
            *self.own,
        ]


def ensure_services(settings: Settings, n_workers: int | None = None) -> Endpoints:
    """Start what is not running, change what differs, and return how to reach it.

    `n_workers=None` keeps the number that runs, or is one a core; 0 starts no worker, and with both URLs
    set, no watcher, Flower or page either, which START_SERVICES=false says for every command.
    Raises ServiceError with the remedy.
    """
    prepare_given_servers(settings, load_state(settings.state_dir.resolve()))
    starts_nothing = n_workers == 0 or not settings.start_services
    if starts_nothing and settings.database_url is not None and settings.broker_url is not None:
        return Endpoints(
            settings.database_url, settings.broker_url, settings.flower_url, settings.dashboard_url
        )
    with open_state_folder(settings) as state_dir, state_lock(state_dir):
        return _ensure(settings, state_dir, n_workers)


def _ensure(settings: Settings, state_dir: Path, n_workers: int | None) -> Endpoints:
    state = load_state(state_dir) or new_state()
    supervisor = wait_for_supervisor(state_dir, state)
    if supervisor is None:
        end_leftovers(state_dir, state)
    state = _update_state(settings, state_dir, state, n_workers, is_up=supervisor is not None)
    plan = _plan(settings, state_dir, state)
    configuration = render_configuration(
        plan.programs,
        port=state.ports["supervisor"],
        password=state.passwords["supervisor"],
        identifier=supervisor_identifier(state_dir),
    )
    if plan.redis:
        write_config(plan.redis)
    write_if_changed(state_dir / CONFIGURATION_NAME, configuration)
    if supervisor is None:
        start_supervisor(state_dir, supervisor_environment({MARKER: str(state_dir)}))
        supervisor = wait_for_supervisor(state_dir, state)
        if supervisor is None:
            raise ServiceError(f"the process supervisor does not answer; see {state_dir / 'logs'}")
    else:
        # Also when the file is as before: an earlier command may have been killed before or amid this step.
        supervisor.reload()
    return _run(supervisor, plan, state_dir)


def _update_state(
    settings: Settings, state_dir: Path, state: ServicesState, n_workers: int | None, *, is_up: bool
) -> ServicesState:
    """Ports, workers and Postgres' place decided and remembered, before anything is made with them."""
    names = (
        *(("postgres",) if settings.database_url is None else ()),
        *(("redis",) if settings.broker_url is None else ()),
        *("flower", "dashboard", "supervisor"),
    )
    choose = keep_ports if is_up else choose_ports
    if n_workers is None:
        n_workers = state.n_workers if is_up else count_cores()
    updated = replace(state, ports=state.ports | choose(names, state.ports), n_workers=n_workers)
    if settings.database_url is None:
        updated = replace(updated, postgres_home=str(_locate_postgres(state_dir, updated).home))
    if updated != state:
        save_state(state_dir, updated)
    return updated


def _plan(settings: Settings, state_dir: Path, state: ServicesState) -> _Plan:
    endpoints = endpoints_of(settings, state)
    postgres = redis = None
    if settings.database_url is None:
        postgres = _locate_postgres(state_dir, state)
    if settings.broker_url is None:
        redis = RedisServer(state_dir / "redis", state.ports["redis"], state.passwords["redis"])
    return _Plan(
        postgres=postgres,
        redis=redis,
        own=own_programs(settings, state_dir, endpoints, state.n_workers or 0, state.ports),
        endpoints=endpoints,
    )


def _run(supervisor: Supervisor, plan: _Plan, state_dir: Path) -> Endpoints:
    """Servers, then the schema, then workers, watcher, Flower and page; each only if it does not run."""
    states = supervisor.states()
    if plan.postgres:
        if states["postgres"].is_stopped:
            prepare_data(plan.postgres)
            remove_stale_pid(plan.postgres)
        supervisor.start(["postgres"])
    if plan.redis:
        supervisor.start(["redis"])
    endpoints = plan.endpoints
    if plan.redis:
        _wait_for_server(supervisor, "redis", state_dir, lambda: can_ping(endpoints.broker_url))
    if plan.postgres:
        _wait_for_server(supervisor, "postgres", state_dir, lambda: can_connect(endpoints.database_url))
        engine = create_engine(endpoints.database_url)
        upgrade_schema(engine)
        engine.dispose()
    supervisor.start([program.name for program in plan.own])
    for program in plan.own:
        try:
            supervisor.wait_until_running(program.name, state_dir / "logs" / f"{program.name}.log")
        except ServiceError as error:
            # A sweep needs neither.
            if program.name == "flower":
                endpoints = replace(endpoints, flower_url=None)
            elif program.name == "dashboard":
                endpoints = replace(endpoints, dashboard_url=None)
            else:
                raise
            logger.warning("%s", error)
    return endpoints


def _locate_postgres(state_dir: Path, state: ServicesState) -> PostgresServer:
    return locate_server(
        state_dir,
        Path(state.postgres_home) if state.postgres_home else None,
        port=state.ports["postgres"],
        password=state.passwords["postgres"],
        admin_password=state.passwords["postgres_admin"],
    )


def _wait_for_server(
    supervisor: Supervisor, name: str, state_dir: Path, attempt: Callable[[], str | None]
) -> None:
    """Wait until the server answers; raises ServiceError with its last words when it cannot start."""
    log = state_dir / "logs" / f"{name}.log"
    began = time.monotonic()

    def ask() -> str | None:
        problem = attempt()
        if problem is None:
            return None
        state = supervisor.states()[name]
        is_refused = "authentication failed" in problem or "invalid username-password" in problem
        # Where it does not run itself, another server has refused on its port.
        if is_refused and state.name == "RUNNING":
            raise ServiceError(
                f"the password remembered in {state_dir} does not fit {name}'s data: {problem}; "
                "restore services.json there, or start afresh with `make clean`"
            )
        is_failing = state.name == "BACKOFF" and time.monotonic() - began > _FAILING_TIMEOUT_SECONDS
        if state.is_stopped or is_failing:
            raise ServiceError(f"{name} does not start: {last_line(log)}; see {log}")
        return problem

    problem = ask_until(ask, lambda problem: problem is None, _READY_TIMEOUT_SECONDS)
    if problem is not None:
        raise ServiceError(f"{name} did not answer within {_READY_TIMEOUT_SECONDS:.0f} s: {problem}")
