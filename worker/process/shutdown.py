"""A worker that is told to stop hands its running trials back instead of letting them be killed.

Celery's soft shutdown only waits: nobody tells the task processes. And it waits inside its signal handler,
before it sends `worker_shutting_down`, so that signal comes too late. Our handler goes first.
"""

import os
import signal
from contextlib import suppress
from functools import cache
from types import FrameType

import billiard
from celery.signals import worker_process_init, worker_ready

from shared.stop_signal import StopSignal

_STOP_SIGNALS = (signal.SIGTERM, signal.SIGQUIT)
_HAND_BACK_SIGNAL = signal.SIGUSR2


def is_shutting_down() -> bool:
    """Whether this task process was asked to hand its trial back."""
    return _stop_signal().is_set()


def wait_for_shutdown(timeout_seconds: float) -> bool:
    """Sleep, but no longer than until this task process is asked to hand its trial back."""
    return _stop_signal().wait(timeout_seconds)


@cache
def _stop_signal() -> StopSignal:
    """One for each process: made where it waits."""
    return StopSignal()


@worker_process_init.connect  # type: ignore[untyped-decorator]  # Celery ships no types.
def _listen_for_hand_back(**_: object) -> None:
    """In a task process."""
    _stop_signal().listen(_HAND_BACK_SIGNAL)


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
