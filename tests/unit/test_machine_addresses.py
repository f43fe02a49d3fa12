"""Addresses without passwords, and the way psql is told about them."""

import pytest

from scheduler.machine.endpoints import ServiceStatus
from scheduler.machine.psql import _connection
from scheduler.machine.reachability import broker_address, database_address
from shared.errors import ServiceError


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("postgresql://me:pw@db:5433/x", "db:5433/x"),
        ("postgres://me:pw@db/x", "db:5432/x"),
        ("postgresql+psycopg2://me:p%40w@[::1]/x?sslmode=require", "::1:5432/x"),
        ("postgresql:///x?host=/run/postgres", "/run/postgres:5432/x"),
    ],
)
def test_address_of_a_database(url: str, address: str) -> None:
    assert database_address(url) == address


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("redis://:pw@queue:6380/1", "queue:6380/1"),
        ("redis://queue", "queue:6379/0"),
        ("rediss://u:pw@q/2", "q:6379/2"),
    ],
)
def test_address_of_a_broker(url: str, address: str) -> None:
    assert broker_address(url) == address


@pytest.mark.parametrize("url", ["mysql://me:secret@db/x", "secret", "postgresql://me:se/cret@db:x/y"])
def test_a_wrong_database_url_is_not_repeated(url: str) -> None:
    with pytest.raises(ServiceError, match="DATABASE_URL must have the form") as caught:
        database_address(url)
    assert "cret" not in str(caught.value)


@pytest.mark.parametrize("url", ["amqp://me:secret@q/", "secret", "redis://:sec/ret@q:6379/0"])
def test_a_wrong_broker_url_is_not_repeated(url: str) -> None:
    with pytest.raises(ServiceError, match="BROKER_URL must have the form") as caught:
        broker_address(url)
    assert "sec" not in str(caught.value)


def test_psql_gets_the_password_by_variable_and_options_by_argument() -> None:
    variables, parameters = _connection("postgresql://me:p%40w@db:5433/x?sslmode=require&options=-c%20a%3Db")
    assert variables == {
        "PGHOST": "db",
        "PGPORT": "5433",
        "PGUSER": "me",
        "PGPASSWORD": "p@w",
        "PGDATABASE": "x",
    }
    assert parameters == "sslmode='require' options='-c a=b'"


def test_psql_takes_a_password_among_the_options_as_a_variable() -> None:
    variables, parameters = _connection("postgresql://db/x?password=secret")
    assert variables["PGPASSWORD"] == "secret"
    assert parameters == ""


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, ""), (5.9, "5 s"), (65, "1 min 5 s"), (3 * 3600 + 720, "3 h 12 min"), (90_000, "1 d 1 h")],
)
def test_uptime_in_the_two_largest_units(seconds: float | None, text: str) -> None:
    assert ServiceStatus("redis", "running", uptime_seconds=seconds).uptime == text
