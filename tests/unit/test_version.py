"""The fingerprint of the source: an edit of a file in a folder changes it, one beside it does not."""

import pytest

from shared import version
from shared.version import source_fingerprint


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.setattr(version, "PROJECT_ROOT", tmp_path)
    for name in ("engine/epoch.py", "engine/parts/adam.py", "engine/notes.txt", "task.py"):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("1")
    return tmp_path


def fingerprint():
    source_fingerprint.cache_clear()
    return source_fingerprint("engine")


@pytest.mark.parametrize("name", ["engine/epoch.py", "engine/parts/adam.py", "engine/new.py"])
def test_an_edit_of_the_source_changes_the_fingerprint(project, name):
    before = fingerprint()
    (project / name).write_text("2")
    assert fingerprint() != before


@pytest.mark.parametrize("name", ["engine/notes.txt", "task.py"])
def test_what_is_not_of_the_source_does_not_change_it(project, name):
    before = fingerprint()
    (project / name).write_text("2")
    assert fingerprint() == before
