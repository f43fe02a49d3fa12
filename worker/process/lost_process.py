"""What the parent of the task processes does when one of them dies with a trial.

The parent learns of it at once and ends the attempt with the cause, so that the next one starts within
seconds. When the parent dies too, the lease of the trial runs out instead.
"""

import logging
import re
import resource
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

from billiard.exceptions import WorkerLostError
from celery.worker.request import Request

from shared import store
from shared.errors import FailureReason, StoreError, StoreUnavailable
from worker.process.database import database_engine

_RETRY_SECONDS = 120.0
_KERNEL_COUNTERS = Path("/proc/vmstat")
# Billiard's words: "Worker exited prematurely: signal 9 (SIGKILL) Job: 3."
_STATUS = re.compile(r"prematurely: (.+?)(?: Job: \d+)?\.?$")

logger = logging.getLogger(__name__)


def process_name(hostname: str, pid: int) -> str:
    """Who holds a trial: the worker and its task process."""
    return f"{hostname}/{pid}"


class TrialRequest(Request):  # type: ignore[misc]  # Celery ships no types.
    """One delivered message, as the parent sees it; ends the attempt of a process that can't do so itself."""

    def on_failure(self, exc_info: Any, send_failed_event: bool = True, return_ok: bool = False) -> Any:  # noqa: ANN401
        """Called with WorkerLostError when the process died, else with what the task raised."""
        error = getattr(exc_info.exception, "exc", exc_info.exception)
        if isinstance(error, WorkerLostError | SystemExit | KeyboardInterrupt):
            self._end_attempt(*explain_loss(error, memory_kill=_memory_kills.have_risen()))
        return super().on_failure(exc_info, send_failed_event, return_ok)

    def on_timeout(self, soft: bool, timeout: float) -> Any:  # noqa: ANN401
        """Called when a limit has passed; after the hard one the process is killed."""
        if not soft:
            cause = f"did not stop within TRIAL_HARD_LIMIT_SECONDS = {timeout:.0f} and was killed"
            self._end_attempt("timeout", cause)
        return super().on_timeout(soft, timeout)

    def _end_attempt(self, reason: FailureReason, cause: str) -> None:
        # The event loop must not wait for the database.
        trial_id, label = self.args[0], self.args[1]
        worker = process_name(self.hostname, self.worker_pid)
        arguments = (trial_id, str(label), worker, reason, cause)
        threading.Thread(target=_end_attempt, args=arguments, name=f"end-{trial_id}", daemon=True).start()


def explain_loss(error: BaseException, *, memory_kill: bool) -> tuple[FailureReason, str]:
    """Reason and cause, as of a message, of a process that is gone."""
    found = _STATUS.search(str(error))
    status = found.group(1) if found else f"{type(error).__name__} {error}".strip()
    if memory_kill and f"({signal.SIGKILL.name})" in status:
        return "out_of_memory", f"killed by {status} because memory ran out"
    verb = "killed by" if status.startswith("signal") else "its process ended with"
    return "lost_worker", f"{verb} {status}"


def _end_attempt(trial_id: int, label: str, worker: str, reason: FailureReason, cause: str) -> None:
    """Write the end; gives up after a while, since the lease of the trial runs out anyway."""
    peak_memory_bytes = _largest_ended_process_bytes() if reason == "out_of_memory" else None
    deadline = time.monotonic() + _RETRY_SECONDS
    while True:
        try:
            status = store.end_lost_attempt(
                database_engine(),
                trial_id,
                worker,
                reason,
                cause,
                peak_memory_bytes=peak_memory_bytes,
                retry=reason != "timeout",
            )
        except StoreUnavailable as error:
            if time.monotonic() > deadline:
                logger.warning("trial %d %s: %s; its lease runs out: %s", trial_id, label, cause, error)
                return
            time.sleep(2.0)
        except StoreError as error:
            logger.error("trial %d %s: %s; %s", trial_id, label, cause, error)  # noqa: TRY400
            return
        else:
            if status is not None:
                logger.warning("trial %d %s: %s, now %s", trial_id, label, cause, status)
            return


def _largest_ended_process_bytes() -> int:
    """Peak resident memory of the largest task process so far: the one that was killed for it."""
    largest = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return largest * (1 if sys.platform == "darwin" else 1024)


class _MemoryKills:
    """Counts of the kernel: how many processes it killed because memory ran out, here or in a group."""

    def __init__(self) -> None:
        self._seen = self._read()

    def have_risen(self) -> bool:
        """Whether there were any since the last question."""
        before, self._seen = self._seen, self._read()
        return self._seen > before

    @staticmethod
    def _read() -> int:
        try:
            lines = _KERNEL_COUNTERS.read_text().splitlines()
        except OSError:
            return 0
        return sum(int(line.split()[1]) for line in lines if line.startswith("oom_kill "))


_memory_kills = _MemoryKills()
