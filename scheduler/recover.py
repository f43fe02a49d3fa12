"""The watcher: brings back trials whose worker or message was lost. One loop, safe to run twice."""

import logging
import threading

from sqlalchemy import Engine

from scheduler.dispatch import by_cost, missing_trials
from shared import store
from shared.errors import ServiceError, StoreError
from shared.queue import publish_trials

PERIOD_SECONDS = 3.0

logger = logging.getLogger(__name__)


class Watcher:
    """Looks every few seconds until `stopped` is set; a database or broker that is away is waited for."""

    def __init__(self, engine: Engine, broker_url: str, stopped: threading.Event) -> None:
        self._engine = engine
        self._broker_url = broker_url
        self._stopped = stopped
        self._missing_before: set[int] = set()

    def run(self) -> None:
        """Watch until stopped."""
        while not self._stopped.wait(PERIOD_SECONDS):
            try:
                self.look()
            except (StoreError, ServiceError) as error:
                logger.warning("not watching now: %s", error)

    def look(self) -> None:
        """Requeue or fail trials with an expired lease; publish queued trials without a message.

        A message is in no list of Redis for a moment while it is delivered, and a scheduler stores trials
        before it publishes them: only what is missing in two looks in a row is published.
        """
        lost = store.recover_lost_trials(self._engine)
        for trial in lost:
            logger.warning("%s: lost its worker %s in attempt %d", trial.label, trial.worker, trial.attempt)
        missing = missing_trials(self._engine, self._broker_url)
        missing_now = {trial.trial_id for trial in missing}
        ready = self._missing_before | {trial.trial_id for trial in lost}
        to_publish = by_cost([trial for trial in missing if trial.trial_id in ready])
        publish_trials(self._broker_url, [(trial.trial_id, trial.label) for trial in to_publish])
        for trial in to_publish:
            logger.info("sweep %d trial %d %s: published", trial.sweep_id, trial.trial_id, trial.label)
        self._missing_before = missing_now - ready
