"""A server that runs as long as a block."""

import signal
import sys

import psutil
import pytest

from scheduler.machine import unsupervised
from scheduler.machine.unsupervised import running_server
from shared.errors import ServiceError

_STUBBORN = (
    "import os, pathlib, signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
    "pathlib.Path('pid').write_text(str(os.getpid())); time.sleep(60)"
)


def server(folder, code, find_problem=lambda: None):
    command = [sys.executable, "-c", code]
    return running_server("Toy", command, find_problem, signal.SIGTERM, home=folder, log=folder / "toy.log")


def test_a_server_that_ignores_the_signal_is_killed(tmp_path, monkeypatch):
    monkeypatch.setattr(unsupervised, "_STOP_TIMEOUT_SECONDS", 0.2)
    pid_file = tmp_path / "pid"

    with server(
        tmp_path, _STUBBORN, lambda: None if pid_file.exists() and pid_file.read_text() else "no pid"
    ):
        pid = int(pid_file.read_text())
        assert psutil.pid_exists(pid)

    assert not psutil.pid_exists(pid)


def test_a_server_that_ends_at_once_is_told_with_its_log(tmp_path):
    with (
        pytest.raises(ServiceError, match=r"^Toy did not start: no answer; see .*toy\.log$"),
        server(tmp_path, "print('cannot')", lambda: "no answer"),
    ):
        raise AssertionError("it does not run")

    assert (tmp_path / "toy.log").read_text() == "cannot\n"
