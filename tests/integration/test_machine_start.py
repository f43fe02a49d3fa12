"""What decides how the embedded services start: ports, URLs, two starts at once, refusals."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from scheduler.machine import (
    Endpoints,
    ensure_services,
    find_endpoints,
    reachability,
    services_status,
    stop_services,
)
from shared.errors import ServiceError
from shared.settings import Settings
from tests.embedded import processes_of, query


def test_two_calls_at_once_share_one_set_of_services(settings: Settings) -> None:
    results: list[Endpoints] = []
    threads = [
        threading.Thread(target=lambda: results.append(ensure_services(settings, n_workers=0)))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 2
    assert results[0] == results[1]
    names = [process.name() for process in processes_of(settings.state_dir)]
    assert names.count("valkey-server") == 1


def test_ports_are_kept_over_restarts_and_given_up_when_taken(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    first = ensure_services(settings, n_workers=0)
    stop_services(settings)
    assert processes_of(settings.state_dir) == []
    with pytest.raises(ServiceError, match="make sweep"):
        find_endpoints(settings)
    assert ensure_services(settings, n_workers=0) == first
    stop_services(settings)
    port = int(first.broker_url.split(":")[-1].split("/")[0])
    with _listening_on(port):
        second = ensure_services(settings, n_workers=0)
    assert second.broker_url != first.broker_url
    assert second.database_url == first.database_url
    assert f"port {port}: another program listens on 127.0.0.1:{port}; redis now listens on" in caplog.text


def test_a_fixed_port_that_is_taken_is_one_clear_error(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with _listening_on(0) as port:
        monkeypatch.setenv("POSTGRES_PORT", str(port))
        with pytest.raises(ServiceError, match=f"POSTGRES_PORT={port}: another program listens"):
            ensure_services(settings, n_workers=0)
    assert processes_of(settings.state_dir) == []


def test_given_urls_start_no_embedded_server(
    make_settings: Callable[..., Settings], empty_database_url: str, broker_url: str
) -> None:
    settings = make_settings("with-urls", database_url=empty_database_url, broker_url=broker_url)
    endpoints = ensure_services(settings, n_workers=1)
    assert (endpoints.database_url, endpoints.broker_url) == (empty_database_url, broker_url)
    states = {status.name: status.state for status in services_status(settings)}
    assert states["postgres"] == states["redis"] == "external"
    assert states["worker"] == states["watcher"] == states["flower"] == states["dashboard"] == "running"
    assert query(endpoints, "select count(*) from trials") == [(0,)]


def test_a_state_folder_that_cannot_be_written_is_one_clear_error(
    make_settings: Callable[..., Settings],
) -> None:
    settings = make_settings()
    settings.state_dir.parent.write_text("a file where the folder should be")
    with pytest.raises(ServiceError, match=r"cannot use the state folder .*: Not a directory"):
        ensure_services(settings, n_workers=0)


def test_given_urls_and_no_workers_start_nothing(
    make_settings: Callable[..., Settings], database_url: str, broker_url: str
) -> None:
    settings = make_settings(database_url=database_url, broker_url=broker_url)
    assert ensure_services(settings, n_workers=0) == Endpoints(database_url, broker_url, None)
    assert processes_of(settings.state_dir) == []


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"database_url": "postgresql://me:secret@127.0.0.1:1/x"}, "no Postgres database at 127.0.0.1:1/x"),
        ({"broker_url": "redis://:secret@127.0.0.1:1/0"}, "no Redis at 127.0.0.1:1/0"),
    ],
)
def test_unreachable_url_is_told_in_time_without_the_password(
    make_settings: Callable[..., Settings],
    monkeypatch: pytest.MonkeyPatch,
    values: dict[str, str],
    message: str,
) -> None:
    assert reachability._PATIENCE_SECONDS + reachability._ATTEMPT_SECONDS < 15
    monkeypatch.setattr(reachability, "_PATIENCE_SECONDS", 0.5)
    with pytest.raises(ServiceError, match=message) as caught:
        ensure_services(make_settings(**values), n_workers=0)
    assert "secret" not in str(caught.value)


@contextlib.contextmanager
def _listening_on(port: int) -> Iterator[int]:

    with socket.create_server(("127.0.0.1", port)) as server:
        yield server.getsockname()[1]
