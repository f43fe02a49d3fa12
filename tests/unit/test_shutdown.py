"""The signal that asks a task process to hand its trial back, sent to a process that waits for it."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from shared.settings import PROJECT_ROOT
from worker.process import shutdown

PATIENCE_SECONDS = 60.0
N_WAITS = 20_000


@pytest.fixture
def listening(monkeypatch):
    monkeypatch.setattr(shutdown, "_is_shutting_down", False)
    before = signal.getsignal(signal.SIGUSR2)
    shutdown._listen_for_hand_back()
    yield
    signal.signal(signal.SIGUSR2, before)


def test_a_wait_ends_with_its_time_when_no_signal_comes(listening):
    assert shutdown.wait_for_shutdown(0.02) is False
    assert shutdown.is_shutting_down() is False


def test_a_signal_ends_the_wait(listening):
    threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGUSR2)).start()
    began = time.monotonic()
    assert shutdown.wait_for_shutdown(PATIENCE_SECONDS) is True
    assert time.monotonic() - began < PATIENCE_SECONDS / 2
    assert shutdown.is_shutting_down() is True


def test_signals_at_any_moment_of_the_wait_never_stop_the_process():
    """An Event set by the handler stops it within a few hundred waits: both take the lock of the Event."""
    code = f"""
import signal
from worker.process import shutdown

shutdown._listen_for_hand_back()
signal.signal(signal.SIGALRM, signal.getsignal(signal.SIGUSR2))
for number in range({N_WAITS}):
    shutdown._is_shutting_down = False
    signal.setitimer(signal.ITIMER_REAL, 1e-6 * (1 + number % 100))
    shutdown.wait_for_shutdown(5e-5)
while not shutdown.wait_for_shutdown(0.01):
    pass
"""
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=PROJECT_ROOT, timeout=PATIENCE_SECONDS, check=False)
    assert done.returncode == 0
