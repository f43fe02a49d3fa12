"""A request to stop that a signal handler may make at any moment.

`threading.Event.set()` may not be called there: the handler runs in the main thread between two of its
instructions, and where these hold the event's lock, inside `wait()` or `set()`, it waits for itself for ever.
Here the handler takes no lock: it writes one byte into a pipe, on which those who wait sleep.
"""

import contextlib
import os
import select
import signal
import weakref
from types import FrameType


class StopSignal:
    """Set once, for good; any number of threads may wait.

    Make it in the process that waits: a forked child would share its parent's pipe.
    """

    def __init__(self) -> None:
        self._reading, self._writing = os.pipe()
        # Who asks twice must not wait for room in the pipe.
        os.set_blocking(self._writing, False)
        weakref.finalize(self, _close, self._reading, self._writing)

    def listen(self, *numbers: signal.Signals) -> None:
        """Be set by these signals from now on; in the main thread only."""
        for number in numbers:
            signal.signal(number, self._handle)

    def set(self) -> None:
        """Ask to stop; safe in a signal handler and in any thread."""
        # Nobody reads the byte: the pipe stays readable, so that everybody who waits wakes up.
        with contextlib.suppress(BlockingIOError):
            os.write(self._writing, b"\0")

    def is_set(self) -> bool:
        """Whether anybody has asked to stop."""
        return self.wait(0)

    def wait(self, timeout_seconds: float | None = None) -> bool:
        """Sleep until asked to stop, or until the time is over; returns whether anybody asked."""
        poll = select.poll()
        poll.register(self._reading, select.POLLIN)
        return bool(poll.poll(None if timeout_seconds is None else timeout_seconds * 1000))

    def _handle(self, _number: int, _frame: FrameType | None) -> None:
        self.set()


def _close(*descriptors: int) -> None:
    for descriptor in descriptors:
        os.close(descriptor)
