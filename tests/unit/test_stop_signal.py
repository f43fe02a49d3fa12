"""A stop that is asked for inside a signal handler always arrives, and blocks nobody."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from shared.stop_signal import StopSignal

ROOT = Path(__file__).parents[2]
# The signal comes at every place of `wait`; with a threading.Event the first rounds already hang.
_STRESS = """
import os, random, signal, threading, time
from shared.stop_signal import StopSignal

random.seed(1)

def ask_later():
    time.sleep(random.random() * 0.0005)
    os.kill(os.getpid(), signal.SIGUSR1)

for _ in range(1000):
    stopped = StopSignal()
    stopped.listen(signal.SIGUSR1)
    asking = threading.Thread(target=ask_later)
    asking.start()
    while not stopped.wait(0):
        pass
    asking.join()
print("over")
"""


def test_nobody_has_asked_at_first() -> None:
    stopped = StopSignal()
    assert not stopped.is_set()
    assert not stopped.wait(0.01)


def test_a_signal_ends_the_waiting_of_every_thread_at_once() -> None:
    stopped = StopSignal()
    before = signal.getsignal(signal.SIGUSR1)
    stopped.listen(signal.SIGUSR1)
    try:
        threads = [threading.Thread(target=stopped.wait, args=(60,)) for _ in range(3)]
        for thread in threads:
            thread.start()
        began = time.monotonic()
        threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGUSR1)).start()
        assert stopped.wait(60)
        for thread in threads:
            thread.join(timeout=30)
        assert not any(thread.is_alive() for thread in threads)
        assert time.monotonic() - began < 30
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_it_stays_set_however_often_it_is_asked_for() -> None:
    stopped = StopSignal()
    # More than a pipe holds.
    for _ in range(70_000):
        stopped.set()
    assert stopped.is_set()
    assert stopped.wait(60)
    assert stopped.wait()


def test_its_pipe_is_closed_with_it() -> None:
    n_open = len(list(Path("/dev/fd").iterdir()))
    for _ in range(10):
        StopSignal()
    assert len(list(Path("/dev/fd").iterdir())) == n_open


def test_signals_at_every_moment_never_block_who_waits() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _STRESS], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.stdout == "over\n", done.stderr
