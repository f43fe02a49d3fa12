"""What is remembered in the state folder: ports and passwords; and the lock for those who start or stop."""

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from scheduler.machine.secret import new_password, write_private
from shared.errors import ServiceError
from shared.settings import Settings

_FILE_NAME = "services.json"
_LOCK_NAME = "services.lock"
_LOCK_TIMEOUT_SECONDS = 180.0


@dataclass(frozen=True)
class ServicesState:
    """Ports by service name, passwords by purpose, where Postgres keeps its data, workers asked for."""

    ports: dict[str, int]
    passwords: dict[str, str]
    postgres_home: str | None = None
    n_workers: int | None = None


def new_state() -> ServicesState:
    """Fresh passwords, no ports yet."""
    purposes = ("postgres_admin", "postgres", "redis", "supervisor")
    return ServicesState(ports={}, passwords={purpose: new_password() for purpose in purposes})


def load_state(state_dir: Path) -> ServicesState | None:
    """The remembered state, or None where no service was ever started."""
    path = state_dir / _FILE_NAME
    try:
        return ServicesState(**json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except PermissionError as error:
        raise ServiceError(
            f"{path} belongs to another account: run as that account, or set STATE_DIR to a folder of yours"
        ) from error
    except (ValueError, TypeError) as error:
        raise ServiceError(f"{path} is damaged: restore it, or start afresh with `make clean`") from error


def save_state(state_dir: Path, state: ServicesState) -> None:
    """Remember the state, readable for the owner only."""
    write_private(state_dir / _FILE_NAME, json.dumps(asdict(state), indent=2) + "\n")


@contextlib.contextmanager
def open_state_folder(settings: Settings) -> Iterator[Path]:
    """The absolute state folder, made if need be; what cannot be written becomes one ServiceError."""
    state_dir = settings.state_dir.resolve()
    try:
        state_dir.mkdir(mode=0o755, parents=True, exist_ok=True)
        (state_dir / "logs").mkdir(mode=0o700, exist_ok=True)
        yield state_dir
    except OSError as error:
        place = error.filename or state_dir
        raise ServiceError(
            f"cannot use the state folder {state_dir}: {error.strerror or error} ({place}); "
            "free space or permit writing there, or set STATE_DIR to another folder"
        ) from error


@contextlib.contextmanager
def state_lock(state_dir: Path) -> Iterator[None]:
    """Only one process at a time starts or stops the services of a state folder; others wait."""
    descriptor = os.open(state_dir / _LOCK_NAME, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        deadline = time.monotonic() + _LOCK_TIMEOUT_SECONDS
        while not _try_lock(descriptor):
            if time.monotonic() > deadline:
                raise ServiceError(
                    f"another process has been starting or stopping the services of {state_dir} "
                    f"for {_LOCK_TIMEOUT_SECONDS:.0f} s: end it and try again"
                )
            time.sleep(0.05)
        yield
    finally:
        os.close(descriptor)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
