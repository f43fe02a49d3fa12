"""Keeps the claim of a running trial alive, and tells the training when it has to stop."""

import logging
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from sqlalchemy import Engine

from shared.errors import StoreError, TrialError
from shared.store import Claim, extend_lease

LEASE_SECONDS = 30.0
HEARTBEAT_SECONDS = 5.0

logger = logging.getLogger(__name__)


class HandedBack(Exception):  # noqa: N818  It is no error: the worker stops and another goes on.
    """The worker is shutting down: the trial goes back to the queue with its checkpoint."""

    def __init__(self) -> None:
        super().__init__("the worker is shutting down")


class Superseded(Exception):  # noqa: N818  It is no error of this trial: another attempt replaced it.
    """Another attempt has taken over: this one must leave nothing."""


class Lease:
    """While entered, a thread extends the lease; `check` raises when the trial must not go on.

    An unreachable database does not stop the training: the result is worth keeping, and fencing by attempt
    decides when the database is back.
    """

    def __init__(self, engine: Engine, claim: Claim, is_shutting_down: Callable[[], bool]) -> None:
        self._engine = engine
        self._claim = claim
        self._is_shutting_down = is_shutting_down
        self._state = "held"
        self._left = threading.Event()
        self._thread = threading.Thread(target=self._beat, name=f"lease-{claim.trial_id}", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._left.set()
        self._thread.join()

    def check(self) -> None:
        """Return while the trial may go on; raises HandedBack, Superseded or TrialError "cancelled"."""
        if self._state == "cancelled":
            raise TrialError("cancelled", "cancelled by `make cancel`; `make sweep` runs it again")
        if self._state == "superseded":
            raise Superseded
        if self._is_shutting_down():
            raise HandedBack

    def _beat(self) -> None:
        while not self._left.wait(HEARTBEAT_SECONDS):
            try:
                self._state = extend_lease(
                    self._engine, self._claim.trial_id, self._claim.attempt, LEASE_SECONDS
                )
            except StoreError as error:
                logger.warning("lease of trial %d not extended: %s", self._claim.trial_id, error)
                continue
            # A cancel may be withdrawn; another attempt does not go away.
            if self._state == "superseded":
                return
