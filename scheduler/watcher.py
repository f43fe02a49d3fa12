"""The watcher: brings back trials whose worker or message was lost. One loop, safe to run twice."""

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable

from sqlalchemy import Engine

from scheduler.sweep.dispatch import publish
from shared import store
from shared.errors import ServiceError, StoreError
from shared.queue import Messages, find_messages
from shared.stop_signal import StopSignal
from shared.store import QueuedTrial

PERIOD_SECONDS = 3.0
# A message is in no list of Redis for a moment while it is delivered, and a scheduler stores trials before
# it publishes them: what lacks a message is looked at twice.
MISSING_SECONDS = 2.0
# A message may be delivered to a worker whose task processes are still starting. One that a killed worker
# held comes back only after the visibility timeout, hours later.
UNCLAIMED_SECONDS = 20.0
# One that workers refuse again and again is published ever more rarely.
LONGEST_WAIT_SECONDS = 60.0
# Enough to reach it from any wait; without a limit the power overflows after a day of refusals.
_MAX_DOUBLINGS = 10
# While the database was away no lease could be extended: its holders come first when it is back.
GRACE_SECONDS = 20.0

logger = logging.getLogger(__name__)


class Watcher:
    """Looks every few seconds until `stopped` is set; a database or broker that is away is waited for."""

    def __init__(
        self,
        engine: Engine,
        broker_url: str,
        stopped: threading.Event | StopSignal,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._engine = engine
        self._broker_url = broker_url
        self._stopped = stopped
        self._clock = clock
        self._missing_since: dict[int, float] = {}
        self._unclaimed_since: dict[int, float] = {}
        self._lost: set[int] = set()
        self._n_published: Counter[int] = Counter()
        self._looked_at: float | None = None
        self._was_away = False
        self._judges_leases_from = 0.0

    def run(self) -> None:
        """Watch until stopped."""
        is_watching = True
        while not self._stopped.wait(PERIOD_SECONDS):
            try:
                self.look()
            except (StoreError, ServiceError) as error:
                if is_watching:
                    logger.warning("not watching now: %s", error)
                is_watching = False
            else:
                if not is_watching:
                    logger.info("watching again")
                is_watching = True

    def look(self) -> None:
        """Requeue or fail trials with an expired lease; publish queued trials that no worker will get."""
        try:
            queued = self._read_database()
            messages = find_messages(self._broker_url) if queued else Messages()
            now = self._clock()
            not_waiting = queued.keys() - messages.waiting
            missing = {key for key in not_waiting if not messages.has(queued[key])}
            self._missing_since = {key: self._missing_since.get(key, now) for key in missing}
            unclaimed = not_waiting - missing
            self._unclaimed_since = {key: self._unclaimed_since.get(key, now) for key in unclaimed}
            self._lost &= not_waiting
            for key in self._n_published.keys() - queued.keys():
                del self._n_published[key]
            self._publish([queued[key] for key in sorted(self._lost | self._overdue(now))])
        finally:
            self._looked_at = self._clock()

    def _read_database(self) -> dict[int, QueuedTrial]:
        """The queued trials, with those just taken from a lost worker."""
        asked = self._clock()
        was_paused = self._looked_at is not None and asked - self._looked_at > 2 * PERIOD_SECONDS
        try:
            store.mark_ended_sweeps(self._engine)
            queued = store.queued_trials(self._engine)
            answered = self._clock()
            if self._was_away or was_paused or answered - asked > PERIOD_SECONDS:
                self._judges_leases_from = answered + GRACE_SECONDS
            self._was_away = False
            if answered >= self._judges_leases_from:
                queued += self._take_lost_trials()
        except StoreError:
            self._was_away = True
            raise
        return {trial.trial_id: trial for trial in queued}

    def _take_lost_trials(self) -> list[QueuedTrial]:
        lost = store.recover_lost_trials(self._engine)
        for trial in lost:
            logger.warning(
                "sweep %d trial %d %s attempt %d: lost its worker %s",
                *(trial.sweep_id, trial.trial_id, trial.label, trial.attempt, trial.worker),
            )
            self._lost.add(trial.trial_id)
        return lost

    def _overdue(self, now: float) -> set[int]:
        def wait(key: int, first: float) -> float:
            n_doublings = min(self._n_published[key], _MAX_DOUBLINGS)
            return max(first, min(first * 2.0**n_doublings, LONGEST_WAIT_SECONDS))

        missing, unclaimed = self._missing_since.items(), self._unclaimed_since.items()
        return {key for key, since in missing if now - since > wait(key, MISSING_SECONDS)} | {
            key for key, since in unclaimed if now - since > wait(key, UNCLAIMED_SECONDS)
        }

    def _publish(self, trials: list[QueuedTrial]) -> None:
        for trial in publish(self._broker_url, trials):
            self._n_published[trial.trial_id] += 1
            logger.info(
                "sweep %d trial %d %s: published, time %d since it was queued",
                *(trial.sweep_id, trial.trial_id, trial.label, self._n_published[trial.trial_id]),
            )
            self._missing_since.pop(trial.trial_id, None)
            self._unclaimed_since.pop(trial.trial_id, None)
            self._lost.discard(trial.trial_id)
