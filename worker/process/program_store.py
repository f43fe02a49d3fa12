"""A folder of compiled programs, checked when they are read, bounded in size.

A program is machine code: the folder is private, and one program is one file with the digest of its content.
What is damaged is removed, what is not ours is left alone and never read.
"""

import hashlib
import logging
import os
import re
import stat
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from shared.files import write_whole
from worker.process.private_folder import NotPrivateError, make_private

logger = logging.getLogger(__name__)

# About half a megabyte a program: some five hundred of them.
LIMIT_BYTES = 256 * 2**20
_SUFFIX = ".program"
_MAGIC = b"recsweep compiled program 1"
# What TensorFlow calls the program's file: fingerprints of the signature and of the program, the device.
_FILE_NAME = re.compile(rb"xla_compile_cache__\d+__\d+__XLA_\w+\.pb")
_UNFINISHED_SECONDS = 3600.0


@dataclass(frozen=True)
class Program:
    """A compiled program as TensorFlow wrote it, and the name of its file, by which it finds it again."""

    file_name: str
    content: bytes

    @property
    def is_named_well(self) -> bool:
        """Whether TensorFlow names its files so."""
        return _FILE_NAME.fullmatch(self.file_name.encode()) is not None


class ProgramStore:
    """Programs by name below `root`; those of one TensorFlow on one kind of processor are in one folder.

    Several processes may use it at once. Nothing is raised: a program that cannot be read is compiled, one
    that cannot be written is compiled again next time; the log says so.
    """

    def __init__(self, root: Path, kind: str, limit_bytes: int = LIMIT_BYTES) -> None:
        self._root = root
        self._folder = root / kind
        self._limit_bytes = limit_bytes

    def load(self, name: str) -> Program | None:
        """The program of this name, None where there is none that is whole and ours."""
        path = self._path(name)
        try:
            content = _read_own(path)
        except FileNotFoundError:
            return None
        except OSError as error:
            logger.warning("compiled program %s is not used: %s", path, error.strerror or error)
            return None
        program = _unpack(content)
        if program is None:
            logger.warning("compiled program %s is damaged: it is removed and compiled again", path)
            self.delete(name)
            return None
        with suppress(OSError):
            os.utime(path)  # The oldest go first: this one was used now.
        return program

    def save(self, name: str, program: Program) -> None:
        """Write or replace the program, then delete the least recently used ones above the limit."""
        content = _pack(program)
        if len(content) > self._limit_bytes:
            return
        try:
            make_private(self._folder)
            write_whole(self._path(name), content)
            self._delete_oldest()
        except (NotPrivateError, OSError) as error:
            logger.warning("the compiled program is not kept: %s", error)

    def delete(self, name: str) -> None:
        """Forget the program of this name; nothing happens when there is none."""
        with suppress(OSError):
            self._path(name).unlink(missing_ok=True)

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}{_SUFFIX}"

    def _delete_oldest(self) -> None:
        """Those of another TensorFlow or processor count too: they are no longer used, and go first."""
        found = sorted(self._found(), key=lambda one: one[0], reverse=True)
        n_bytes = 0
        for _, size_bytes, path in found:
            n_bytes += size_bytes
            if n_bytes > self._limit_bytes:
                path.unlink(missing_ok=True)

    def _found(self) -> Iterator[tuple[float, int, Path]]:
        """Time of the last use, size and path of every program; what a killed process left is removed."""
        for path in self._root.glob("*/*"):
            # Another process may delete it meanwhile.
            with suppress(FileNotFoundError):
                status = path.lstat()
                if not stat.S_ISREG(status.st_mode):
                    continue
                if path.suffix == _SUFFIX:
                    yield status.st_mtime, status.st_size, path
                elif path.suffix == ".unfinished" and time.time() - status.st_mtime > _UNFINISHED_SECONDS:
                    path.unlink()


def _read_own(path: Path) -> bytes:
    """Raises OSError, also for a file that somebody else may have written."""
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:
        status = os.fstat(file.fileno())
        if status.st_uid != os.geteuid() or stat.S_IMODE(status.st_mode) & 0o022:
            raise PermissionError("somebody else may have written it")
        return file.read()


def _pack(program: Program) -> bytes:
    named = program.file_name.encode() + b"\n" + program.content
    return b"\n".join((_MAGIC, hashlib.sha256(named).hexdigest().encode(), named))


def _unpack(content: bytes) -> Program | None:
    magic, _, rest = content.partition(b"\n")
    digest, _, named = rest.partition(b"\n")
    if magic != _MAGIC or digest != hashlib.sha256(named).hexdigest().encode():
        return None
    file_name, _, code = named.partition(b"\n")
    program = Program(file_name.decode(errors="replace"), code)
    return program if program.is_named_well else None
