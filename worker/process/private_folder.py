"""Folders that nobody else can put anything into."""

import os
import stat
from pathlib import Path


class NotPrivateError(Exception):
    """The folder is not ours alone, or cannot be made; the message says why and what to do."""


def make_private(folder: Path) -> None:
    """Create the folder with mode 0700 unless it is there; raises NotPrivateError unless it is ours alone."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
        status = folder.lstat()
    except OSError as error:
        raise NotPrivateError(f"{folder} cannot be made: {error.strerror}") from error
    if not stat.S_ISDIR(status.st_mode):
        raise NotPrivateError(f"{folder} must be a folder, and no link to one: remove it")
    if status.st_uid != os.geteuid():
        raise NotPrivateError(
            f"{folder} must belong to account {os.geteuid()}, which runs this; its owner is {status.st_uid}: "
            "remove it"
        )
    mode = stat.S_IMODE(status.st_mode)
    if mode & 0o077:
        raise NotPrivateError(
            f"{folder} must be closed to everybody else (mode 0700); its mode is {mode:04o}, so others may "
            "have written into it: remove it"
        )
