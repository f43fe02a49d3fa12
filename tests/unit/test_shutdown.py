"""The signal that asks a task process to hand its trial back, sent to a process that waits for it."""

import os
import signal
import threading
import time

import pytest

from worker.process import shutdown

PATIENCE_SECONDS = 60.0


@pytest.fixture
def listening():
    shutdown._stop_signal.cache_clear()
    before = signal.getsignal(signal.SIGUSR2)
    shutdown._listen_for_hand_back()
    yield
    signal.signal(signal.SIGUSR2, before)
    shutdown._stop_signal.cache_clear()


def test_a_wait_ends_with_its_time_when_no_signal_comes(listening):
    assert shutdown.wait_for_shutdown(0.02) is False
    assert shutdown.is_shutting_down() is False


def test_a_signal_ends_the_wait(listening):
    threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGUSR2)).start()
    began = time.monotonic()
    assert shutdown.wait_for_shutdown(PATIENCE_SECONDS) is True
    assert time.monotonic() - began < PATIENCE_SECONDS / 2
    assert shutdown.is_shutting_down() is True
