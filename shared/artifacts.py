"""Files by URL (file:///…, s3://…): models, logs, checkpoints and prepared data sets.

A file appears under its name whole or not at all: a local file is written beside its name and renamed,
an object store publishes an object when its upload is complete.
"""

import errno
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urlsplit
from urllib.request import url2pathname

import fsspec

from shared.errors import TrialError
from shared.files import whole_file, write_whole

# The client's own patience is minutes; a lost object store should be noticed sooner.
_OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "s3": {
        "config_kwargs": {
            "connect_timeout": 10,
            "read_timeout": 60,
            "retries": {"max_attempts": 5, "mode": "standard"},
        }
    }
}

_COPIED_AT_ONCE = 1 << 22


def write_artifact(url: str, content: bytes) -> None:
    """Write or replace the file at `url`; raises TrialError "disk_full" or "artifact"."""
    local = local_path(url)
    with _translated(url):
        if local is None:
            _filesystem(url).pipe_file(url, content)
        else:
            _replace_file(local, content)


def write_large_artifact(url: str, write: Callable[[BinaryIO], None]) -> None:
    """As `write_artifact`, with what `write` puts into a file: it is never held in memory as a whole.

    A local file has reached the disk. For an object store it is put together in the folder of temporary
    files.
    """
    local = local_path(url)
    with _translated(url):
        if local is not None:
            local.parent.mkdir(parents=True, exist_ok=True)
            with whole_file(local, is_durable=True) as file:
                write(file)
            return
        with tempfile.TemporaryDirectory(prefix="recsweep-") as folder:
            unfinished = Path(folder) / "unfinished"
            with unfinished.open("wb") as file:
                write(file)
            _filesystem(url).put_file(str(unfinished), url)


def read_artifact(url: str) -> bytes:
    """Content of the file at `url`; raises FileNotFoundError when there is none, else TrialError."""
    local = local_path(url)
    with _translated(url, is_reading=True):
        return bytes(_filesystem(url).cat_file(url)) if local is None else local.read_bytes()


def artifact_exists(url: str) -> bool:
    """Whether a whole file lies at `url`; raises TrialError when the store cannot be asked."""
    local = local_path(url)
    with _translated(url):
        return bool(_filesystem(url).exists(url)) if local is None else local.exists()


def delete_artifact(url: str) -> None:
    """Remove the file at `url`; nothing happens when there is none. Raises TrialError "artifact"."""
    local = local_path(url)
    if local is not None:
        with _translated(url):
            local.unlink(missing_ok=True)
    elif artifact_exists(url):
        with _translated(url):
            _filesystem(url).rm_file(url)


def delete_folder(url: str) -> None:
    """Remove everything below `url`; nothing happens when there is nothing."""
    local = local_path(url)
    if local is not None:
        shutil.rmtree(local, ignore_errors=True)
    elif artifact_exists(url):
        with _translated(url):
            _filesystem(url).rm(url, recursive=True)


def cached_artifact(url: str, cache_dir: Path) -> Path:
    """A local file with the content of one that never changes under its name: itself where it is local.

    Else a copy in `cache_dir`, made by the first call. Raises FileNotFoundError when there is none, else
    TrialError.
    """
    local = local_path(url)
    if local is not None:
        with _translated(url, is_reading=True):
            local.stat()
        return local
    copy = cache_dir / url.rsplit("/", 1)[-1]
    if not copy.exists():
        with _translated(url, is_reading=True, copy=copy):
            copy.parent.mkdir(parents=True, exist_ok=True)
            with whole_file(copy) as file, _filesystem(url).open(url, "rb") as source:
                shutil.copyfileobj(source, file, _COPIED_AT_ONCE)
    return copy


def local_path(url: str) -> Path | None:
    """The path behind a file:// URL, None for any other scheme."""
    parts = urlsplit(url)
    return Path(url2pathname(parts.path)) if parts.scheme == "file" else None


def _filesystem(url: str) -> Any:  # noqa: ANN401  fsspec ships no types.
    scheme = urlsplit(url).scheme
    # Other hosts write too: what was listed a while ago says nothing.
    return fsspec.filesystem(scheme, use_listings_cache=False, **_OPTIONS.get(scheme, {}))


def _replace_file(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, content)


@contextmanager
def _translated(url: str, *, is_reading: bool = False, copy: Path | None = None) -> Iterator[None]:
    """Errors of disks, networks and client libraries as TrialError; a missing file that is read passes.

    `copy`: what is written instead, where the url is only read.
    """
    try:
        yield
    except OSError as error:
        if is_reading and isinstance(error, FileNotFoundError):
            raise
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            message = f"no space left to write {copy or url}: free some and run the sweep again"
            raise TrialError("disk_full", message) from error
        raise TrialError("artifact", f"cannot read or write {url}: {error.strerror or error}") from error
    except Exception as error:
        if local_path(url) is not None:
            raise
        # Every client library of an object store has its own errors: no credentials, no such host, …
        raise TrialError("artifact", f"cannot read or write {url}: {error}") from error
