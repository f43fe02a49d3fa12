"""A worker that is told to stop hands its running trials back instead of letting them be killed.

Celery's soft shutdown only waits: nobody tells the task processes. And it waits inside its signal handler,
before it sends `worker_shutting_down`, so that signal comes too late. Our handler goes first.
"""

import os
import signal
import time
from contextlib import suppress
from types import FrameType

import billiard
from celery.signals import worker_process_init, worker_ready

_STOP_SIGNALS = (signal.SIGTERM, signal.SIGQUIT)
_HAND_BACK_SIGNAL = signal.SIGUSR2
_POLL_SECONDS = 0.1

# Set in a signal handler, which interrupts the very thread that waits for it: a plain variable. An Event
# takes a lock in both, and a handler that comes while the waiting thread holds it would wait for ever.
_is_shutting_down = False


def is_shutting_down() -> bool:
    """Whether this task process was asked to hand its trial back."""
    return _is_shutting_down


def wait_for_shutdown(timeout_seconds: float) -> bool:
    """Sleep, but hardly longer than until this task process is asked to hand its trial back."""
    deadline = time.monotonic() + timeout_seconds
    while not _is_shutting_down and (left := deadline - time.monotonic()) > 0:
        time.sleep(min(left, _POLL_SECONDS))
    return _is_shutting_down


def _hand_back(_signal: int, _frame: FrameType | None) -> None:
    global _is_shutting_down  # noqa: PLW0603  One process, one flag.
    _is_shutting_down = True


@worker_process_init.connect  # type: ignore[untyped-decorator]  # Celery ships no types.
def _listen_for_hand_back(**_: object) -> None:
    """In a task process."""
    signal.signal(_HAND_BACK_SIGNAL, _hand_back)


@worker_ready.connect  # type: ignore[untyped-decorator]
def _hand_back_before_shutdown(**_: object) -> None:
    """In the parent: put our handler before Celery's, which are installed by now."""
    for number in _STOP_SIGNALS:
        celery_handler = signal.getsignal(number)
        if not callable(celery_handler):
            continue

        def tell_then_stop(
            number: int, frame: FrameType | None, celery_handler: "signal._HANDLER" = celery_handler
        ) -> None:
            _tell_task_processes()
            if callable(celery_handler):
                celery_handler(number, frame)

        signal.signal(number, tell_then_stop)


def _tell_task_processes() -> None:
    for process in billiard.active_children():
        if process.pid is not None:
            with suppress(ProcessLookupError):
                os.kill(process.pid, _HAND_BACK_SIGNAL)
