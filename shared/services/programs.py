"""The programs of one machine: what the supervisor runs, in which order, with which environment."""

import hashlib
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from shared.services.endpoints import Endpoints
from shared.services.ports import LOOPBACK
from shared.services.postgres import PostgresServer
from shared.services.redis import RedisServer
from shared.services.secret import write_if_changed
from shared.settings import PROJECT_ROOT, Settings
from shared.version import code_version

# One task process a core, one thread each; TensorFlow reads these when it is imported.
_ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "TF_NUM_INTRAOP_THREADS": "1",
    "TF_NUM_INTEROP_THREADS": "1",
    "TF_CPP_MIN_LOG_LEVEL": "2",
    "CUDA_VISIBLE_DEVICES": "-1",
    # One thread allocates: arenas of others only hold on to free memory.
    "MALLOC_ARENA_MAX": "1",
    # Larger blocks go back to the system when they are freed; by default glibc raises this to 32 MB, and
    # arrays of every trial are cut from what the last one left.
    "MALLOC_MMAP_THRESHOLD_": "262144",
}
# SIGTERM means soft shutdown: the task goes back to the queue with its checkpoint kept.
_SOFT_SHUTDOWN = {"REMAP_SIGTERM": "SIGQUIT"}
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
    settings: Settings, state_dir: Path, endpoints: Endpoints, n_workers: int, flower_port: int | None
) -> list[Program]:
    """Watcher, Flower and, unless `n_workers` is 0, the workers; writes their launch files."""
    environment = program_environment(settings, state_dir, endpoints)
    name = "worker" if settings.broker_url is None else f"worker-{_short_hash(os.fsencode(state_dir))}"
    flower = (
        *(*_CELERY, "flower", f"--address={LOOPBACK}", f"--port={flower_port}"),
        *("--persistent=True", f"--db={state_dir / 'flower.db'}", f"--tasks-columns={_FLOWER_COLUMNS}"),
    )
    programs = [
        _launched(state_dir, "watcher", 30, ("scheduler", "watch"), environment),
        _launched(state_dir, "flower", 40, flower, environment),
    ]
    if n_workers > 0:
        arguments = worker_command(n_workers, name)
        worker_program = _launched(state_dir, "worker", 50, arguments, environment | worker_variables())
        programs.append(replace(worker_program, stop_wait_seconds=30))
    return programs


def worker_command(n_processes: int, name: str = "worker", log_level: str = "INFO") -> tuple[str, ...]:
    """Module and arguments of a worker, for `python -m`; its name in Flower is `<name>@<host>`."""
    arguments = ("--concurrency", str(n_processes), "--hostname", f"{name}@%h", "--loglevel", log_level)
    return (*_CELERY, "worker", *arguments)


def worker_variables() -> dict[str, str]:
    """Variables every worker needs before its libraries are imported: threads, soft shutdown."""
    return _ONE_THREAD | _SOFT_SHUTDOWN


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
