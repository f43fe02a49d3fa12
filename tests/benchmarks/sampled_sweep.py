"""A sweep by `make sweep` as a person has it, with its task processes watched from outside."""

import contextlib
import os
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
from sqlalchemy import text

from scheduler.machine import clean_services, find_endpoints, services_status
from shared.settings import PROJECT_ROOT, Settings
from shared.store.database import create_engine
from tests.project_copy import copy_project

_PERIOD_SECONDS = 0.2
_MIN_SAMPLES = 10
# What decides where recsweep looks; a benchmark must not touch the results of the person who runs it.
_OWN_VARIABLES = ("DATABASE_URL", "BROKER_URL", "ARTIFACT_URL", "STATE_DIR", "WORKERS", "DRY_RUN")
_ATTEMPTS = text("""
    select
        trials.label, trials.is_baseline, attempts.worker,
        cast(extract(epoch from attempts.started_at) as double precision) as started_at,
        cast(extract(epoch from attempts.ended_at) as double precision) as ended_at,
        trials.peak_memory_bytes, trials.train_seconds,
        (select count(*) from epochs where epochs.trial_id = trials.trial_id) as n_epochs
    from attempts
    join trials using (trial_id)
    where trials.status = 'succeeded'
    order by attempts.started_at
""")


@dataclass(frozen=True)
class Sample:
    """One look at a task process, at a time of the system's clock."""

    at: float
    cpu_seconds: float
    resident_bytes: int


@dataclass(frozen=True)
class Attempt:
    """One trial as it ran, in order of start."""

    label: str
    is_baseline: bool
    pid: int
    started_at: float
    ended_at: float
    peak_memory_bytes: int
    train_seconds: float
    n_epochs: int


@dataclass(frozen=True)
class SampledSweep:
    """What was seen: the time of the whole command, the trials, and the samples of each task process."""

    wall_seconds: float
    attempts: tuple[Attempt, ...]
    samples: dict[int, list[Sample]]

    @property
    def trials_seconds(self) -> float:
        """From the start of the first trial to the end of the last."""
        return max(one.ended_at for one in self.attempts) - self.attempts[0].started_at

    def cores_used(self, pid: int) -> float | None:
        """CPU seconds a second of a task process, from its first trial to its last; None if it was short."""
        own = [one for one in self.attempts if one.pid == pid]
        first, last = own[0].started_at, max(one.ended_at for one in own)
        busy = [sample for sample in self.samples[pid] if first <= sample.at <= last]
        if len(busy) < _MIN_SAMPLES:
            return None
        return (busy[-1].cpu_seconds - busy[0].cpu_seconds) / (busy[-1].at - busy[0].at)

    def peak_bytes(self, pid: int) -> int:
        """The largest resident memory of a task process: as the trials recorded it, or as it was seen."""
        recorded = [one.peak_memory_bytes for one in self.attempts if one.pid == pid]
        return max(*recorded, *(sample.resident_bytes for sample in self.samples[pid]))

    def resident_before(self, attempt: Attempt) -> int:
        """Resident memory of the process when this trial began."""
        return min(self.samples[attempt.pid], key=lambda one: abs(one.at - attempt.started_at)).resident_bytes


@contextlib.contextmanager
def installed_copy() -> Iterator[Path]:
    """The project with a .venv of its own that has what `make setup` installs, removed in the end.

    The .venv of a developer holds more, and Keras imports what it finds there.
    """
    with tempfile.TemporaryDirectory(prefix="recsweep-bench-") as folder:
        # Postgres may run as another account, which has to get in.
        Path(folder).chmod(0o755)
        copy = Path(folder) / "recsweep"
        copy_project(PROJECT_ROOT, copy)
        _make("setup", copy, dict(os.environ))
        yield copy


def run_sweep(copy: Path, sweep: str, n_workers: int, programs: Path | None = None) -> SampledSweep:
    """`make sweep FRESH=1` from nothing: services are started, and removed with all results in the end.

    `programs`: the folder where the compiled programs are before and after; without it there are none.
    """
    settings = Settings.model_validate({"state_dir": copy.parent / "state"})
    compiled = settings.cache_dir / "compiled"
    if programs is not None and programs.exists():
        shutil.copytree(programs, compiled)
    environment = {name: value for name, value in os.environ.items() if name not in _OWN_VARIABLES}
    environment |= {"STATE_DIR": str(settings.state_dir), "SWEEP": sweep, "DATASET": "ml-1m", "FRESH": "1"}
    environment["WORKERS"] = str(n_workers)
    try:
        with _sampling(settings) as samples:
            started = time.perf_counter()
            _make("sweep", copy, environment)
            wall_seconds = time.perf_counter() - started
        return SampledSweep(wall_seconds, tuple(_read_attempts(settings)), samples)
    finally:
        if programs is not None and compiled.exists():
            shutil.copytree(compiled, programs, dirs_exist_ok=True)
        clean_services(settings)
        shutil.rmtree(settings.state_dir, ignore_errors=True)


def _make(target: str, folder: Path, environment: dict[str, str]) -> None:
    done = subprocess.run(
        ["make", "--no-print-directory", target],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(
            f"make {target} ended with {done.returncode}: {(done.stderr or done.stdout)[-500:]}"
        )


@contextlib.contextmanager
def _sampling(settings: Settings) -> Iterator[dict[int, list[Sample]]]:
    samples: dict[int, list[Sample]] = {}
    ended = threading.Event()

    def sample() -> None:
        worker = None
        while not ended.wait(_PERIOD_SECONDS if worker else 1.0):
            worker = worker or _find_worker(settings)
            for process in worker.children() if worker else ():
                with contextlib.suppress(psutil.Error):
                    times, memory = process.cpu_times(), process.memory_info()
                    seen = Sample(time.time(), times.user + times.system, memory.rss)
                    samples.setdefault(process.pid, []).append(seen)

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield samples
    finally:
        ended.set()
        thread.join()


def _find_worker(settings: Settings) -> psutil.Process | None:
    """The parent of the task processes, once it runs."""
    if not (settings.state_dir / "programs").exists():
        return None
    pid = next((one.pid for one in services_status(settings) if one.name == "worker" and one.pid), None)
    return psutil.Process(pid) if pid else None


def _read_attempts(settings: Settings) -> Iterator[Attempt]:
    engine = create_engine(find_endpoints(settings).database_url)
    with engine.connect() as connection:
        for row in connection.execute(_ATTEMPTS):
            yield Attempt(
                label=row.label,
                is_baseline=row.is_baseline,
                pid=int(row.worker.rpartition("/")[2]),
                started_at=row.started_at,
                ended_at=row.ended_at,
                peak_memory_bytes=row.peak_memory_bytes,
                train_seconds=row.train_seconds,
                n_epochs=row.n_epochs,
            )
    engine.dispose()
