"""The first command of a fresh clone: whatever interrupts it, the next one ends with a whole `.venv`.

The project is a copy whose lock file names one tiny package, so that nothing is downloaded.
"""

import base64
import hashlib
import os
import shutil
import signal
import subprocess
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.project_copy import copy_project

ROOT = Path(__file__).parents[2]
TIMEOUT_SECONDS = 120
_METADATA = "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n"


class Clone:
    """A copy of the project, and `make` in it."""

    def __init__(self, folder: Path, wheels: Path) -> None:
        self.folder = folder
        unwanted = ("PYTHON", "VIRTUAL_ENV", "STATE_DIR", "DATABASE_URL", "PYTHONPATH", "MAKEFLAGS")
        self.environment = {name: value for name, value in os.environ.items() if name not in unwanted}
        self.environment |= {
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(wheels),
            "PIP_CONFIG_FILE": os.devnull,
        }

    @property
    def venv(self) -> Path:
        return self.folder / ".venv"

    def start(self, *prefix: str) -> subprocess.Popen[str]:
        """`make setup` in a session of its own, as in a terminal."""
        return subprocess.Popen(
            [*prefix, "make", "--no-print-directory", "setup"],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def set_up(self, *prefix: str) -> subprocess.CompletedProcess[str]:
        with self.start(*prefix) as process:
            out, error = process.communicate(timeout=TIMEOUT_SECONDS)
        return subprocess.CompletedProcess(process.args, process.returncode, out, error)

    def interrupt(self, number: signal.Signals, is_moment: Callable[[], bool]) -> None:
        """Start, and signal everything that it started at the moment."""
        with self.start() as process:
            deadline = time.monotonic() + TIMEOUT_SECONDS
            while not is_moment():
                assert process.poll() is None, process.communicate()
                assert time.monotonic() < deadline
                time.sleep(0.001)
            os.killpg(process.pid, number)
            process.communicate(timeout=TIMEOUT_SECONDS)
            assert process.returncode != 0

    def assert_whole(self) -> None:
        result = self.set_up()
        assert result.returncode == 0, result.stdout + result.stderr
        done = subprocess.run(
            [self.venv / "bin" / "python", "-c", "import tiny; print(tiny.WORD)"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stdout == "whole\n", done.stderr
        # Nothing is left to do.
        assert "Nothing to be done" in self.set_up().stdout


@pytest.fixture
def clone(tmp_path: Path) -> Iterator[Clone]:
    folder, wheels = tmp_path / "a clone", tmp_path / "wheels"
    wheels.mkdir()
    copy_project(ROOT, folder)
    wheel = _make_wheel(wheels)
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    (folder / "requirements.lock").write_text(f"tiny==1.0 --hash=sha256:{digest}\n")
    (folder / ".env").unlink(missing_ok=True)
    yield Clone(folder, wheels)
    folder.chmod(0o755)


def _make_wheel(folder: Path) -> Path:
    content = {
        "tiny.py": "WORD = 'whole'\n",
        "tiny-1.0.dist-info/METADATA": _METADATA,
        "tiny-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(
        f"{name},sha256={base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip('=')},"
        f"{len(text)}\n"
        for name, text in content.items()
    )
    content["tiny-1.0.dist-info/RECORD"] = record + "tiny-1.0.dist-info/RECORD,,\n"
    path = folder / "tiny-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in content.items():
            archive.writestr(name, text)
    return path


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupt_while_the_environment_is_made_is_mended(clone: Clone, number: signal.Signals) -> None:
    clone.interrupt(number, (clone.venv / "bin" / "python").exists)
    assert not list(clone.venv.glob("lib/*/site-packages/tiny*"))
    clone.assert_whole()


def test_an_interrupt_while_packages_are_installed_is_mended(clone: Clone) -> None:
    clone.interrupt(
        signal.SIGKILL, lambda: bool(list(clone.venv.glob("lib/*/site-packages/pip/__main__.py")))
    )
    # What pip leaves when it is killed amid a package, and takes for the whole package afterwards.
    [packages] = clone.venv.glob("lib/*/site-packages")
    half = packages / "tiny-1.0.dist-info"
    half.mkdir(exist_ok=True)
    (half / "METADATA").write_text(_METADATA)
    clone.assert_whole()


def test_an_interrupt_while_another_lock_is_installed_is_mended(clone: Clone) -> None:
    clone.assert_whole()
    (clone.folder / "requirements.lock").touch()
    clone.interrupt(signal.SIGKILL, lambda: not list(clone.venv.glob(".*-installed")))
    [packages] = clone.venv.glob("lib/*/site-packages")
    (packages / "tiny.py").unlink()
    clone.assert_whole()


def test_an_environment_without_pip_is_built_anew(clone: Clone) -> None:
    subprocess.run(["python3", "-m", "venv", "--without-pip", ".venv"], cwd=clone.folder, check=True)
    result = clone.set_up()
    assert "Removing .venv: its pip does not run: " in result.stdout
    assert "No module named 'pip'" in result.stdout
    clone.assert_whole()


def test_an_environment_whose_python_is_gone_is_built_anew(clone: Clone) -> None:
    clone.assert_whole()
    python = clone.venv / "bin" / "python"
    python.unlink()
    python.symlink_to("/nowhere/python3")
    assert "Removing .venv: it has no Python" in clone.set_up().stdout
    clone.assert_whole()


def test_a_link_to_an_environment_elsewhere_is_removed_as_a_link(clone: Clone, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "kept").write_text("")
    clone.venv.symlink_to(elsewhere)
    clone.assert_whole()
    assert (elsewhere / "kept").exists()


def test_two_first_commands_at_once_build_one_environment(clone: Clone) -> None:
    with clone.start() as first, clone.start() as second:
        outputs = [process.communicate(timeout=TIMEOUT_SECONDS) for process in (first, second)]
        assert (first.returncode, second.returncode) == (0, 0), outputs
    said = "".join(out for out, _ in outputs)
    assert said.count("Building .venv") == 1
    assert said.count("Another command builds .venv: waiting for it") == 1
    clone.assert_whole()


def test_what_pip_refuses_is_said_and_the_next_command_begins_anew(clone: Clone) -> None:
    lock = clone.folder / "requirements.lock"
    right = lock.read_text()
    lock.write_text(f"tiny==1.0 --hash=sha256:{'0' * 64}\n")
    result = clone.set_up()
    assert result.returncode == 2
    assert "THESE PACKAGES DO NOT MATCH THE HASHES" in result.stderr
    assert "recsweep: pip could not install requirements.lock" in result.stderr
    lock.write_text(right)
    clone.assert_whole()


def test_a_clone_that_cannot_be_written_to_is_called_so(clone: Clone) -> None:
    prefix: list[str] = []
    if os.geteuid() == 0:
        if not shutil.which("setpriv"):
            pytest.skip("root writes everywhere, and there is no setpriv to take that right away")
        prefix = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]
    clone.folder.chmod(0o555)
    result = clone.set_up(*prefix)
    [line] = [line for line in result.stderr.splitlines() if not line.startswith("make")]
    assert line.startswith(f"recsweep: cannot write to the folder {clone.folder}, where .venv is built: ")
    assert "Permission denied" in line
    assert "python3-venv" not in result.stdout + result.stderr
    assert result.returncode == 2


@pytest.mark.parametrize(
    ("script", "found"),
    [("[ $1 = --version ] && echo Python 3.8.18; exit 1", "found: Python 3.8.18."), (None, "there is no ")],
)
def test_a_python_that_does_not_fit_is_refused_with_the_remedy(
    clone: Clone, tmp_path: Path, script: str | None, found: str
) -> None:
    python = tmp_path / "a folder" / "python3"
    python.parent.mkdir()
    if script:
        python.write_text(f"#!/bin/sh\n{script}\n")
        python.chmod(0o755)
    clone.environment["PYTHON"] = str(python)
    result = clone.set_up()
    [line] = [line for line in result.stderr.splitlines() if not line.startswith("make")]
    assert found in line
    assert "make PYTHON=/path/to/python3.12" in line
    assert not clone.venv.exists()
