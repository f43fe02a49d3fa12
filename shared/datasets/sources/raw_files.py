"""The files of a data set, read whole from a folder or a zip archive that a person supplied."""

import hashlib
import io
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from shared.errors import DatasetError

if TYPE_CHECKING:
    import pyarrow as pa

LONGEST_QUOTE = 80  # Characters of a line that a message shows.


@dataclass(frozen=True)
class RawFile:
    """`where` names the file for a person: a path, or archive and member."""

    where: str
    content: bytes

    def lines(self) -> bytes:
        """All lines, joined by line feeds whatever ends them in the file; blank ones at the end do not count.

        Raises DatasetError for a file without a line, and for a last line without its end: the published
        files end with one, so without it nothing tells a whole line from one that was cut short.
        """
        self.check_whole()
        return self.content.replace(b"\r\n", b"\n").rstrip(b"\n")

    def check_whole(self) -> None:
        """Raise DatasetError as `lines` does."""
        content = self.content
        if not content.strip():
            raise DatasetError(
                f"{self.where}: the file holds at least one line; this one is empty. Supply it anew."
            )
        if not content.endswith(b"\n"):
            last = content.rpartition(b"\n")[2].decode("latin-1")
            number = content.count(b"\n") + 1
            raise DatasetError(
                f"{self.where}, line {number}: every line ends with a line end, and this last one has none: "
                f"the file may be cut short there; got {last[:LONGEST_QUOTE]!r}. "
                "Unpack the archive again, or add the line end if the line is whole."
            )

    @property
    def url(self) -> str:
        """As `InputFile` has it."""
        return self.where

    @contextmanager
    def open_decompressed(self) -> Iterator["pa.NativeFile"]:
        """As `InputFile` does."""
        import pyarrow as pa  # noqa: PLC0415  Slow to load, and few commands need it.

        yield pa.BufferReader(self.content)


def find_files(
    data_dir: Path, name: str, file_names: Sequence[str], folder_name: str | None = None
) -> Path | None:
    """The place of data set `name` in DATA_DIR: a folder or a zip archive; None when it is not there.

    In this order: the folder `<name>`, or of the name that it has in the archive; the archive `<name>.zip`;
    DATA_DIR itself when it holds one of the files. A folder is the place even when files are missing in it:
    the gap is told, not passed over.
    Raises DatasetError when DATA_DIR is no folder.
    """
    if not data_dir.is_dir():
        raise DatasetError(
            f"DATA_DIR must be a folder; there is none at {data_dir}. Correct or unset DATA_DIR."
        )
    for folder in (name, folder_name or name):
        if (data_dir / folder).is_dir():
            return data_dir / folder
    if (data_dir / f"{name}.zip").is_file():
        return data_dir / f"{name}.zip"
    if any((data_dir / file_name).is_file() for file_name in file_names):
        return data_dir
    return None


def read_folder(folder: Path, file_names: Sequence[str], optional: Sequence[str] = ()) -> dict[str, RawFile]:
    """The named files, and of the `optional` ones those that are there.

    Raises DatasetError for the first that is missing or cannot be read.
    """
    files = {}
    for name in (*file_names, *(name for name in optional if (folder / name).exists())):
        path = folder / name
        try:
            files[name] = RawFile(str(path), path.read_bytes())
        except FileNotFoundError as error:
            raise DatasetError(
                f"{folder}: the data set needs the files {', '.join(file_names)}; {name} is missing. "
                "Unpack the whole archive into this folder, or take the folder away to have it downloaded."
            ) from error
        except OSError as error:
            raise DatasetError(
                f"{path} cannot be read: {error.strerror or error}. Make it readable."
            ) from error
    return files


def checksum_of(content: bytes, expected: str) -> str:
    """As `expected`: "sha256:" or "md5:" and hex digits. GroupLens publishes MD5."""
    algorithm = expected.partition(":")[0]
    return f"{algorithm}:{hashlib.new(algorithm, content, usedforsecurity=False).hexdigest()}"


def read_archive(
    archive: Path, checksum: str | None, file_names: Sequence[str], optional: Sequence[str] = ()
) -> dict[str, RawFile]:
    """The named files of a zip archive, at its top or in one folder, and of the `optional` those it has.

    Raises DatasetError when the archive is not the published one (`checksum` as of `checksum_of`, None for
    one that changes), cannot be read or lacks a file.
    """
    try:
        content = archive.read_bytes()
    except OSError as error:
        raise DatasetError(
            f"{archive} cannot be read: {error.strerror or error}. Make it readable."
        ) from error
    actual = checksum_of(content, checksum) if checksum else checksum
    if actual != checksum:
        state = "" if zipfile.is_zipfile(io.BytesIO(content)) else ", cut short or no zip archive at all"
        raise DatasetError(
            f"{archive}: expected the archive of {checksum}, got {actual} ({len(content):,} bytes"
            f"{state}). Take it away to have it downloaded; if it is meant to differ, unpack it into the "
            f"folder {archive.with_suffix('')}."
        )
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as opened:
            there = {member.rpartition("/")[2] for member in opened.namelist()}
            names = (*file_names, *(name for name in optional if name in there))
            return {name: _read_member(opened, archive, name) for name in names}
    except zipfile.BadZipFile as error:
        raise DatasetError(f"{archive} is not a whole zip archive: {error}. Supply it anew.") from error


def _read_member(opened: zipfile.ZipFile, archive: Path, name: str) -> RawFile:
    members = [member for member in opened.namelist() if member == name or member.endswith(f"/{name}")]
    if not members:
        raise DatasetError(
            f"{archive}: the data set needs a file {name}; the archive has none. Supply it anew."
        )
    shallowest = min(members, key=lambda member: (member.count("/"), member))
    return RawFile(f"{archive}:{shallowest}", opened.read(shallowest))
