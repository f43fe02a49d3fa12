"""Files appear under their name whole or not at all."""

import os
import stat
import threading
from pathlib import Path

import pytest

from shared.files import write_whole


def test_text_is_written_as_utf_8_and_bytes_as_they_are(tmp_path: Path) -> None:
    write_whole(tmp_path / "text", "modèle\n")
    write_whole(tmp_path / "bytes", b"\x00\xff")
    assert (tmp_path / "text").read_bytes() == b"mod\xc3\xa8le\n"
    assert (tmp_path / "bytes").read_bytes() == b"\x00\xff"


@pytest.mark.parametrize("mode", [0o600, 0o644])
def test_the_mode_is_the_one_asked_for_whatever_the_file_had(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    path.chmod(0o640)
    write_whole(path, "new", mode=mode)
    assert stat.S_IMODE(path.stat().st_mode) == mode


def test_a_file_is_private_unless_asked_otherwise(tmp_path: Path) -> None:
    write_whole(tmp_path / "file", "secret")
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o600


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a file away")
def test_the_owner_is_the_one_asked_for(tmp_path: Path) -> None:
    write_whole(tmp_path / "file", "secret", owner=(65534, 65533))
    status = (tmp_path / "file").stat()
    assert (status.st_uid, status.st_gid) == (65534, 65533)


@pytest.mark.parametrize("step", ["os.fsync", "os.fchmod", "pathlib.Path.replace"])
def test_a_write_that_fails_at_any_step_keeps_the_old_file_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    path = tmp_path / "file"
    write_whole(path, "old")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(step, fail)
    with pytest.raises(OSError, match="No space left"):
        write_whole(path, "new", is_durable=True)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_name_of_the_longest_kind_can_be_written(tmp_path: Path) -> None:
    path = tmp_path / ("n" * 255)
    write_whole(path, "x")
    assert path.read_text() == "x"


def test_a_reader_beside_many_writers_sees_one_whole_content(tmp_path: Path) -> None:
    path = tmp_path / "file"
    contents = [letter * 100_000 for letter in "abc"]
    write_whole(path, contents[0])

    def write(content: str) -> None:
        for _ in range(50):
            write_whole(path, content)

    threads = [threading.Thread(target=write, args=(content,)) for content in contents]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        assert path.read_text() in contents
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]
