"""Files by URL (file:///…, s3://…): models, logs, checkpoints and prepared data sets.

A file appears under its name whole or not at all: a local file is written beside its name and renamed,
an object store publishes an object when its upload is complete.
"""

import errno
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

import fsspec

from shared.errors import TrialError
from shared.files import write_whole

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


def write_artifact(url: str, content: bytes) -> None:
    """Write or replace the file at `url`; raises TrialError "disk_full" or "artifact"."""
    local = local_path(url)
    with _translated(url):
        if local is None:
            _filesystem(url).pipe_file(url, content)
        else:
            _replace_file(local, content)


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


def cached_artifact(url: str, cache_dir: Path) -> bytes:
    """Content of a file that never changes under its name, kept in `cache_dir` after the first read."""
    if local_path(url) is not None:
        return read_artifact(url)
    copy = cache_dir / url.rsplit("/", 1)[-1]
    if not copy.exists():
        _replace_file(copy, read_artifact(url))
    return copy.read_bytes()


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
def _translated(url: str, *, is_reading: bool = False) -> Iterator[None]:
    """Errors of disks, networks and client libraries as TrialError; a missing file that is read passes."""
    try:
        yield
    except OSError as error:
        if is_reading and isinstance(error, FileNotFoundError):
            raise
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            message = f"no space left to write {url}: free some and run the sweep again"
            raise TrialError("disk_full", message) from error
        raise TrialError("artifact", f"cannot read or write {url}: {error.strerror or error}") from error
    except Exception as error:
        if local_path(url) is not None:
            raise
        # Every client library of an object store has its own errors: no credentials, no such host, …
        raise TrialError("artifact", f"cannot read or write {url}: {error}") from error
