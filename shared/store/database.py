"""The way to Postgres: engine, transactions, errors translated at the border."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg2
import psycopg2.extensions
import sqlalchemy
from sqlalchemy import URL, Connection, Engine, event, make_url
from sqlalchemy.exc import ArgumentError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from shared.errors import StoreError, StoreUnavailable
from shared.settings import PROJECT_ROOT

SQL_FOLDER = PROJECT_ROOT / "sql"

# A dead server is noticed within a minute instead of the two hours of TCP's defaults.
_CONNECT_ARGS = {
    "connect_timeout": 5,
    "application_name": "recsweep",
    "keepalives": 1,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,
}

# SQLSTATE classes and codes that go away by themselves: connection lost, rolled back by a deadlock,
# out of connections, memory or disk, server starting or stopping, lock not granted in time.
_TRANSIENT_CLASSES = ("08", "40", "53")
_TRANSIENT_CODES = ("57P01", "57P02", "57P03", "25P03", "55P03")

# What libpq reports while connecting has no SQLSTATE; these need a person, not patience.
_NEEDS_A_PERSON = ("authentication failed", "does not exist", "no password supplied", "no pg_hba.conf entry")


_CONNECTION_ERRORS = (
    OperationalError,
    InterfaceError,
    psycopg2.OperationalError,
    psycopg2.InterfaceError,
)


def create_engine(url: str) -> Engine:
    """Engine for a `postgresql://` URL; connects at the first statement, keeps at most two connections.

    Options in the URL, such as `?connect_timeout=30`, take precedence over those here.
    """
    parsed = _parse_url(url)
    arguments = {name: value for name, value in _CONNECT_ARGS.items() if name not in parsed.query}
    engine = sqlalchemy.create_engine(
        parsed, connect_args=arguments, pool_pre_ping=True, pool_size=1, max_overflow=1
    )
    event.listen(engine, "connect", _limit_idle_transactions)
    return engine


def _limit_idle_transactions(connection: psycopg2.extensions.connection, _: object) -> None:
    """A stopped process must not keep its locks: the server ends its transaction after a minute."""
    with connection, connection.cursor() as cursor:
        cursor.execute("set idle_in_transaction_session_timeout = '60s'")


def _parse_url(url: str) -> URL:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as error:
        # The value may hold a password: it is not repeated.
        raise StoreError(
            "DATABASE_URL must have the form postgresql://user:password@host:port/database; it does not"
        ) from error
    if parsed.drivername not in ("postgres", "postgresql", "postgresql+psycopg2"):
        raise StoreError(
            f"DATABASE_URL must be a Postgres URL, postgresql://…; it starts with {parsed.drivername}://"
        )
    return parsed.set(drivername="postgresql+psycopg2")


@contextmanager
def transaction(engine: Engine) -> Iterator[Connection]:
    """One transaction: committed at the end, rolled back by any error.

    Raises StoreUnavailable where the same call may succeed later, else StoreError for what the server
    refuses. Neither message holds the password.
    """
    try:
        with engine.begin() as connection:
            yield connection
    # COPY bypasses SQLAlchemy, and so do its errors.
    except (SQLAlchemyError, psycopg2.Error) as error:
        raise _translated(engine.url, error) from error


def _translated(url: URL, error: SQLAlchemyError | psycopg2.Error) -> StoreError:
    place = f"Postgres at {url.host or 'localhost'}:{url.port or 5432}, database {url.database}"
    original = getattr(error, "orig", None) or error
    reason = (str(original).strip().splitlines() or [type(original).__name__])[0].strip()
    code = getattr(original, "pgcode", None) or ""
    if isinstance(error, PoolTimeout):
        return StoreUnavailable(f"{place}: all connections of this process are busy; try again")
    if code.startswith(_TRANSIENT_CLASSES) or code in _TRANSIENT_CODES:
        return StoreUnavailable(f"{place} cannot do this now: {reason}; try again")
    if code or not isinstance(error, _CONNECTION_ERRORS):
        return StoreError(f"{place}: {reason}")
    if any(words in reason for words in _NEEDS_A_PERSON):
        return StoreError(f"{place} refuses the connection: {reason}; correct DATABASE_URL")
    return StoreUnavailable(
        f"{place} cannot be reached: {reason};"
        " start it (`make status` shows the services) or correct DATABASE_URL"
    )
