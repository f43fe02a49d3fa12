"""Ports: fixed by the person, remembered, or any free one."""

import socket

import pytest

from scheduler import free_ports
from scheduler.free_ports import why_not
from scheduler.machine import ports
from shared.errors import ServiceError


@pytest.fixture(autouse=True)
def _no_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("POSTGRES_PORT", "REDIS_PORT", "FLOWER_PORT", "DASHBOARD_PORT"):
        monkeypatch.delenv(name, raising=False)


def test_a_listening_port_is_not_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert why_not(server.getsockname()[1])


def test_new_services_get_different_free_ports() -> None:
    chosen = ports.choose_ports(("postgres", "redis", "flower"), {})
    assert len(set(chosen.values())) == 3
    assert all(why_not(port) is None for port in chosen.values())


def test_a_remembered_free_port_is_kept() -> None:
    port = ports.free_port()
    assert ports.choose_ports(("redis",), {"redis": port}) == {"redis": port}


def test_a_remembered_port_that_is_taken_is_replaced_and_told(caplog: pytest.LogCaptureFixture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken = server.getsockname()[1]
        chosen = ports.choose_ports(("redis",), {"redis": taken})
    assert chosen["redis"] != taken
    [message] = caplog.messages
    assert message.startswith(f"port {taken}: another program listens on 127.0.0.1:{taken}; ")
    assert message.endswith(f"redis now listens on {chosen['redis']}")


def test_a_fixed_port_wins_over_the_remembered_one(monkeypatch: pytest.MonkeyPatch) -> None:
    fixed, remembered = ports.free_port(), ports.free_port()
    monkeypatch.setenv("REDIS_PORT", str(fixed))
    assert ports.choose_ports(("redis",), {"redis": remembered}) == {"redis": fixed}


def test_a_fixed_port_that_is_taken_names_variable_and_remedy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken = server.getsockname()[1]
        monkeypatch.setenv("FLOWER_PORT", str(taken))
        with pytest.raises(ServiceError, match=f"FLOWER_PORT={taken}: .* choose another FLOWER_PORT"):
            ports.choose_ports(("flower",), {})


def test_a_fixed_port_below_1024_names_the_permission(monkeypatch: pytest.MonkeyPatch) -> None:
    # Postgres runs as an ordinary account, also when the caller is root.
    monkeypatch.setattr(free_ports, "first_port_for_everybody", lambda: 1024)
    monkeypatch.setattr(ports.os, "geteuid", lambda: 0)
    monkeypatch.setenv("POSTGRES_PORT", "80")
    with pytest.raises(ServiceError, match="POSTGRES_PORT=80: an ordinary account may listen on ports from"):
        ports.choose_ports(("postgres",), {})


def test_two_services_may_not_have_one_fixed_port(monkeypatch: pytest.MonkeyPatch) -> None:
    port = ports.free_port()
    monkeypatch.setenv("REDIS_PORT", str(port))
    monkeypatch.setenv("FLOWER_PORT", str(port))
    with pytest.raises(ServiceError, match=f"={port}: REDIS_PORT and FLOWER_PORT must differ"):
        ports.choose_ports(("redis", "flower"), {})


def test_a_remembered_port_gives_way_to_the_fixed_one_of_another(monkeypatch: pytest.MonkeyPatch) -> None:
    port = ports.free_port()
    monkeypatch.setenv("FLOWER_PORT", str(port))
    chosen = ports.choose_ports(("redis", "flower"), {"redis": port})
    assert chosen["flower"] == port
    assert chosen["redis"] != port


def test_ports_of_running_services_are_kept_although_they_are_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        ours = server.getsockname()[1]
        kept = ports.keep_ports(("redis", "flower"), {"redis": ours})
    assert kept["redis"] == ours
    assert kept["flower"] != ours


def test_a_port_fixed_anew_replaces_that_of_a_running_service(monkeypatch: pytest.MonkeyPatch) -> None:
    fixed = ports.free_port()
    monkeypatch.setenv("REDIS_PORT", str(fixed))
    assert ports.keep_ports(("redis",), {"redis": fixed + 1}) == {"redis": fixed}


@pytest.mark.parametrize("value", ["0", "65536", "abc"])
def test_an_impossible_port_is_refused_with_its_variable(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("REDIS_PORT", value)
    with pytest.raises(ServiceError, match=f"REDIS_PORT: .* got '{value}'"):
        ports.requested_ports()
