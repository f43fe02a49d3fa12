"""Waiting for a database that is away: the one retry of task processes and their parent."""

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    stop_after_delay,
    stop_never,
    wait_fixed,
)

from shared.errors import StoreUnavailable

_PAUSE_SECONDS = 2.0

T = TypeVar("T")
logger = logging.getLogger(__name__)


def patiently(
    call: Callable[[], T],
    purpose: str,
    *,
    limit_seconds: float | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> T:
    """What the call gives, as soon as the database is there; `purpose` completes "waiting to …" in the log.

    Raises StoreUnavailable once `limit_seconds` have passed, and whatever `sleep` raises to end the wait.
    Without a limit it waits for as long as it takes.
    """

    def tell(state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        logger.warning("waiting to %s: %s", purpose, error)

    return Retrying(
        retry=retry_if_exception_type(StoreUnavailable),
        stop=stop_never if limit_seconds is None else stop_after_delay(limit_seconds),
        wait=wait_fixed(_PAUSE_SECONDS),
        before_sleep=tell,
        sleep=sleep,
        reraise=True,
    )(call)
