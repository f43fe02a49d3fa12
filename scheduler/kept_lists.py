"""Removes the lists of trials that are not among the best of their sweep, as `[lists] keep` wants it."""

import logging
import threading

from sqlalchemy import Engine

from shared import store
from shared.errors import StoreError
from shared.stop_signal import StopSignal

PERIOD_SECONDS = 5.0

logger = logging.getLogger(__name__)


class ListKeeper:
    """Looks every few seconds until `stopped` is set; any number of them may look at once.

    Not the worker that finishes a trial: it may be lost right after, and somebody else's trial may lose its
    lists. Whoever looks next finds what is to be done in the database alone.
    """

    def __init__(self, engine: Engine, stopped: threading.Event | StopSignal) -> None:
        self._engine = engine
        self._stopped = stopped
        self._is_failing = False

    def run(self) -> None:
        """Look until stopped; a database that is away is waited for."""
        while not self._stopped.wait(PERIOD_SECONDS):
            self.look()

    def look(self) -> None:
        """Remove what is not kept any more; one warning when it begins to fail."""
        try:
            removed = store.remove_surplus_lists(self._engine)
        except StoreError as error:
            if not self._is_failing:
                logger.warning("not removing lists now: %s", error)
            self._is_failing = True
            return
        self._is_failing = False
        for one in removed:
            logger.info(
                "sweep %d trial %d %s: lists removed, better ones are kept",
                *(one.sweep_id, one.trial_id, one.label),
            )
