"""Waiting for what must come true, and what the tests found out on the way."""

import time
from collections.abc import Callable
from typing import TypeVar

# The machine may be slow, and busy with other things: this ends a test that hangs, it does not measure.
PATIENCE_SECONDS = 300.0

T = TypeVar("T")
# Shown at the end of the suite.
MEASURED: list[str] = []


def wait_for(look: Callable[[], T | None], what: str, timeout_seconds: float = PATIENCE_SECONDS) -> T:
    """The first thing that `look` gives that is true; fails the test when there is none in time."""
    deadline = time.monotonic() + timeout_seconds
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout_seconds:.0f} s: {what}")
        time.sleep(0.05)
