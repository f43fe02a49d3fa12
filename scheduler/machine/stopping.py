"""Stop the services of one machine, and remove what they left."""

import shutil
from pathlib import Path

from psutil import Process

from scheduler.machine.leftovers import end_leftovers, server_folders
from scheduler.machine.patience import ask_until
from scheduler.machine.places import remove_outside
from scheduler.machine.processes import find_processes
from scheduler.machine.state import ServicesState, load_state, open_state_folder, state_lock
from scheduler.machine.status import find_supervisor, wait_for_supervisor
from scheduler.machine.supervisor import Supervisor
from shared.errors import ServiceError
from shared.settings import Settings

_STOP_TIMEOUT_SECONDS = 90.0


def stop_services(settings: Settings) -> None:
    """Stop the workers, then the servers, and leave no process; nothing stored is lost."""
    if settings.state_dir.exists():
        with open_state_folder(settings) as state_dir, state_lock(state_dir):
            _stop(state_dir)


def clean_services(settings: Settings) -> None:
    """Stop all services, then remove the state folder and what lies outside for it."""
    if settings.state_dir.exists():
        with open_state_folder(settings) as state_dir, state_lock(state_dir):
            state = _stop(state_dir)
            for folder in server_folders(state_dir, state):
                _take_away(folder)
            remove_outside(state_dir)
            shutil.rmtree(state_dir)


def _take_away(data: Path) -> None:
    """Move a server's data in one step: half of it, after an interrupt, would fail at the next start."""
    doomed = data.with_name(f"{data.name}.unfinished")
    if doomed.exists():
        shutil.rmtree(doomed)
    if data.exists():
        data.rename(doomed)


def _stop(state_dir: Path) -> ServicesState | None:
    try:
        state = load_state(state_dir)
    except ServiceError:
        # Damaged: its processes are still found by their environment.
        state = None
    supervisor = wait_for_supervisor(state_dir, state)
    if supervisor is not None:
        _shut_down(supervisor, state_dir, state)
    end_leftovers(state_dir, state)
    return state


def _shut_down(supervisor: Supervisor, state_dir: Path, state: ServicesState | None) -> None:
    supervisor.shut_down()
    folders = server_folders(state_dir, state)

    def find_running() -> list[Process]:
        running = find_processes(state_dir, folders)
        if running:
            # Being asked makes it look at its programs at once instead of every second.
            find_supervisor(state_dir, state)
        return running

    ask_until(find_running, lambda running: not running, _STOP_TIMEOUT_SECONDS)
