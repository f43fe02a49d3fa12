"""The embedded services while they run: what is shown, what changes, what comes back after a kill."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import psutil
import pytest

from scheduler.machine import (
    ensure_services,
    find_endpoints,
    programs,
    psql_command,
    services_status,
)
from shared.settings import Settings
from tests.embedded import (
    SERVICE_NAMES,
    assert_kept,
    keep_something,
    pid_of,
    pids_of,
    processes_of,
    settings_maker,
)


@pytest.fixture(scope="module")
def running() -> Iterator[Settings]:
    """Services of one worker that several tests use and leave running."""
    with settings_maker() as make:
        settings = make()
        keep_something(ensure_services(settings, n_workers=1))
        yield settings


def test_all_services_run_and_are_listed(running: Settings) -> None:
    statuses = {status.name: status for status in services_status(running)}
    assert {name: status.state for name, status in statuses.items()} == dict.fromkeys(
        SERVICE_NAMES, "running"
    )
    endpoints = find_endpoints(running)
    assert f"@{statuses['postgres'].address}/" in endpoints.database_url
    assert f"@{statuses['redis'].address}/" in endpoints.broker_url
    assert endpoints.flower_url == f"http://{statuses['flower'].address}"
    assert endpoints.dashboard_url == f"http://{statuses['dashboard'].address}"


def test_no_command_line_shows_a_password(running: Settings) -> None:
    endpoints = find_endpoints(running)
    passwords = [urlsplit(url).password for url in (endpoints.database_url, endpoints.broker_url)]
    command_lines = " ".join(" ".join(process.cmdline()) for process in processes_of(running.state_dir))
    assert "valkey-server" in command_lines
    assert not any(password in command_lines for password in passwords if password)


def test_everything_listens_on_the_loopback_only(running: Settings) -> None:
    listening = {
        connection.laddr.ip
        for process in processes_of(running.state_dir)
        for connection in process.net_connections()
        if connection.status == psutil.CONN_LISTEN
    }
    assert listening == {"127.0.0.1"}


def test_files_with_secrets_are_private(running: Settings) -> None:
    folder = running.state_dir
    files = [
        *folder.glob("*.json"),
        *folder.glob("*.conf"),
        *folder.glob("*/*.json"),
        *folder.glob("*/*.conf"),
    ]
    assert {path.name for path in files} >= {"services.json", "supervisor.conf", "redis.conf", "worker.json"}
    assert [path for path in files if path.stat().st_mode & 0o077] == []


def test_psql_reaches_the_database_without_a_password_on_its_command_line(running: Settings) -> None:
    command, environment = psql_command(running)
    done = subprocess.run(
        [*command, "-Atc", "select current_user, current_database()"],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "recsweep|recsweep"
    assert environment["PGPASSWORD"] not in " ".join(command)


def test_second_call_is_quick_and_changes_nothing(running: Settings) -> None:
    first = ensure_services(running)
    pids = pids_of(running)
    began = time.monotonic()
    assert ensure_services(running) == first
    assert time.monotonic() - began < 15.0
    assert pids_of(running) == pids


def test_another_number_of_workers_restarts_only_the_worker(running: Settings) -> None:
    before = pids_of(running)
    ensure_services(running, n_workers=2)
    after = pids_of(running)
    assert [name for name in before if before[name] != after[name]] == ["worker"]


def test_changed_code_restarts_what_runs_it(running: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    before = pids_of(running)
    monkeypatch.setattr(programs, "code_version", lambda: "0.0.0+edited")
    ensure_services(running)
    after = pids_of(running)
    assert {name for name in before if before[name] != after[name]} == {
        "worker",
        "watcher",
        "flower",
        "dashboard",
    }


@pytest.mark.parametrize("victim", ["postgres", "redis", "supervisor"])
def test_a_killed_service_comes_back_with_its_data(running: Settings, victim: str) -> None:
    old = pid_of(running, victim)
    os.kill(old, signal.SIGKILL)
    psutil.wait_procs([psutil.Process(old)] if psutil.pid_exists(old) else [], timeout=5)
    assert_kept(ensure_services(running))
    assert pid_of(running, victim) != old
    names = [process.name() for process in processes_of(running.state_dir)]
    assert names.count("valkey-server") == 1
