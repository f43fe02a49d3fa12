"""Processes that belong to one state folder, found without trusting recorded process ids.

A process is ours when it inherited `MARKER=<state folder>` in its environment. Postgres overwrites its
environment to change its title: it is known by its data folder, on its command line or where it works.
"""

import contextlib
import os
import signal
from collections.abc import Iterable, Sequence
from pathlib import Path

from psutil import STATUS_DEAD, STATUS_ZOMBIE, AccessDenied, NoSuchProcess, Process, process_iter
from psutil import Error as ProcessError

from scheduler.machine.patience import ask_until
from shared.errors import ServiceError

MARKER = "RECSWEEP_SERVICES_OF"
SERVER_NAMES = ("postgres", "valkey-server")
# What makes a data folder; it works in one like a server.
_SERVER_PROGRAMS = (*SERVER_NAMES, "initdb")


def find_processes(state_dir: Path, server_folders: Sequence[Path]) -> list[Process]:
    """All live processes of this state folder except the caller and its parents; zombies do not count.

    `server_folders` are the folders in which servers, and nobody else, work.
    """
    me = Process()
    kin = {me, *me.parents()}
    return [
        process
        for process in process_iter()
        if process not in kin
        and (_has_marker(process, state_dir) or _is_server_of(process, server_folders))
        and is_alive(process)
    ]


def find_servers(folder: Path) -> list[Process]:
    """All live processes of server programs that work in this folder, whoever started them."""
    return [process for process in process_iter() if _is_server_of(process, [folder]) and is_alive(process)]


def find_running_from(folder: Path) -> list[Process]:
    """All live processes whose program lies below this folder."""
    return [
        process for process in process_iter() if folder in _program(process).parents and is_alive(process)
    ]


def is_alive(process: Process) -> bool:
    """Whether this very process still runs; its id alone may have been given to another one."""
    with contextlib.suppress(ProcessError):
        return process.is_running() and process.status() not in (STATUS_ZOMBIE, STATUS_DEAD)
    return False


def name_of(process: Process) -> str:
    """Name of its program; empty when it has ended."""
    with contextlib.suppress(ProcessError):
        return process.name()
    return ""


def command_of(process: Process) -> list[str]:
    """Words of its command line; none when it has ended or belongs to another account."""
    with contextlib.suppress(ProcessError, OSError):
        return process.cmdline()
    return []


def parent_of(process: Process) -> int:
    """Id of its parent, which is another one after the parent's death; 0 when it has ended itself."""
    with contextlib.suppress(ProcessError):
        return process.ppid()
    return 0


def end_processes(processes: Iterable[Process], stop_signal: signal.Signals, timeout_seconds: float) -> None:
    """Signal the processes, wait for them to end, and kill those that have not after the timeout."""
    alive = [process for process in processes if is_alive(process)]
    for process in alive:
        _send(process, stop_signal)
    alive = wait_for_end(alive, timeout_seconds)
    for process in alive:
        _send(process, signal.SIGKILL)
    wait_for_end(alive, timeout_seconds=10)


def wait_for_end(processes: Iterable[Process], timeout_seconds: float) -> list[Process]:
    """Wait until the processes have ended; returns those that still run after the timeout.

    psutil's own `wait_procs` would take the exit status from whoever started them, and wait for zombies.
    """
    asked = list(processes)
    return ask_until(
        lambda: [process for process in asked if is_alive(process)],
        lambda alive: not alive,
        timeout_seconds,
    )


def _send(process: Process, stop_signal: signal.Signals) -> None:
    try:
        process.send_signal(stop_signal)
    except NoSuchProcess:
        return
    except AccessDenied as error:
        raise ServiceError(
            f"process {process.pid} ({name_of(process)}) belongs to another account and must end first: "
            "run the command as that account"
        ) from error


def _program(process: Process) -> Path:
    with contextlib.suppress(ProcessError, OSError):
        return Path(process.exe())
    return Path()


def _has_marker(process: Process, state_dir: Path) -> bool:
    # Another account's process cannot be looked into; one may end while we look.
    with contextlib.suppress(ProcessError, OSError):
        return process.environ().get(MARKER) == str(state_dir)
    return False


def _is_server_of(process: Process, folders: Sequence[Path]) -> bool:
    if name_of(process) not in _SERVER_PROGRAMS:
        return False
    places = set(command_of(process))
    with contextlib.suppress(ProcessError, OSError):
        places.add(process.cwd())
    return any(os.fspath(folder) in places for folder in folders)
