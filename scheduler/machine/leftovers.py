"""Processes that outlived their supervisor: ended in order, so that tasks and data are kept."""

import signal
from pathlib import Path

from psutil import Process

from scheduler.machine.processes import (
    SERVER_NAMES,
    command_of,
    end_processes,
    find_processes,
    name_of,
    parent_of,
)
from scheduler.machine.state import ServicesState
from scheduler.machine.supervisor import SUPERVISOR_MODULE

# Longer than a worker's soft shutdown and a server's final write take.
_GRACE_SECONDS = 20.0


def server_folders(state_dir: Path, state: ServicesState | None) -> list[Path]:
    """Working folders of the embedded servers."""
    home = Path(state.postgres_home) if state and state.postgres_home else state_dir / "postgres"
    return [home / "data", state_dir / "redis"]


def end_leftovers(state_dir: Path, state: ServicesState | None) -> None:
    """End what still runs for a state folder whose supervisor was killed or does not answer."""
    folders = server_folders(state_dir, state)
    found = find_processes(state_dir, folders)
    if not found:
        return
    # First a supervisor that hangs: it would start again what is ended here.
    end_processes(find_supervisors(state_dir), signal.SIGKILL, 5)
    is_data_there = any(folder.exists() for folder in folders)
    for names, stop_signal in (
        (None, signal.SIGTERM),
        # Where somebody removed the data, a server would wait for it in vain.
        (("postgres",), signal.SIGINT if is_data_there else signal.SIGKILL),
        (("valkey-server",), signal.SIGTERM if is_data_there else signal.SIGKILL),
    ):
        found = find_processes(state_dir, folders)
        chosen = [
            process
            for process in _topmost(found)
            if (name_of(process) not in SERVER_NAMES if names is None else name_of(process) in names)
        ]
        end_processes(chosen, stop_signal, _GRACE_SECONDS)
    # Children whose parent was killed before.
    end_processes(find_processes(state_dir, folders), signal.SIGKILL, 5)


def find_supervisors(state_dir: Path) -> list[Process]:
    """The supervisor of a state folder whether or not it answers (yet)."""
    return [process for process in find_processes(state_dir, []) if SUPERVISOR_MODULE in command_of(process)]


def _topmost(processes: list[Process]) -> list[Process]:
    """Those whose parent is not among them: a parent ends its children in its own way."""
    pids = {process.pid for process in processes}
    return [process for process in processes if parent_of(process) not in pids]
