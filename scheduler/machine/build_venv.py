"""Build .venv from a lock file: `python build_venv.py LOCK STAMP…`, in the project's folder.

Whatever interrupts it, the next command ends with a whole environment. While it works, `.venv.lock`
says so; an environment whose build did not end is removed and built anew, since pip takes a package
that it was installing for installed. Standard library alone: nothing is installed when this runs.
"""

import contextlib
import fcntl
import importlib.util
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator
from pathlib import Path
from typing import IO

ENVIRONMENT = Path(".venv")
BUILD_FILE = Path(".venv.lock")
PYTHON = ENVIRONMENT / "bin" / "python"
STAMPS = ".*-installed"
_UNFINISHED = "The build of .venv has not ended.\n"


class BuildError(Exception):
    """What a person can correct: printed as one line, exit code 2."""


def main(lock: Path, stamps: list[Path]) -> int:
    """Build or update the environment and touch the stamps; returns the exit code."""
    try:
        with _one_at_a_time() as build_file:
            if not _is_done(lock, stamps):
                _build(lock, stamps, build_file)
    except BuildError as error:
        sys.stderr.write(f"recsweep: {error}\n")
        return 2
    except OSError as error:
        place = error.filename or Path.cwd()
        sys.stderr.write(f"recsweep: cannot build .venv: {error.strerror or error} ({place})\n")
        return 2
    except KeyboardInterrupt:
        sys.stderr.write("recsweep: interrupted; the next command builds .venv anew\n")
        return 130
    return 0


def _build(lock: Path, stamps: list[Path], build_file: IO[str]) -> None:
    is_unfinished = bool(build_file.read())
    _write(build_file, _UNFINISHED)
    # First of all: make takes an environment with a stamp for whole.
    for stamp in ENVIRONMENT.glob(STAMPS):
        stamp.unlink()
    problem = "its last build did not end" if is_unfinished else _problem_of_environment()
    if problem and os.path.lexists(ENVIRONMENT):
        _say(f"Removing .venv: {problem}")
        _remove(ENVIRONMENT)
    if not ENVIRONMENT.exists():
        _create(build_file)
    _say(f"Installing {lock} (TensorFlow is large: a minute or two)")
    options = ("--quiet", "--disable-pip-version-check", "--require-hashes", "--requirement")
    # pip holds the build file too: should it outlive us, the next command waits for its end.
    command: list[str | Path] = [PYTHON, "-m", "pip", "install", *options, lock]
    if subprocess.call(command, pass_fds=[build_file.fileno()]) != 0:
        raise BuildError(f"pip could not install {lock}: what it said stands above")
    for stamp in stamps:
        stamp.touch()
    _write(build_file, "")


@contextlib.contextmanager
def _one_at_a_time() -> Iterator[IO[str]]:
    """Hold the file that is locked while .venv is built, and says whether the last build has ended."""
    try:
        file = BUILD_FILE.open("a+")
    except OSError as error:
        raise BuildError(
            f"cannot write to the folder {Path.cwd()}, where .venv is built: {error.strerror}; "
            "make it writable for this account, or clone to where you may write"
        ) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _say("Another command builds .venv: waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        yield file


def _is_done(lock: Path, stamps: list[Path]) -> bool:
    """Whether another command has done it all while this one waited."""
    try:
        newest = lock.stat().st_mtime
        return PYTHON.exists() and all(stamp.stat().st_mtime >= newest for stamp in stamps)
    except FileNotFoundError:
        return False


def _problem_of_environment() -> str | None:
    """Why nothing can be installed into the environment as it is; None when it can."""
    if not PYTHON.exists():
        return "it has no Python"
    probe: list[str | Path] = [PYTHON, "-c", "import pip._internal.cli.main"]
    try:
        done = subprocess.run(probe, capture_output=True, text=True, errors="replace", check=False)
    except OSError as error:
        return f"its Python does not run: {error.strerror}"
    return f"its pip does not run: {_last_words(done)}" if done.returncode != 0 else None


def _create(build_file: IO[str]) -> None:
    # Debian leaves this module out of its python3 package.
    if importlib.util.find_spec("ensurepip") is None:
        raise BuildError(
            f"{sys.executable} has no module ensurepip, which a virtual environment needs: install it "
            "(Debian, Ubuntu: apt-get install python3-venv), or name another: make PYTHON=/path/to/python3.12"
        )
    _say(f"Building .venv with Python {sys.version.partition(' ')[0]}")
    venv.create(ENVIRONMENT, symlinks=True)
    command: list[str | Path] = [PYTHON, "-I", "-m", "ensurepip", "--upgrade", "--default-pip"]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        pass_fds=[build_file.fileno()],
    )
    if done.returncode != 0:
        raise BuildError(f"cannot install pip into .venv with {sys.executable}: {_last_words(done)}")


def _last_words(done: subprocess.CompletedProcess[str]) -> str:
    return ((done.stderr or done.stdout).strip().splitlines() or [f"exit code {done.returncode}"])[-1]


def _remove(folder: Path) -> None:
    """A link is removed as a link: what it leads to is not ours."""
    if folder.is_symlink() or not folder.is_dir():
        folder.unlink()
    else:
        shutil.rmtree(folder)


def _write(file: IO[str], text: str) -> None:
    file.seek(0)
    file.truncate()
    file.write(text)
    file.flush()
    os.fsync(file.fileno())


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), [Path(name) for name in sys.argv[2:]]))
