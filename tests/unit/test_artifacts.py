"""Artifacts appear whole or not at all."""

import errno
import shutil
from pathlib import Path

import pytest

from shared import artifacts
from shared.errors import TrialError


def fill_the_disk(*_):
    raise OSError(errno.ENOSPC, "No space left on device")


def test_an_artifact_is_read_back_from_a_path_with_spaces_and_accents(tmp_path):
    url = (tmp_path / "a folder" / "modèle").as_uri() + "/x.bin"
    artifacts.write_artifact(url, b"first")
    artifacts.write_artifact(url, b"second")
    assert artifacts.read_artifact(url) == b"second"
    assert artifacts.artifact_exists(url)
    artifacts.delete_artifact(url)
    artifacts.delete_artifact(url)
    assert not artifacts.artifact_exists(url)


def test_a_missing_artifact_is_not_found(tmp_path):
    with pytest.raises(FileNotFoundError):
        artifacts.read_artifact((tmp_path / "absent").as_uri())


def test_other_stores_are_reached_by_their_scheme():
    url = "memory://store/models/x.bin"
    artifacts.write_artifact(url, b"content")
    assert artifacts.artifact_exists(url)
    assert artifacts.read_artifact(url) == b"content"
    artifacts.delete_artifact(url)
    assert not artifacts.artifact_exists(url)


def test_a_remote_artifact_is_fetched_once(tmp_path):
    url = "memory://store/datasets/fingerprint.npz"
    artifacts.write_artifact(url, b"content")
    copy = artifacts.cached_artifact(url, tmp_path)
    assert copy.read_bytes() == b"content"
    artifacts.delete_artifact(url)
    assert artifacts.cached_artifact(url, tmp_path) == copy == tmp_path / "fingerprint.npz"
    assert [path.name for path in tmp_path.iterdir()] == ["fingerprint.npz"]


def test_a_local_artifact_is_its_own_copy(tmp_path):
    (tmp_path / "x.npz").write_bytes(b"content")
    assert artifacts.cached_artifact((tmp_path / "x.npz").as_uri(), tmp_path / "cache") == tmp_path / "x.npz"


@pytest.mark.parametrize("folder", ["memory://store/datasets", "file:///nonexistent/datasets"])
def test_a_missing_artifact_is_not_found_and_leaves_no_copy(tmp_path, folder):
    with pytest.raises(FileNotFoundError):
        artifacts.cached_artifact(f"{folder}/absent.npz", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_copy_without_room_is_told_by_its_own_place(tmp_path, monkeypatch):
    url = "memory://store/datasets/large.npz"
    artifacts.write_artifact(url, b"content")
    monkeypatch.setattr(shutil, "copyfileobj", fill_the_disk)
    with pytest.raises(TrialError, match=rf"no space left to write {tmp_path}/large\.npz") as caught:
        artifacts.cached_artifact(url, tmp_path)
    assert caught.value.reason == "disk_full"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("folder", ["memory://store/large", None])
def test_a_large_artifact_is_written_piece_by_piece(tmp_path, folder):
    url = f"{folder or (tmp_path / 'a' / 'b').as_uri()}/x.bin"

    def write(file):
        file.write(b"one ")
        file.write(b"two")

    artifacts.write_large_artifact(url, write)
    assert artifacts.read_artifact(url) == b"one two"


def test_a_large_artifact_for_which_there_is_no_room_leaves_nothing(tmp_path):
    def write(file):
        file.write(b"some of it")
        fill_the_disk()

    url = (tmp_path / "x.npz").as_uri()
    with pytest.raises(TrialError, match="no space left to write file://") as caught:
        artifacts.write_large_artifact(url, write)
    assert caught.value.reason == "disk_full"
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_leaves_the_old_content_and_no_temporary_file(tmp_path, monkeypatch):
    url = (tmp_path / "x.bin").as_uri()
    artifacts.write_artifact(url, b"old")

    monkeypatch.setattr(Path, "replace", fill_the_disk)
    with pytest.raises(TrialError, match="no space left to write") as caught:
        artifacts.write_artifact(url, b"new")
    assert caught.value.reason == "disk_full"
    assert artifacts.read_artifact(url) == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["x.bin"]


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(TrialError, match="cannot read or write file://") as caught:
        artifacts.write_artifact((tmp_path / "file").as_uri() + "/x.bin", b"new")
    assert caught.value.reason == "artifact"
