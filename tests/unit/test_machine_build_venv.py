"""What building .venv says when it cannot: the cause that it knows, in one line."""

import errno
import importlib.util
from pathlib import Path

import pytest

from scheduler.machine import build_venv


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def _fail() -> int:
    return build_venv.main(Path("requirements.lock"), [Path(".venv/.installed")])


def test_a_python_without_the_venv_module_gets_the_package_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    assert _fail() == 2
    said = capsys.readouterr().err
    assert "has no module ensurepip" in said
    assert "python3-venv" in said
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    ("number", "words"), [(errno.ENOSPC, "No space left on device"), (errno.EROFS, "Read-only file system")]
)
def test_what_the_system_refuses_is_told_in_its_words(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], number: int, words: str
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, words, ".venv/lib")

    monkeypatch.setattr(build_venv.venv, "create", refuse)
    assert _fail() == 2
    said = capsys.readouterr().err
    assert said == f"recsweep: cannot build .venv: {words} (.venv/lib)\n"


def test_a_folder_that_cannot_be_written_to_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    assert _fail() == 2
    said = capsys.readouterr().err
    assert said.startswith(f"recsweep: cannot write to the folder {tmp_path}, where .venv is built: ")
    assert "python3-venv" not in said
