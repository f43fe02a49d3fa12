"""Download of a published archive: checked, whole or not at all, and quick to give up without a network."""

import logging
import re
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from rich.console import Console
from rich.filesize import decimal
from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn

from shared.console import PlainColumn
from shared.datasets.sources.raw_files import checksum_of
from shared.errors import DatasetError

if TYPE_CHECKING:
    import requests

CONNECT_TIMEOUT_SECONDS = 5.0
READ_TIMEOUT_SECONDS = 15.0
# In all, for finding out that there is no network: name lookup has no time-out of its own.
FIRST_ANSWER_SECONDS = 8.0
CHUNK_BYTES = 1 << 16

_logger = logging.getLogger(__name__)


class DownloadError(DatasetError):
    """The archive cannot be had from its place: no network, an error there, or other content."""


def fetch_archive(url: str, checksum: str | None, folder: Path, progress: Progress | None = None) -> Path:
    """The archive in `folder`, downloaded unless a whole one is there.

    The file gets its name only after its checksum was right: as of `checksum_of`, or None for an archive that
    changes; then it is the MD5 that is published beside it, and an archive that is there is taken as it is.
    Raises DownloadError when the archive cannot be had, DatasetError when it cannot be written.
    """
    import pooch  # noqa: PLC0415  Slow to load, and few commands need it.
    import requests  # noqa: PLC0415  Slow to load, and few commands need it.

    archive = folder / Path(urlsplit(url).path).name
    try:
        if archive.is_file() and _is_whole(archive, checksum):
            return archive
        _check_answers(url)
        known_hash = checksum or _published_md5(f"{url}.md5")
        _logger.info("downloading %s", url)
        # pooch reports on its own logger what we report on ours.
        pooch.get_logger().setLevel(logging.WARNING)
        pooch.retrieve(
            url,
            known_hash=known_hash,
            fname=archive.name,
            path=folder,
            downloader=partial(_download, progress=progress),
        )
    except requests.RequestException as error:
        raise DownloadError(f"{url} cannot be downloaded: {_reason(error)}") from error
    except ValueError as error:
        # The first sentence of pooch names the expected and the received checksum.
        difference = str(error).split(". ")[0]
        raise DownloadError(f"{url} gave another file than the published one: {difference}") from error
    except OSError as error:
        raise DatasetError(
            f"{archive} cannot be written: {error.strerror or error}. "
            "Make room, or set STATE_DIR to another folder."
        ) from error
    return archive


def download_progress(console: Console) -> Progress:
    """A progress display for `fetch_archive`: a line, and on a terminal a bar with size and time left."""
    return Progress(
        PlainColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TimeRemainingColumn(),
        console=console,
        # Without a terminal, rich would print a bar at the end, or an empty line when nothing was downloaded.
        disable=not console.is_interactive,
    )


def _download(url: str, output_file: str, _pooch: None, *, progress: Progress | None) -> None:
    """What pooch calls with a temporary file; its own downloader leaves connections open after an error."""
    import requests  # noqa: PLC0415  Slow to load, and few commands need it.

    timeouts = (CONNECT_TIMEOUT_SECONDS, READ_TIMEOUT_SECONDS)
    with requests.get(url, stream=True, timeout=timeouts) as response, Path(output_file).open("wb") as file:
        response.raise_for_status()
        size_bytes = int(response.headers.get("Content-Length", 0))
        report = _report_progress(progress, url, size_bytes) if progress else None
        for chunk in response.iter_content(CHUNK_BYTES):
            file.write(chunk)
            if report:
                report(len(chunk))


def _report_progress(progress: Progress, url: str, size_bytes: int) -> Callable[[int], None]:
    """Say what is downloaded, for screens without a bar too; gives what to call with the bytes of a chunk."""
    size = f" ({decimal(size_bytes)})" if size_bytes else ""
    progress.console.print(f"Downloading {url}{size}", soft_wrap=True, highlight=False)
    task_id = progress.add_task(Path(urlsplit(url).path).name, total=size_bytes or None)

    def advance(n_bytes: int) -> None:
        progress.advance(task_id, n_bytes)

    return advance


def _is_whole(archive: Path, checksum: str | None) -> bool:
    return checksum is None or checksum_of(archive.read_bytes(), checksum) == checksum


def _published_md5(url: str) -> str:
    """The checksum in a file of one line, `MD5 (name) = digits`; raises RequestException or ValueError."""
    import requests  # noqa: PLC0415  Slow to load, and few commands need it.

    response = requests.get(url, timeout=(CONNECT_TIMEOUT_SECONDS, READ_TIMEOUT_SECONDS))
    response.raise_for_status()
    found = re.search(r"\b[0-9a-fA-F]{32}\b", response.text)
    if found is None:
        raise ValueError(f"{url} holds no MD5")
    return f"md5:{found[0].lower()}"


def _check_answers(url: str) -> None:
    """Raise RequestException unless the place answers anything at all within FIRST_ANSWER_SECONDS."""
    import requests  # noqa: PLC0415  Slow to load, and few commands need it.

    failures: list[requests.RequestException] = []

    def ask() -> None:
        try:
            requests.head(url, timeout=CONNECT_TIMEOUT_SECONDS)
        except requests.RequestException as error:
            failures.append(error)

    # A daemon thread: a name lookup that hangs can be left behind, but not interrupted.
    thread = threading.Thread(target=ask, name="download-check", daemon=True)
    thread.start()
    thread.join(FIRST_ANSWER_SECONDS)
    if thread.is_alive():
        raise requests.ConnectTimeout
    if failures:
        raise failures[0]


def _reason(error: "requests.RequestException") -> str:
    """Half a sentence in place of the nested message of requests."""
    import requests  # noqa: PLC0415  Slow to load, and few commands need it.

    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"the server answered with HTTP status {error.response.status_code}"
    if isinstance(error, requests.Timeout):
        return "no answer in time"
    if isinstance(error, requests.exceptions.SSLError):
        return "the certificate of the server cannot be verified"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "the connection broke off"
    return "no connection to the server"
