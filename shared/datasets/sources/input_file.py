"""A file that a person named: local or behind a URL, compressed or not, opened as the bytes within."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import urlsplit

import fsspec

from shared.errors import DatasetError

if TYPE_CHECKING:
    import pyarrow as pa

_CODECS = {".gz": "gzip", ".zst": "zstd", ".bz2": "bz2", ".lz4": "lz4"}
_PARQUET = (".parquet", ".pq")
_BLOCK_BYTES = 1 << 20
# What a file is that starts so, and what to do about it.
_MAGIC = {
    b"PK\x03\x04": "a spreadsheet (.xlsx) or zip archive: save the sheet as CSV, or unpack the archive",
    b"\xd0\xcf\x11\xe0": "an old spreadsheet (.xls): save the sheet as CSV",
    b"PAR1": "Parquet: give its name the end .parquet",
    b"\x1f\x8b": "compressed by gzip: give its name the end .gz",
    b"\x28\xb5\x2f\xfd": "compressed by Zstandard: give its name the end .zst",
    b"SQLite format 3\0": "an SQLite database: write a TOML source with a query",
    b"%PDF": "a PDF document",
}


@dataclass(frozen=True)
class FileState:
    """What tells that a file is as it was. changed: its time or tag, empty where its store gives neither."""

    url: str
    size_bytes: int
    changed: str


@dataclass(frozen=True)
class InputFile:
    """`url`: a path, or a URL such as s3://bucket/ratings.csv."""

    url: str

    @property
    def where(self) -> str:
        """For messages."""
        return self.url

    @property
    def suffixes(self) -> list[str]:
        """`.csv` and `.gz` of ratings.csv.gz, in lower case."""
        return [suffix.lower() for suffix in Path(urlsplit(self.url).path or self.url).suffixes]

    @property
    def is_parquet(self) -> bool:
        """Whether its name says so."""
        return self.suffixes[-1:] in ([".parquet"], [".pq"])

    @contextmanager
    def open(self) -> Iterator[IO[bytes]]:
        """The file as it is; raises DatasetError, with the cause, when it cannot be read."""
        with translated(self.url), filesystem(self.url).open(local_name(self.url), "rb") as file:
            yield file

    @contextmanager
    def open_decompressed(self) -> Iterator["pa.NativeFile"]:
        """The bytes within, for a reader of lines; raises DatasetError, also for a file that is none."""
        import pyarrow as pa  # noqa: PLC0415  Slow to load, and few commands need it.

        with self.open() as raw:
            codec = _CODECS.get(self.suffixes[-1]) if self.suffixes else None
            if codec is None:
                self._check_magic(raw)
            native = pa.PythonFile(raw, mode="r")
            stream = pa.CompressedInputStream(native, codec) if codec else native
            with translated(self.url):
                yield stream

    def state(self) -> FileState:
        """Size and time of the last change; raises DatasetError when it is not there."""
        with translated(self.url):
            info = filesystem(self.url).info(local_name(self.url))
            if "mtime" in info:
                # Nanoseconds, which the float of `info` does not have.
                return FileState(self.url, info["size"], str(Path(local_name(self.url)).stat().st_mtime_ns))
            changed = info.get("ETag") or info.get("LastModified") or info.get("updated") or ""
            return FileState(self.url, info["size"] or 0, str(changed))

    def checksum(self) -> str:
        """SHA-256 of the file as it is."""
        digest = hashlib.sha256()
        with self.open() as file:
            while block := file.read(_BLOCK_BYTES):
                digest.update(block)
        return digest.hexdigest()

    def _check_magic(self, raw: IO[bytes]) -> None:
        start = raw.read(16)
        raw.seek(0)
        for magic, meaning in _MAGIC.items():
            if start.startswith(magic):
                raise DatasetError(f"{self.url}: a file of lines of text is wanted; this is {meaning}.")


def find_inputs(url: str) -> list[InputFile]:
    """The file at `url`, or the Parquet parts in the folder, by name. Raises DatasetError for neither."""
    with translated(url):
        files = filesystem(url)
        if not files.isdir(local_name(url)):
            if not files.exists(local_name(url)):
                raise FileNotFoundError(url)
            return [InputFile(url)]
        scheme = f"{urlsplit(url).scheme}://" if is_url(url) else ""
        found = sorted(files.find(local_name(url)))
    parts = [InputFile(f"{scheme}{path}") for path in found if path.lower().endswith(_PARQUET)]
    # Spark and others leave files that begin so beside the parts.
    parts = [part for part in parts if not part.url.rpartition("/")[2].startswith((".", "_"))]
    if not parts:
        raise DatasetError(
            f"{url}: a folder of ratings holds Parquet parts (*.parquet); this one has none"
            f"{f' among {len(found):,} files' if found else ': it is empty'}. Name a file instead."
        )
    return parts


def is_url(text: str) -> bool:
    """Whether it names a place by its scheme: s3://, gs://, https://."""
    return "://" in text


def filesystem(url: str) -> Any:  # noqa: ANN401  fsspec ships no types.
    """The one behind a URL, that of this machine for a path."""
    try:
        return fsspec.filesystem(urlsplit(url).scheme if is_url(url) else "file", use_listings_cache=False)
    except (ImportError, ValueError) as error:
        raise DatasetError(
            f"{url}: files are read from this machine, s3:// and what fsspec has a driver for; {error}."
        ) from error


def local_name(url: str) -> str:
    """As the file system wants it: a path without `~`, a URL as it is."""
    return url if is_url(url) else str(Path(url).expanduser())


@contextmanager
def translated(url: str) -> Iterator[None]:
    """Errors of disks, networks and client libraries as DatasetError."""
    try:
        yield
    except FileNotFoundError as error:
        raise DatasetError(f"{url}: there is no such file. Correct the path.") from error
    except IsADirectoryError as error:
        raise DatasetError(f"{url}: a file is wanted, and this is a folder.") from error
    except PermissionError as error:
        raise DatasetError(f"{url} cannot be read: {error.strerror or error}. Make it readable.") from error
    except OSError as error:
        raise DatasetError(
            f"{url} cannot be read to its end: {error.strerror or error}. It may be cut short or damaged: "
            "supply it anew."
        ) from error
    except Exception as error:
        if not is_url(url) or isinstance(error, DatasetError) or not _is_of_client(error):
            raise
        raise DatasetError(f"{url} cannot be read: {error}") from error


def _is_of_client(error: Exception) -> bool:
    """Every client library of an object store has its own errors: no credentials, no such host, …"""
    return type(error).__module__.partition(".")[0] in ("botocore", "aiobotocore", "s3fs", "aiohttp", "gcsfs")
