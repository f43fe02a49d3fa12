"""A server that cannot be used is refused before anything is stopped for it."""

import contextlib
from collections.abc import Callable, Iterator

import psycopg2
import pytest
import redis
from sqlalchemy import make_url

from scheduler.machine import Endpoints, ensure_services, find_endpoints
from scheduler.machine.postgres import library_url
from shared.errors import RecsweepError
from shared.settings import Settings
from tests.embedded import pids_of, processes_of, query, settings_maker


@pytest.fixture(scope="module")
def running() -> Iterator[Settings]:
    with settings_maker() as make:
        settings = make()
        ensure_services(settings, n_workers=0)
        yield settings


@pytest.fixture
def refused(running: Settings) -> Callable[..., str]:
    """Starts with these settings; gives the message, after a look that all still runs as before."""

    def start(**values: str) -> str:
        before = pids_of(running)
        with pytest.raises(RecsweepError) as caught:
            ensure_services(running.model_copy(update=values), n_workers=1)
        assert pids_of(running) == before
        return str(caught.value)

    return start


def _as_role(url: str, role: str, host: str = "127.0.0.1") -> str:
    return make_url(url).set(username=role, password="pw", host=host).render_as_string(hide_password=False)


def _execute(url: str, *statements: str) -> None:
    with contextlib.closing(psycopg2.connect(library_url(url))) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)


@pytest.fixture
def role(empty_database_url: str) -> Iterator[str]:
    """A role that may log in and nothing else, in the server of the tests."""
    _execute(empty_database_url, "create role guest login password 'pw'")
    yield "guest"
    _execute(empty_database_url, "drop role guest")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_the_database_of_the_embedded_server_itself(running: Settings, refused, host: str) -> None:
    endpoints = find_endpoints(running)
    own = make_url(endpoints.database_url).set(host=host).render_as_string(hide_password=False)
    assert "the embedded Postgres of this very folder" in refused(database_url=own)


def test_another_role_and_database_of_the_embedded_server(running: Settings, refused) -> None:
    endpoints = find_endpoints(running)
    query(endpoints, "create role reader login password 'pw'")
    url = make_url(_as_role(endpoints.database_url, "reader")).set(database="postgres")
    message = refused(database_url=url.render_as_string(hide_password=False))
    assert "the embedded Postgres of this very folder" in message
    assert "unset DATABASE_URL to use it" in message


def test_the_embedded_redis_itself(running: Settings, refused) -> None:
    own = find_endpoints(running).broker_url
    message = refused(broker_url=own.replace("127.0.0.1", "localhost"))
    assert "the embedded Redis of this very folder" in message
    assert "unset BROKER_URL to use it" in message


def test_a_role_that_may_not_create_tables(refused, empty_database_url: str, role: str) -> None:
    message = refused(database_url=_as_role(empty_database_url, role))
    assert "role guest may not create tables: `grant create on schema public to guest`" in message


def test_a_role_that_may_only_read(refused, database_url: str, role: str) -> None:
    _execute(database_url, "grant select on all tables in schema public to guest")
    message = refused(database_url=_as_role(database_url, role))
    _execute(database_url, "revoke all on all tables in schema public from guest")
    assert "role guest may only read our tables" in message


def test_a_role_without_a_schema(refused, empty_database_url: str, role: str) -> None:
    _execute(empty_database_url, "alter role guest set search_path to nowhere")
    assert "role guest has no schema" in refused(database_url=_as_role(empty_database_url, role))


def test_a_role_that_is_read_only_by_setting(refused, empty_database_url: str, role: str) -> None:
    _execute(empty_database_url, "alter role guest set default_transaction_read_only to on")
    assert "nothing can be written" in refused(database_url=_as_role(empty_database_url, role))


def test_a_database_of_newer_code(refused, database_url: str) -> None:
    _execute(database_url, "update alembic_version set version_num = 'of the future'")
    assert "is not known to this code" in refused(database_url=database_url)


@pytest.fixture
def redis_user(broker_url: str) -> Iterator[Callable[..., str]]:
    """Makes a user with these rights in the Redis of the tests; gives its URL."""
    with redis.Redis.from_url(broker_url) as client:

        def make(*rights: str) -> str:
            client.execute_command("acl", "setuser", "guest", "reset", "on", ">pw", "~*", *rights)
            return f"redis://guest:pw@{broker_url.partition('@')[2]}"

        yield make
        client.execute_command("acl", "deluser", "guest")


def test_a_redis_user_that_may_not_write(refused, redis_user: Callable[..., str]) -> None:
    message = refused(broker_url=redis_user("+@read", "+@connection", "+info"))
    assert "does not take messages" in message
    assert "no permissions to run the 'set' command" in message
    assert "pw@" not in message


def test_a_redis_user_that_may_not_ask_for_the_servers_identity_is_enough(
    make_settings: Callable[..., Settings], database_url: str, redis_user: Callable[..., str]
) -> None:
    settings = make_settings(database_url=database_url, broker_url=redis_user("+@all", "-info"))
    assert isinstance(ensure_services(settings, n_workers=0), Endpoints)
    assert processes_of(settings.state_dir) == []


def test_a_check_leaves_nothing_in_redis(
    make_settings: Callable[..., Settings], database_url: str, broker_url: str
) -> None:
    ensure_services(make_settings(database_url=database_url, broker_url=broker_url), n_workers=0)
    with redis.Redis.from_url(broker_url) as client:
        assert client.keys() == []


def test_a_server_that_is_down_is_refused_too(refused) -> None:
    assert "no Redis at 127.0.0.1:1/0" in refused(broker_url="redis://127.0.0.1:1/0")
