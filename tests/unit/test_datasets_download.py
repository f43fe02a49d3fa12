"""Downloads from a server on loopback: whole or not at all, and quick to give up."""

import hashlib
import io
import re
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from rich.console import Console

from shared.datasets.sources import download
from shared.datasets.sources.download import DownloadError, download_progress, fetch_archive
from shared.errors import DatasetError

CONTENT = bytes(range(256)) * 1024
SHA256 = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"


class Handler(BaseHTTPRequestHandler):
    def do_HEAD(self):
        self.answer()

    def do_GET(self):
        if self.path.endswith(".md5"):
            self.answer_checksum()
        else:
            self.answer()

    def answer_checksum(self):
        name = self.path.strip("/").removesuffix(".md5")
        digits = hashlib.md5(CONTENT, usedforsecurity=False).hexdigest().upper()
        line = "no checksum" if name == "odd.zip" else f"MD5 ({name}) = {digits}\n"
        self.send_response(200)
        self.end_headers()
        self.wfile.write(line.encode())

    def answer(self):
        self.server.n_requests += 1
        name = self.path.lstrip("/")
        self.send_response(404 if name == "missing.zip" else 200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        if self.command == "HEAD":
            return
        if name == "cut.zip":
            self.wfile.write(CONTENT[:1000])
        elif name == "other.zip":
            self.wfile.write(b"x" * len(CONTENT))
        else:
            self.wfile.write(CONTENT)

    def log_message(self, *args):
        pass


@pytest.fixture
def server(monkeypatch):
    # A proxy of the machine has no business with loopback.
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    running = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    running.n_requests = 0
    running.url = f"http://127.0.0.1:{running.server_port}"
    thread = threading.Thread(target=running.serve_forever, args=(0.01,))
    thread.start()
    yield running
    running.shutdown()
    thread.join()
    running.server_close()


@pytest.fixture
def silent_url(monkeypatch):
    """A place that takes connections and never answers."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/a.zip"


def test_the_archive_arrives_whole_under_its_name_alone(server, tmp_path):
    archive = fetch_archive(f"{server.url}/a.zip", SHA256, tmp_path / "new" / "folder")
    assert archive == tmp_path / "new" / "folder" / "a.zip"
    assert archive.read_bytes() == CONTENT
    assert [path.name for path in archive.parent.iterdir()] == ["a.zip"]


def test_a_whole_archive_is_not_downloaded_again(server, tmp_path):
    (tmp_path / "a.zip").write_bytes(CONTENT)
    fetch_archive(f"{server.url}/a.zip", SHA256, tmp_path)
    assert server.n_requests == 0


def test_half_an_archive_is_downloaded_again(server, tmp_path):
    (tmp_path / "a.zip").write_bytes(CONTENT[:1000])
    assert fetch_archive(f"{server.url}/a.zip", SHA256, tmp_path).read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("missing.zip", "the server answered with HTTP status 404"),
        ("cut.zip", "the connection broke off"),
        ("other.zip", f"expected {SHA256} but got "),
    ],
)
def test_a_failed_download_is_told_and_leaves_no_file(server, tmp_path, name, reason):
    with pytest.raises(DownloadError, match=re.escape(reason)) as caught:
        fetch_archive(f"{server.url}/{name}", SHA256, tmp_path)
    assert f"{server.url}/{name}" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_no_server_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(DownloadError, match="no connection to the server"):
        fetch_archive(f"http://127.0.0.1:{port}/a.zip", SHA256, tmp_path)


def test_a_silent_server_is_given_up_after_the_connect_timeout(silent_url, tmp_path, monkeypatch):
    monkeypatch.setattr(download, "CONNECT_TIMEOUT_SECONDS", 0.1)
    with pytest.raises(DownloadError, match="no answer in time"):
        fetch_archive(silent_url, SHA256, tmp_path)


def test_a_name_lookup_that_hangs_is_given_up(tmp_path, monkeypatch):
    lookup_ends = threading.Event()

    def hang(*args, **kwargs):
        lookup_ends.wait(60)
        raise socket.gaierror(socket.EAI_NONAME, "unknown name")

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    monkeypatch.setattr(download, "FIRST_ANSWER_SECONDS", 0.1)
    started = time.monotonic()
    with pytest.raises(DownloadError, match="no answer in time"):
        fetch_archive("http://data.invalid/a.zip", SHA256, tmp_path)
    assert time.monotonic() - started < 5
    lookup_ends.set()
    for thread in threading.enumerate():
        if thread.name == "download-check":
            thread.join()


def test_an_archive_that_changes_is_checked_by_the_checksum_beside_it(server, tmp_path):
    archive = fetch_archive(f"{server.url}/a.zip", None, tmp_path)
    assert archive.read_bytes() == CONTENT
    with pytest.raises(DownloadError, match=r"other\.zip gave another file than the published one: .*md5:"):
        fetch_archive(f"{server.url}/other.zip", None, tmp_path)
    with pytest.raises(DownloadError, match=r"odd\.zip\.md5 holds no MD5"):
        fetch_archive(f"{server.url}/odd.zip", None, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]
    # What is there stays: trials have learned from it.
    n_requests = server.n_requests
    assert fetch_archive(f"{server.url}/a.zip", None, tmp_path) == archive
    assert server.n_requests == n_requests


def test_a_folder_that_cannot_be_written_is_told(server, tmp_path):
    (tmp_path / "file").write_text("in the way of a folder")
    with pytest.raises(DatasetError, match=r"cannot be written: .*set STATE_DIR to another folder") as caught:
        fetch_archive(f"{server.url}/a.zip", SHA256, tmp_path / "file")
    # Not a DownloadError: with a full disk, going on with other data would only fail later.
    assert not isinstance(caught.value, DownloadError)


@pytest.mark.parametrize("is_terminal", [True, False])
def test_progress_says_what_is_downloaded_and_reaches_the_whole_size(server, tmp_path, is_terminal):
    output = io.StringIO()
    with download_progress(Console(file=output, width=100, force_terminal=is_terminal)) as progress:
        fetch_archive(f"{server.url}/a.zip", SHA256, tmp_path, progress)
    (task,) = progress.tasks
    assert (task.description, task.completed, task.total) == ("a.zip", len(CONTENT), len(CONTENT))
    # 256 * 1024 bytes = 262.1 kB
    assert f"Downloading {server.url}/a.zip (262.1 kB)" in output.getvalue()
    assert ("262.1/262.1 kB" in output.getvalue()) == is_terminal


def test_progress_shows_nothing_without_a_download():
    output = io.StringIO()
    with download_progress(Console(file=output)):
        pass
    assert output.getvalue() == ""
