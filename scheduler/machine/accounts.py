"""Which account a server runs as: Postgres refuses to run as root."""

import os
import pwd
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from shared.errors import ServiceError

_CANDIDATES = ("postgres", "nobody")
_COMMAND_TIMEOUT_SECONDS = 120


@dataclass(frozen=True)
class Account:
    """An account of this machine other than root."""

    name: str
    uid: int
    gid: int


def postgres_account(data: Path) -> Account | None:
    """The account Postgres must run as, or None where it can run as the caller.

    An existing data folder decides by its owner: Postgres accepts no other.
    """
    if os.geteuid() != 0:
        return None
    if data.exists() and data.stat().st_uid != 0:
        owner = data.stat()
        return Account(_name_of(owner.st_uid), owner.st_uid, owner.st_gid)
    for name in _CANDIDATES:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)
    raise ServiceError(
        "Postgres cannot run as root, and this machine has no account 'postgres' or 'nobody': "
        "run as an ordinary user, or set DATABASE_URL"
    )


def run_as(
    account: Account | None, command: Sequence[str | Path], cwd: Path, text_input: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end as an account (None: as the caller), in the C locale, output captured."""
    try:
        return subprocess.run(
            command,
            cwd=cwd,
            input=text_input,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_COMMAND_TIMEOUT_SECONDS,
            check=False,
            env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"},
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
        )
    except subprocess.TimeoutExpired as error:
        raise ServiceError(f"{Path(command[0]).name} gave no answer within {error.timeout:.0f} s") from error


def why_cannot_run(account: Account | None, binary: Path) -> str | None:
    """Why the account does not reach the binary or a library it needs; None when it can run it."""
    if account is None:
        return None
    try:
        done = run_as(account, [binary, "--version"], cwd=Path("/"))
    except OSError as error:
        return error.strerror or str(error)
    words = (done.stderr or done.stdout).strip().splitlines()
    return None if done.returncode == 0 else (words or [f"exit code {done.returncode}"])[-1]


def can_enter(account: Account | None, folder: Path) -> bool:
    """Whether the account can pass through every parent of the folder and into it."""
    if account is None:
        return True
    return run_as(account, ["/bin/sh", "-c", 'cd -- "$1"', "sh", folder], cwd=Path("/")).returncode == 0


def owner_of(path: Path) -> str:
    """` (its owner is name)`; empty when the folder hides it."""
    try:
        return f" (its owner is {_name_of(path.stat().st_uid)})"
    except OSError:
        return ""


def _name_of(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
