"""Embedded services in tests: settings that are cleaned up, processes looked for, data to be kept."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import psycopg2
import pytest
import redis

from scheduler.machine import (
    Endpoints,
    clean_services,
    services_status,
)
from scheduler.machine.places import outside_home
from scheduler.machine.processes import MARKER
from shared.settings import Settings

SERVICE_NAMES = ("postgres", "redis", "watcher", "flower", "dashboard", "worker", "supervisor")


@contextlib.contextmanager
def settings_maker() -> Iterator[Callable[..., Settings]]:
    """Makes settings for state folders; at the end they are removed with all that runs in them."""
    monkeypatch = pytest.MonkeyPatch()
    for name in (
        "DATABASE_URL",
        "BROKER_URL",
        "POSTGRES_PORT",
        "REDIS_PORT",
        "FLOWER_PORT",
        "DASHBOARD_PORT",
        "STATE_DIR",
    ):
        monkeypatch.delenv(name, raising=False)
    root = Path(tempfile.mkdtemp(prefix="recsweep-services-"))
    root.chmod(0o755)
    made = []

    def make(folder: str = "clone", **values: str) -> Settings:
        settings = Settings.model_validate({"state_dir": root / folder / ".recsweep", **values})
        made.append(settings)
        return settings

    try:
        yield make
        for settings in made:
            clean_services(settings)
            assert processes_of(settings.state_dir) == []
            assert not outside_home(settings.state_dir.resolve()).exists()
    finally:
        for settings in made:
            clean_services(settings)
        shutil.rmtree(root)
        monkeypatch.undo()


def processes_of(state_dir: Path) -> list[psutil.Process]:
    """Live processes that hold the state folder's name in their environment, command or working folder."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            places = [*process.cmdline(), process.cwd(), process.environ().get(MARKER, "")]
            is_ours = any(str(place).startswith(str(state_dir)) for place in places)
            if is_ours and process.status() != psutil.STATUS_ZOMBIE and process.pid != os.getpid():
                found.append(process)
    return found


def pid_of(settings: Settings, name: str) -> int:
    return next(status.pid for status in services_status(settings) if status.name == name and status.pid)


def pids_of(settings: Settings) -> dict[str, int | None]:
    return {status.name: status.pid for status in services_status(settings)}


def query(endpoints: Endpoints, statement: str) -> list[tuple[object, ...]]:
    dsn = endpoints.database_url.replace("+psycopg2", "")
    with contextlib.closing(psycopg2.connect(dsn)) as connection, connection.cursor() as cursor:
        cursor.execute(statement)
        rows = cursor.fetchall() if cursor.description else []
        connection.commit()
        return rows


def keep_something(endpoints: Endpoints) -> None:
    query(endpoints, "create table kept as select 7 as n")
    with redis.Redis.from_url(endpoints.broker_url) as client:
        client.set("kept", "7")
        client.execute_command("waitaof", 1, 0, 5000)


def assert_kept(endpoints: Endpoints) -> None:
    assert query(endpoints, "select n from kept") == [(7,)]
    with redis.Redis.from_url(endpoints.broker_url) as client:
        assert client.get("kept") == b"7"
