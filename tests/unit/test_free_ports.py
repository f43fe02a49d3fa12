"""Free ports, and the true cause where one cannot be had."""

import errno
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from scheduler import free_ports
from scheduler.free_ports import PortError, find_free_port, first_port_for_everybody, why_not

ROOT = Path(__file__).parents[2]


def _refuse(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    class Refusing(socket.socket):
        def bind(self, _: object) -> None:
            raise OSError(number, os.strerror(number))

    monkeypatch.setattr(free_ports.socket, "socket", Refusing)


def test_a_port_on_which_somebody_listens_is_told_so() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert why_not(port) == f"another program listens on 127.0.0.1:{port}"


def test_a_port_that_needs_a_permission_is_not_called_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(free_ports, "first_port_for_everybody", lambda: 1024)
    _refuse(monkeypatch, errno.EACCES)
    assert why_not(80) == "an ordinary account may listen on ports from 1024 only"
    assert why_not(8080) == "this account may not listen on 127.0.0.1:8080"


def test_another_refusal_is_told_in_the_words_of_the_system(monkeypatch: pytest.MonkeyPatch) -> None:
    _refuse(monkeypatch, errno.EADDRNOTAVAIL)
    assert why_not(8080) == "the system refuses 127.0.0.1:8080: Cannot assign requested address"
    with pytest.raises(PortError, match=r"port 8081: the system refuses .*: Cannot assign"):
        find_free_port([8080, 8081])


def test_what_root_may_do_is_not_asked_for_a_server_of_another_account() -> None:
    port = first_port_for_everybody() - 1
    if port < 1:
        pytest.skip("everybody may listen on every port here")
    answer = why_not(port, is_ordinary_account=True)
    assert answer == f"an ordinary account may listen on ports from {port + 1} only"


@pytest.mark.skipif(os.geteuid() != 0, reason="runs as an ordinary account already")
def test_an_ordinary_account_hears_the_same_from_the_system() -> None:
    port = first_port_for_everybody() - 1
    if port < 1:
        pytest.skip("everybody may listen on every port here")
    code = (
        f"import os, sys; sys.path.insert(0, {str(ROOT)!r}); import scheduler.free_ports as f; "
        f"os.setgroups([]); os.setgid(65534); os.setuid(65534); print(f.why_not({port}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == f"an ordinary account may listen on ports from {port + 1} only"


def test_a_port_that_was_chosen_before_is_passed_over() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert find_free_port([port]) == port
    with pytest.raises(PortError, match=f"port {port}: chosen for another service"):
        find_free_port([port], taken={port})
