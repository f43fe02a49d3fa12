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
from typing import Any

from billiard.exceptions import WorkerLostError
from celery.worker.request import Request

from shared import store
from shared.errors import FailureReason, StoreError
from worker.process.database import database_engine
from worker.process.memory_kills import MemoryKillLedger, MemoryKills, Whose, count_memory_kills
from worker.process.patience import patiently

_PATIENCE_SECONDS = 120.0
# Billiard's words: "Worker exited prematurely: signal 9 (SIGKILL) Job: 3."
_STATUS = re.compile(r"prematurely: (.+?)(?: Job: \d+)?\.?$")

_memory_kills = MemoryKillLedger()
logger = logging.getLogger(__name__)


def process_name(hostname: str, pid: int) -> str:
    """Who holds a trial: the worker and its task process."""
    return f"{hostname}/{pid}"


class TrialRequest(Request):  # type: ignore[misc]  # Celery ships no types.
    """One delivered message, as the parent sees it; ends the attempt of a process that can't do so itself."""

    _kills_before: MemoryKills | None = None

    def on_accepted(self, pid: int, time_accepted: float) -> Any:  # noqa: ANN401
        """Called when a task process has begun."""
        self._kills_before = count_memory_kills()
        return super().on_accepted(pid, time_accepted)

    def on_failure(self, exc_info: Any, send_failed_event: bool = True, return_ok: bool = False) -> Any:  # noqa: ANN401
        """Called with WorkerLostError when the process died, else with what the task raised."""
        error = getattr(exc_info.exception, "exc", exc_info.exception)
        if isinstance(error, WorkerLostError | SystemExit | KeyboardInterrupt):
            memory_kill = _memory_kills.take(self._kills_before, count_memory_kills())
            self._end_attempt(*explain_loss(error, memory_kill=memory_kill))
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


def explain_loss(error: BaseException, *, memory_kill: Whose | None) -> tuple[FailureReason, str]:
    """Reason and cause, as of a message, of a process that is gone.

    `memory_kill`: who saw the kernel kill a process for memory while this one ran.
    """
    found = _STATUS.search(str(error))
    status = found.group(1) if found else f"{type(error).__name__} {error}".strip()
    cause = f"{'killed by' if status.startswith('signal') else 'its process ended with'} {status}"
    is_kill = f"({signal.SIGKILL.name})" in status
    if is_kill and memory_kill == "group":
        cause += "; memory ran out, and the kernel killed a process of this worker's control group"
        return "out_of_memory", cause
    if is_kill and memory_kill == "machine":
        cause += ", perhaps because memory ran out: the kernel killed some process of this machine for that"
    return "lost_worker", cause


def _end_attempt(trial_id: int, label: str, worker: str, reason: FailureReason, cause: str) -> None:
    """Write the end; gives up after a while, since the lease of the trial runs out anyway."""
    peak_memory_bytes = _largest_ended_process_bytes() if reason == "out_of_memory" else None
    try:
        status = patiently(
            lambda: store.end_lost_attempt(
                database_engine(),
                trial_id,
                worker,
                reason,
                cause,
                peak_memory_bytes=peak_memory_bytes,
                retry=reason != "timeout",
            ),
            f"note the end of trial {trial_id} {label}",
            limit_seconds=_PATIENCE_SECONDS,
        )
    except StoreError as error:
        logger.error("trial %d %s: %s; not noted, its lease runs out: %s", trial_id, label, cause, error)  # noqa: TRY400
    else:
        if status is not None:
            logger.warning("trial %d %s: %s, now %s", trial_id, label, cause, status)


def _largest_ended_process_bytes() -> int:
    """Peak resident memory of the largest task process so far: the one that was killed for it."""
    largest = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return largest * (1 if sys.platform == "darwin" else 1024)
