"""The copied Postgres: there under its name only when it is whole, one for every release."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from scheduler.machine.places import _copy_install


def _make_wheel(folder: Path, release_seconds: int) -> Path:
    """An installed wheel with a program that runs for a while."""
    install = folder / "package" / "pginstall"
    (install / "bin").mkdir(parents=True, exist_ok=True)
    (install / "share").mkdir(exist_ok=True)
    (install / "share" / "file").write_text("content")
    libraries = folder / "package.libs"
    libraries.mkdir(exist_ok=True)
    (libraries / "lib.so").write_text("library")
    program = install / "bin" / "postgres"
    shutil.copy(str(shutil.which("sleep")), program)
    os.utime(program, (release_seconds, release_seconds))
    return install


def test_a_copy_keeps_the_layout_and_is_made_once(tmp_path: Path) -> None:
    wheel = _make_wheel(tmp_path, 1)
    install = _copy_install(wheel, tmp_path / "home")
    assert (install / "share" / "file").read_text() == "content"
    assert (install.parent.with_name("package.libs") / "lib.so").read_text() == "library"
    (install / "mark").write_text("")
    assert _copy_install(wheel, tmp_path / "home") == install
    assert (install / "mark").exists()


def _interrupted_at(name: str, original: Callable[[Path], bool]) -> Callable[[Path], bool]:
    def exists(path: Path) -> bool:
        if path.name == name:
            raise KeyboardInterrupt
        return original(path)

    return exists


def test_an_interrupted_copy_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wheel = _make_wheel(tmp_path, 1)
    with monkeypatch.context() as patch:
        # The libraries are copied after the binaries.
        patch.setattr(Path, "exists", _interrupted_at("package.libs", Path.exists))
        with pytest.raises(KeyboardInterrupt):
            _copy_install(wheel, tmp_path / "home")
    install = _copy_install(wheel, tmp_path / "home")
    assert (install.parent.with_name("package.libs") / "lib.so").exists()
    assert [path.name.endswith(".unfinished") for path in (tmp_path / "home").iterdir()] == [False]


def test_an_old_release_goes_when_nothing_runs_from_it(tmp_path: Path) -> None:
    home = tmp_path / "home"
    old = _copy_install(_make_wheel(tmp_path, 1), home)
    with subprocess.Popen([old / "bin" / "postgres", "60"]) as server:
        try:
            new = _copy_install(_make_wheel(tmp_path, 2), home)
            assert new != old
            assert (old / "bin" / "postgres").exists()
        finally:
            server.kill()
    _copy_install(_make_wheel(tmp_path, 2), home)
    assert not old.exists()
    assert (new / "bin" / "postgres").exists()
