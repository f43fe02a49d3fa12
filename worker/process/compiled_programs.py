"""Compiled programs outlive their process: TensorFlow finds what an earlier one compiled.

TensorFlow can keep programs in a folder, but it trusts that folder: a file cut short or a full disk ends the
call with an error, and machine code with a changed bit is run. So TensorFlow is shown a folder of this
process alone, in memory where there is such a place, which holds one program while that is compiled; the
programs themselves are in a `ProgramStore`, which checks them.
"""

import hashlib
import json
import logging
import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TypeVar

import psutil

from shared.files import write_whole
from worker.process.private_folder import NotPrivateError, make_private
from worker.process.program_store import Program, ProgramStore

logger = logging.getLogger(__name__)

T = TypeVar("T")

_FLAGS = "TF_XLA_FLAGS"
_FOLDER_FLAG = "--tf_xla_persistent_cache_directory"
# What else decides what the compiler makes.
_COMPILER_VARIABLES = ("XLA_FLAGS", _FLAGS)
_CPUINFO = Path("/proc/cpuinfo")
_PROCESSOR_KEYS = frozenset(
    {"vendor_id", "cpu family", "model", "model name", "stepping", "flags"}  # x86
    | {"CPU implementer", "CPU architecture", "CPU variant", "CPU part", "Features"}  # ARM
)
_MIN_FREE_BYTES = 32 * 2**20


class KeptPrograms:
    """`store`: the checked programs; `shown`: the folder that TensorFlow reads and writes."""

    def __init__(self, store: ProgramStore, shown: Path) -> None:
        self._store = store
        self._shown = shown

    def compile(self, name: str, call: Callable[[str], T], error: type[Exception]) -> T:
        """What `call(name)` gives, which compiles the program of this name, or loads it where it is kept.

        Where it raises `error` with the kept program, it is called once more without, and by another name,
        since TensorFlow remembers under the old one that it failed.
        """
        kept = self._store.load(name)
        try:
            with self._showing(kept):
                result = call(name)
                compiled = self._compiled(kept)
        except error as failed:
            if kept is None:
                raise
            logger.warning("a kept program is not taken, it is compiled again: %s", _first_line(failed))
            self._store.delete(name)
            with self._showing(None):
                return call(f"{name} again")
        if compiled is not None:
            self._store.save(name, compiled)
        elif kept is None:
            logger.warning("TensorFlow kept no compiled program: was it in use before it was told to?")
        return result

    @contextmanager
    def _showing(self, program: Program | None) -> Iterator[None]:
        """The folder exists only meanwhile: a process that is killed leaves little behind."""
        try:
            self._shown.mkdir(mode=0o700, parents=True, exist_ok=True)
            if program is not None:
                write_whole(self._shown / program.file_name, program.content)
        except OSError as error:
            logger.warning("a kept program is not used: %s: %s", self._shown, error.strerror)
        try:
            yield
        finally:
            shutil.rmtree(self._shown, ignore_errors=True)

    def _compiled(self, kept: Program | None) -> Program | None:
        """What TensorFlow has added, None where it used the kept program."""
        known = None if kept is None else kept.file_name
        for path in self._shown.iterdir() if self._shown.exists() else ():
            if path.name != known:
                program = Program(path.name, path.read_bytes())
                if program.is_named_well:
                    return program
        return None


_kept: KeptPrograms | None = None


def kept_programs() -> KeptPrograms | None:
    """Those of this process; None unless it keeps any."""
    return _kept


@cache
def keep_compiled_programs(cache_dir: Path) -> None:
    """From now on keep what this process compiles below `cache_dir`; must precede TensorFlow's first step.

    Programs are kept for one version of TensorFlow on one kind of processor. Where the folder is not ours
    alone, or anything else is missing, the log says so and every program is compiled.
    """
    global _kept  # noqa: PLW0603  TensorFlow's flags are the process's too.
    flags = os.environ.get(_FLAGS, "")
    if _FOLDER_FLAG in flags:
        logger.info("compiled programs are kept as %s says: %s", _FLAGS, flags)
        return
    root = cache_dir / "compiled"
    try:
        make_private(root)
        kind = program_kind()
        make_private(root / kind)
        shown = _shown_folder((Path("/dev/shm"), Path(tempfile.gettempdir())))  # noqa: S108  Made private.
    except NotPrivateError as error:
        logger.warning("compiled programs are not kept, every trial compiles its own: %s", error)
        return
    os.environ[_FLAGS] = f"{flags} {_FOLDER_FLAG}={shown}".strip()
    _kept = KeptPrograms(ProgramStore(root, kind), shown)


def program_kind(cpuinfo: Path = _CPUINFO) -> str:
    """Name of the folder for the programs that this TensorFlow on this processor can run.

    Raises NotPrivateError where the system does not say which processor it is.
    """
    tensorflow = _tensorflow_version()
    parts = [tensorflow, _processor(cpuinfo), *(os.environ.get(name, "") for name in _COMPILER_VARIABLES)]
    digest = hashlib.sha256(json.dumps(parts).encode()).hexdigest()
    return f"tensorflow-{tensorflow}-{digest[:16]}"


def _processor(cpuinfo: Path) -> list[str]:
    """Models and instruction sets, each once."""
    try:
        lines = [line.partition(":") for line in cpuinfo.read_text(encoding="utf-8").splitlines()]
    except OSError as error:
        raise NotPrivateError(f"the processor is not known: {cpuinfo}: {error.strerror}") from error
    found = {
        f"{key.strip()}: {' '.join(sorted(value.split()))}"
        for key, _, value in lines
        if key.strip() in _PROCESSOR_KEYS
    }
    if not found:
        raise NotPrivateError(f"the processor is not known: {cpuinfo} does not name it")
    return sorted(found)


def _tensorflow_version() -> str:
    try:
        return version("tensorflow-cpu")
    except PackageNotFoundError:
        return version("tensorflow")


def _shown_folder(homes: tuple[Path, ...]) -> Path:
    """A name of this process in a private folder in the first of `homes` that has room."""
    problems = []
    for home in homes:
        folder = home / f"recsweep-{os.geteuid()}"
        try:
            make_private(folder)
        except NotPrivateError as error:
            problems.append(str(error))
            continue
        _remove_left_behind(folder)
        if shutil.disk_usage(folder).free >= _MIN_FREE_BYTES:
            return folder / f"{os.getpid()}-{secrets.token_hex(8)}"
        problems.append(f"{home} is full")
    raise NotPrivateError("; ".join(problems))


def _remove_left_behind(folder: Path) -> None:
    """What processes left that were killed while they compiled."""
    for path in folder.iterdir():
        pid = path.name.partition("-")[0]
        if pid.isdecimal() and not psutil.pid_exists(int(pid)):
            shutil.rmtree(path, ignore_errors=True)


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
