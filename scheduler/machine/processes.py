"""Processes that belong to one state folder, found without trusting recorded process ids.

A process is ours when it inherited `MARKER=<state folder>` in its environment. Postgres overwrites its
environment to change its title: it is known by its data folder, on its command line or where it works.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

MARKER = "RECSWEEP_SERVICES_OF"
SERVER_NAMES = ("postgres", "valkey-server")
_POLL_SECONDS = 0.05


@dataclass(frozen=True)
class Process:
    """A process; its id alone may be given to another process later."""

    pid: int
    started: str
    name: str
    # The parent's id changes when the parent dies: it does not tell processes apart.
    parent: int = field(default=0, compare=False)


def find_processes(state_dir: Path, server_folders: Sequence[Path]) -> list[Process]:
    """All live processes of this state folder except the caller and its parents; zombies do not count.

    `server_folders` are the folders in which servers, and nobody else, work.
    """
    marker = os.fsencode(f"{MARKER}={state_dir}")
    folders = {os.fsencode(folder) for folder in server_folders}
    ancestors = _ancestors()
    return [
        process
        for process in _all_processes()
        if process.pid not in ancestors and _is_ours(process, marker, folders)
    ]


def is_alive(process: Process) -> bool:
    """Whether this very process still runs."""
    return _read_process(process.pid) == process


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
    """Wait until the processes have ended; returns those that still run after the timeout."""
    deadline = time.monotonic() + timeout_seconds
    alive = [process for process in processes if is_alive(process)]
    while alive and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
        alive = [process for process in alive if is_alive(process)]
    return alive


def _send(process: Process, stop_signal: signal.Signals) -> None:
    try:
        os.kill(process.pid, stop_signal)
    except ProcessLookupError:
        return


def _all_processes() -> list[Process]:
    if sys.platform == "linux":
        pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    else:
        pids = [int(line) for line in _ps("-axo", "pid=").splitlines()]
    found = (_read_process(pid) for pid in pids)
    return [process for process in found if process is not None]


def _read_process(pid: int) -> Process | None:
    """The live process of this id, or None: gone, or a zombie that waits for its parent."""
    if sys.platform == "linux":
        try:
            stat = Path(f"/proc/{pid}/stat").read_text(errors="replace")
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            return None
        # "pid (name) state ppid …"; the name may hold spaces and parentheses, field 22 is the start.
        name, _, rest = stat.partition("(")[2].rpartition(")")
        words = rest.split()
        state, parent, started = words[0], words[1], words[19]
    else:
        line = _ps("-o", "state=,ppid=,lstart=,ucomm=", "-p", str(pid)).strip()
        if not line:
            return None
        state, parent, *words = line.split()
        started, name = " ".join(words[:5]), " ".join(words[5:])
    return None if state[0] in "ZX" else Process(pid, started, name, int(parent))


def _ancestors() -> set[int]:
    if sys.platform != "linux":
        return {os.getpid(), os.getppid()}
    pid, found = os.getpid(), set[int]()
    while pid > 0:
        found.add(pid)
        try:
            stat = Path(f"/proc/{pid}/stat").read_text(errors="replace")
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            break
        pid = int(stat.rpartition(")")[2].split()[1])
    return found


def _is_ours(process: Process, marker: bytes, folders: set[bytes]) -> bool:
    if sys.platform != "linux":
        return os.fsdecode(marker) in _ps("-Eww", "-o", "command=", "-p", str(process.pid))
    root = Path(f"/proc/{process.pid}")
    if marker in _words(root / "environ"):
        return True
    places = {_working_folder(root), *_words(root / "cmdline")}
    return process.name in SERVER_NAMES and bool(folders & places)


def _words(path: Path) -> list[bytes]:
    try:
        return path.read_bytes().split(b"\0")
    except OSError:
        # Another account's process, or it ended while we looked.
        return []


def _working_folder(root: Path) -> bytes:
    try:
        return os.fsencode((root / "cwd").readlink())
    except OSError:
        return b""


def _ps(*arguments: str) -> str:
    """Output of `ps`, for systems without /proc (macOS)."""
    return subprocess.run(
        ["/bin/ps", *arguments], capture_output=True, text=True, errors="replace", check=False
    ).stdout
