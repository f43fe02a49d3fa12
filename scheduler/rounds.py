"""Work that is looked for every few seconds beside the watcher, as long as it runs."""

import logging
import threading
from collections.abc import Callable

from shared.errors import StoreError
from shared.stop_signal import StopSignal

PERIOD_SECONDS = 5.0

logger = logging.getLogger(__name__)


class Rounds:
    """Calls `look` every few seconds until `stopped` is set; a database that is away is waited for.

    `purpose` completes "not … now", the one warning when it begins to fail. Whoever looks finds in the
    database alone what is to be done, so that any number of them may look at once.
    """

    def __init__(self, purpose: str, look: Callable[[], None], stopped: threading.Event | StopSignal) -> None:
        self._purpose = purpose
        self._look = look
        self._stopped = stopped
        self._is_failing = False

    def run(self) -> None:
        """Look until stopped."""
        while not self._stopped.wait(PERIOD_SECONDS):
            self.look()

    def look(self) -> None:
        """Look once."""
        try:
            self._look()
        except StoreError as error:
            if not self._is_failing:
                logger.warning("not %s now: %s", self._purpose, error)
            self._is_failing = True
        else:
            self._is_failing = False
