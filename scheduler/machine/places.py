"""Where Postgres' binaries and data go so that the account it runs as can reach them."""

import contextlib
import hashlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from scheduler.machine.accounts import Account, can_enter, why_cannot_run
from scheduler.machine.processes import find_running_from
from shared.errors import ServiceError

# Used only as root, when the clone lies below a folder that the server's account may not enter.
_OUTSIDE = Path("/var/lib/recsweep")
_COPY_PREFIX = "install-"


@dataclass(frozen=True)
class Place:
    """`install` holds `bin`, `lib`, `share`; `home` holds the data folder and belongs to the account."""

    install: Path
    home: Path


def choose_place(
    state_dir: Path, remembered_home: Path | None, wheel_install: Path, account: Account | None
) -> Place:
    """The remembered home, else one in the state folder, else one outside; binaries copied if need be."""
    home = remembered_home or state_dir / "postgres"
    if remembered_home is None and not can_enter(account, state_dir):
        home = outside_home(state_dir)
    _make_home(home, account)
    if not can_enter(account, home):
        raise ServiceError(
            f"the account {account.name if account else ''} that Postgres runs as cannot enter {home}: "
            "make its parent folders searchable (chmod o+x), or set STATE_DIR to another folder"
        )
    install = wheel_install
    if why_cannot_run(account, wheel_install / "bin" / "initdb"):
        install = _copy_install(wheel_install, outside_home(state_dir))
        problem = why_cannot_run(account, install / "bin" / "initdb")
        if problem:
            raise ServiceError(
                f"{install / 'bin' / 'initdb'} cannot be run by the account "
                f"{account.name if account else ''}: {problem}; run as an ordinary user, or set DATABASE_URL"
            )
    return Place(install, home)


def outside_home(state_dir: Path) -> Path:
    """The folder outside the clone that belongs to this state folder; it need not exist."""
    return _OUTSIDE / hashlib.sha256(os.fsencode(state_dir)).hexdigest()[:16]


def remove_outside(state_dir: Path) -> None:
    """Remove what was put outside the clone for this state folder."""
    shutil.rmtree(outside_home(state_dir), ignore_errors=True)
    with contextlib.suppress(OSError):
        # Still there when other clones use it.
        _OUTSIDE.rmdir()


def _make_home(home: Path, account: Account | None) -> None:
    if home.is_relative_to(_OUTSIDE):
        _OUTSIDE.mkdir(parents=True, exist_ok=True)
        _OUTSIDE.chmod(0o755)
    home.mkdir(mode=0o755, parents=True, exist_ok=True)
    if account and home.stat().st_uid != account.uid:
        os.chown(home, account.uid, account.gid)


def _copy_install(wheel_install: Path, home: Path) -> Path:
    """Copy the binaries and the libraries beside their package, keeping the layout they search by.

    The copy has its name when it is whole. Each release has its own, since a server may still run from the
    one before; those from which none runs are removed.
    """
    package = wheel_install.parent
    libraries = package.with_name(f"{package.name}.libs")
    release = f"{wheel_install} {(wheel_install / 'bin' / 'postgres').stat().st_mtime_ns}"
    root = home / f"{_COPY_PREFIX}{hashlib.sha256(os.fsencode(release)).hexdigest()[:12]}"
    if not root.exists():
        unfinished = root.with_name(f"{root.name}.unfinished")
        if unfinished.exists():
            shutil.rmtree(unfinished)
        copy = unfinished / package.name / wheel_install.name
        shutil.copytree(wheel_install, copy, symlinks=True, ignore=shutil.ignore_patterns("include"))
        if libraries.exists():
            shutil.copytree(libraries, unfinished / libraries.name, symlinks=True)
        for path in [unfinished, *unfinished.rglob("*")]:
            if not path.is_symlink():
                path.chmod(path.stat().st_mode | (0o555 if path.is_dir() else 0o444))
        unfinished.rename(root)
    for other in home.glob(f"{_COPY_PREFIX}*"):
        if other != root and not find_running_from(other):
            shutil.rmtree(other)
    return root / package.name / wheel_install.name
