"""Real services for tests: one Postgres and one Redis a session, a fresh database for every test."""

import contextlib
import itertools
import os
import shutil
import signal
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg2
import pytest
import redis
import sqlalchemy

from scheduler.machine.postgres import ADMIN, PostgresServer, running_postgres
from scheduler.machine.redis import RedisServer, running_redis
from shared.settings import Settings
from tests.embedded import settings_maker
from tests.real_data import MARKER, leave_out, left_out_line

_TEMPLATE = "recsweep_template"

_numbers = itertools.count(1)
_LEFT_OUT = pytest.StashKey[Counter[str]]()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", MARKER)
    # Containers often have it: each of hundreds of commands would compile the project anew, half a second.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    # Whoever runs the tests in the background ignores Ctrl-C, and children inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Last, so that only tests count that would have run."""
    config.stash[_LEFT_OUT] = leave_out(config, items)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Of two processes each leaves out the same; it tells the one that writes the summary."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["left_out"] = dict(session.config.stash.get(_LEFT_OUT, {}))


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Of xdist: one of the processes has ended."""
    node.config.stash[_LEFT_OUT] = Counter(getattr(node, "workeroutput", {}).get("left_out", {}))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """One line in place of one for every test that was left out."""
    if counts := config.stash.get(_LEFT_OUT, None):
        terminalreporter.write_line(left_out_line(counts), yellow=True)


@pytest.fixture(scope="session")
def services_folder() -> Iterator[Path]:
    """A folder that also the account of Postgres may enter when the tests run as root."""
    folder = Path(tempfile.mkdtemp(prefix="recsweep-tests-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres_server(services_folder: Path) -> Iterator[PostgresServer]:
    with running_postgres(services_folder) as server:
        yield server


@pytest.fixture(scope="session")
def redis_server(services_folder: Path) -> Iterator[RedisServer]:
    with running_redis(services_folder) as server:
        yield server


@pytest.fixture(scope="session")
def template_database(postgres_server: PostgresServer) -> str:
    """Name of a database with the current schema; clone it, do not connect to it."""
    from shared.store.database import create_engine  # noqa: PLC0415  (unit tests do not need it)
    from shared.store.schema import upgrade_schema  # noqa: PLC0415

    _execute(postgres_server, f"create database {_TEMPLATE}")
    engine = create_engine(_url_of(postgres_server, _TEMPLATE))
    upgrade_schema(engine)
    engine.dispose()
    return _TEMPLATE


@pytest.fixture
def database_url(postgres_server: PostgresServer, template_database: str) -> Iterator[str]:
    """URL of a database of this test's own, with the current schema and no rows."""
    name = f"test_{next(_numbers)}"
    _execute(postgres_server, f"create database {name} template {template_database} strategy file_copy")
    yield _url_of(postgres_server, name)
    _drop(postgres_server, name)


@pytest.fixture
def empty_database_url(postgres_server: PostgresServer) -> Iterator[str]:
    """URL of a database of this test's own without any schema."""
    name = f"test_{next(_numbers)}"
    _execute(postgres_server, f"create database {name}")
    yield _url_of(postgres_server, name)
    _drop(postgres_server, name)


@pytest.fixture
def engine(database_url: str) -> Iterator[sqlalchemy.Engine]:
    from shared.store.database import create_engine  # noqa: PLC0415  (unit tests do not need it)

    engine = create_engine(database_url)
    yield engine
    engine.dispose()


@pytest.fixture
def broker_url(redis_server: RedisServer) -> str:
    """URL of a Redis that holds nothing when the test begins."""
    with redis.Redis.from_url(redis_server.url) as client:
        client.flushall()
    return redis_server.url


@pytest.fixture
def make_settings() -> Iterator[Callable[..., Settings]]:
    """Settings for embedded services that are cleaned up, whatever a test left running."""
    with settings_maker() as make:
        yield make


@pytest.fixture
def settings(make_settings: Callable[..., Settings]) -> Settings:
    return make_settings()


def _url_of(server: PostgresServer, database: str) -> str:
    return server.url.rpartition("/")[0] + f"/{database}"


def _execute(server: PostgresServer, statement: str) -> None:
    """Run one statement as the owner role, outside a transaction, in the maintenance database."""
    _execute_at(_url_of(server, "postgres"), statement)


def _drop(server: PostgresServer, database: str) -> None:
    """As the administrator: the owner may not end the autovacuum that happens to look at the database."""
    url = sqlalchemy.make_url(_url_of(server, "postgres"))
    admin = url.set(username=ADMIN, password=server.admin_password)
    _execute_at(admin.render_as_string(hide_password=False), f"drop database {database} with (force)")


def _execute_at(url: str, statement: str) -> None:
    with contextlib.closing(psycopg2.connect(url.replace("+psycopg2", ""))) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(statement)
