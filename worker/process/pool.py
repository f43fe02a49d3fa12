"""The pool of task processes: Celery's, which here notices within a moment that a process has ended.

Where two processes end at about the same time, Celery may see only one of them go, and replaces the other
when its timer fires, after up to five seconds (celery issue 9588). Ours fires more often.
"""

from collections.abc import Callable

from celery.concurrency import prefork
from celery.concurrency.asynpool import AsynPool

_PERIOD_SECONDS = 0.25


class _Pool(AsynPool):  # type: ignore[misc]  # Celery ships no types.
    @property
    def timers(self) -> dict[Callable[[], None], float]:
        return {self.maintain_pool: _PERIOD_SECONDS}


class TaskPool(prefork.TaskPool):  # type: ignore[misc]
    """For the setting `worker_pool`."""

    Pool = _Pool
