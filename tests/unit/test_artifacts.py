"""Artifacts appear whole or not at all."""

import errno
from pathlib import Path

import pytest

from shared import artifacts
from shared.errors import TrialError


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
    assert artifacts.cached_artifact(url, tmp_path) == b"content"
    artifacts.delete_artifact(url)
    assert artifacts.cached_artifact(url, tmp_path) == b"content"


def test_a_failed_write_leaves_the_old_content_and_no_temporary_file(tmp_path, monkeypatch):
    url = (tmp_path / "x.bin").as_uri()
    artifacts.write_artifact(url, b"old")

    def fill_the_disk(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

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
