"""Cuts an epoch into chunks of about a second, so that a training can be stopped within it."""

import time
from collections.abc import Callable, Iterator

_CHUNK_SECONDS = 1.0
_FIRST_CHUNK_STEPS = 64
_MAX_CHUNK_GROWTH = 16


class Pace:
    """How many steps take about a second; learned while they are done.

    How an epoch is cut has no effect on its result, only on how often `check_stop` is called.
    """

    def __init__(self, check_stop: Callable[[], None], first_chunk_steps: int = _FIRST_CHUNK_STEPS) -> None:
        self._check_stop = check_stop
        self._chunk_steps = first_chunk_steps

    def chunks(self, n_steps: int) -> Iterator[tuple[int, int]]:
        """(first, stop) of one chunk after the other; who asks for the next has finished the last."""
        first = 0
        while first < n_steps:
            self._check_stop()
            stop = min(first + self._chunk_steps, n_steps)
            started = time.perf_counter()
            yield first, stop
            self._adapt(stop - first, time.perf_counter() - started)
            first = stop

    def _adapt(self, n_steps: int, seconds: float) -> None:
        wanted = int(n_steps * _CHUNK_SECONDS / max(seconds, 1e-6))
        self._chunk_steps = max(1, min(wanted, self._chunk_steps * _MAX_CHUNK_GROWTH))
