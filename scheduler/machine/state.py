"""What is remembered in the state folder: ports and passwords; and the lock for those who start or stop."""

import contextlib
import errno
import fcntl
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import TypeAdapter

from scheduler.machine.accounts import owner_of
from scheduler.machine.patience import ask_until
from scheduler.machine.secret import new_password
from shared.errors import ServiceError
from shared.files import write_whole
from shared.settings import Settings

_FILE_NAME = "services.json"
_LOCK_NAME = "services.lock"
_LOCK_TIMEOUT_SECONDS = 180.0
_PURPOSES = ("postgres_admin", "postgres", "redis", "supervisor")
_REMEDIES = {
    errno.ENOSPC: "free some space there, or ",
    errno.EDQUOT: "free some of your quota there, or ",
    errno.EACCES: "permit this account to write there, or ",
    errno.EPERM: "permit this account to write there, or ",
}


@dataclass(frozen=True)
class ServicesState:
    """Ports by service name, passwords by purpose, where Postgres keeps its data, workers asked for."""

    ports: dict[str, int]
    passwords: dict[str, str]
    postgres_home: str | None = None
    n_workers: int | None = None


def new_state() -> ServicesState:
    """Fresh passwords, no ports yet."""
    return ServicesState(ports={}, passwords={purpose: new_password() for purpose in _PURPOSES})


def load_state(state_dir: Path) -> ServicesState | None:
    """The remembered state, or None where no service was ever started."""
    path = state_dir / _FILE_NAME
    try:
        state = TypeAdapter(ServicesState).validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except PermissionError as error:
        raise ServiceError(
            f"{path} cannot be read by this account{owner_of(path)}: run as its owner, or set STATE_DIR "
            "to a folder of yours"
        ) from error
    except OSError as error:
        raise _unusable(state_dir, error) from error
    except ValueError as error:
        raise _damaged(path) from error
    if not state.passwords.keys() >= set(_PURPOSES):
        raise _damaged(path)
    return state


def save_state(state_dir: Path, state: ServicesState) -> None:
    """Remember the state, readable for the owner only."""
    write_whole(state_dir / _FILE_NAME, json.dumps(asdict(state), indent=2) + "\n", is_durable=True)


@contextlib.contextmanager
def open_state_folder(settings: Settings) -> Iterator[Path]:
    """The absolute state folder, made if need be; what cannot be written becomes one ServiceError."""
    state_dir = settings.state_dir.resolve()
    try:
        state_dir.mkdir(mode=0o755, parents=True, exist_ok=True)
        (state_dir / "logs").mkdir(mode=0o700, exist_ok=True)
        yield state_dir
    except OSError as error:
        raise _unusable(state_dir, error) from error


@contextlib.contextmanager
def state_lock(state_dir: Path) -> Iterator[None]:
    """Only one process at a time starts or stops the services of a state folder; others wait."""
    descriptor = os.open(state_dir / _LOCK_NAME, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if not ask_until(lambda: _try_lock(descriptor), bool, _LOCK_TIMEOUT_SECONDS):
            raise ServiceError(
                f"another process has been starting or stopping the services of {state_dir} "
                f"for {_LOCK_TIMEOUT_SECONDS:.0f} s: end it and try again"
            )
        yield
    finally:
        os.close(descriptor)


def _unusable(state_dir: Path, error: OSError) -> ServiceError:
    """What the system said of which file, and a remedy where the cause has one."""
    place = Path(os.fsdecode(error.filename)) if isinstance(error.filename, str | bytes) else state_dir
    reason = error.strerror or str(error)
    if not (place.is_relative_to(state_dir) or state_dir.is_relative_to(place)):
        return ServiceError(f"cannot use {place}: {reason}")
    return ServiceError(
        f"cannot use the state folder {state_dir}: {reason} ({place}); "
        f"{_REMEDIES.get(error.errno or 0, '')}set STATE_DIR to another folder"
    )


def _damaged(path: Path) -> ServiceError:
    return ServiceError(f"{path} is damaged: restore it, or start afresh with `make clean`")


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
