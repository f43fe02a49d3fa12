"""A real worker and the file that its health checks look at: Redis goes away, the worker is frozen."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from scheduler.machine.ports import free_port
from scheduler.machine.redis import running_redis
from shared.settings import PROJECT_ROOT
from worker.process.heartbeat import PERIOD_SECONDS

PATIENCE_SECONDS = 60.0


class Worker:
    """A worker of one task process, which needs no database until a trial comes."""

    def __init__(self, folder: Path, broker_url: str) -> None:
        self.file, self.log = folder / "heartbeat", folder / "worker.log"
        environment = os.environ | {
            "DATABASE_URL": "postgresql://nobody@127.0.0.1:9/none",
            "BROKER_URL": broker_url,
            "ARTIFACT_URL": folder.as_uri(),
            "HEARTBEAT_FILE": str(self.file),
        }
        with self.log.open("wb") as output:
            command = [sys.executable, "-m", "worker", "--processes", "1"]
            self.process = subprocess.Popen(
                command, cwd=PROJECT_ROOT, env=environment, stdout=output, stderr=output
            )

    def wait_until(self, holds: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not holds():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.05)

    def says(self, word: str) -> bool:
        return self.file.exists() and self.file.read_text() == f"{word}\n"

    def wait_for_beats(self, n_beats: int) -> None:
        for _ in range(n_beats):
            before = self.file.stat().st_mtime_ns
            self.wait_until(lambda before=before: self.file.stat().st_mtime_ns > before)

    def end(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGCONT)
        self.process.terminate()
        try:
            self.process.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[str], Worker]]:
    workers = []

    def make(broker_url: str) -> Worker:
        workers.append(Worker(tmp_path, broker_url))
        return workers[-1]

    yield make
    for worker in workers:
        worker.end()


def test_a_worker_lives_while_redis_is_away_and_not_while_it_is_frozen(start, services_folder):
    with running_redis(services_folder / "own") as redis:
        worker = start(redis.url)
        worker.wait_until(lambda: worker.says("ready"))
        worker.process.send_signal(signal.SIGSTOP)
        time.sleep(PERIOD_SECONDS)
        before = worker.file.stat().st_mtime_ns
        # Nothing can be waited for: the point is that nothing happens.
        time.sleep(2 * PERIOD_SECONDS)
        assert worker.file.stat().st_mtime_ns == before
        worker.process.send_signal(signal.SIGCONT)
        worker.wait_for_beats(1)
    worker.wait_until(lambda: "Connection to broker lost" in worker.log.read_text())
    worker.wait_for_beats(3)


def test_a_worker_that_never_found_redis_lives_and_is_not_ready(start):
    worker = start(f"redis://127.0.0.1:{free_port()}/0")
    worker.wait_until(lambda: "Cannot connect to redis" in worker.log.read_text())
    assert worker.says("starting")
    worker.wait_for_beats(2)


def test_a_heartbeat_file_that_cannot_be_written_ends_the_worker_with_the_reason(tmp_path):
    environment = os.environ | {
        "DATABASE_URL": "postgresql://nobody@127.0.0.1:9/none",
        "BROKER_URL": f"redis://127.0.0.1:{free_port()}/0",
        "ARTIFACT_URL": tmp_path.as_uri(),
        "HEARTBEAT_FILE": str(tmp_path / "missing" / "heartbeat"),
    }
    command = [sys.executable, "-m", "worker", "--processes", "1"]
    ended = subprocess.run(
        command,
        cwd=PROJECT_ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert ended.returncode == 2
    assert ended.stderr.startswith("recsweep: HEARTBEAT_FILE must name a file that can be written")
