"""The one way a file of ours is written: it appears under its name whole or not at all.

Standard library alone: the commands of the containers use it without a `.venv`.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


def write_whole(
    path: Path,
    content: bytes | str,
    *,
    mode: int = 0o600,
    is_durable: bool = False,
    owner: tuple[int, int] | None = None,
) -> None:
    """Write or replace the file (text as UTF-8); as `whole_file` does it."""
    with whole_file(path, mode=mode, is_durable=is_durable, owner=owner) as file:
        file.write(content.encode() if isinstance(content, str) else content)


@contextmanager
def whole_file(
    path: Path, *, mode: int = 0o600, is_durable: bool = False, owner: tuple[int, int] | None = None
) -> Iterator[BinaryIO]:
    """An unfinished file beside it to write into, which takes its name, or replaces it, in the end.

    `is_durable` waits for the disk, so that the file outlives a loss of power. `owner` is a user id and a
    group id. Raises OSError; the old file is kept then, as after any error of the writer, and nothing is left
    beside it.
    """
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:100]}.", suffix=".unfinished")
    unfinished = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), mode)
            if owner is not None:
                os.fchown(file.fileno(), *owner)
            yield file
            if is_durable:
                file.flush()
                os.fsync(file.fileno())
        unfinished.replace(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
    if is_durable:
        _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """The new name too must reach the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
