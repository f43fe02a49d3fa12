"""Whether the servers that a person named can be used, asked before anything is stopped for them.

They must answer, must be other servers than the embedded ones (which stop when others are named), and must
let us write.
"""

import contextlib
import uuid
from dataclasses import dataclass
from datetime import datetime

import psycopg2
import redis

from scheduler.machine.postgres import database_url, library_url
from scheduler.machine.reachability import broker_address, check_broker, check_database, database_address
from scheduler.machine.redis import broker_url
from scheduler.machine.state import ServicesState
from shared.errors import ServiceError
from shared.settings import Settings
from shared.store.database import create_engine
from shared.store.schema import upgrade_schema

_TIMEOUT_SECONDS = 5
_OF_THE_TABLES = "trials"
_FACTS = f"""
with named as (select to_regclass('{_OF_THE_TABLES}') as trials)
select
    pg_postmaster_start_time(),
    pg_is_in_recovery() or current_setting('transaction_read_only')::boolean,
    current_user,
    current_schema(),
    coalesce(has_schema_privilege(current_schema(), 'create'), false),
    trials is not null,
    coalesce(
        has_table_privilege(trials, 'insert')
        and has_table_privilege(trials, 'update')
        and has_table_privilege(trials, 'delete'),
        false
    )
from named
"""  # noqa: S608  A name of our own.


@dataclass(frozen=True)
class _Database:
    """What a database server says of itself and of the role that asks."""

    started_at: datetime
    is_read_only: bool
    role: str
    schema: str | None
    can_create: bool
    has_tables: bool
    can_write: bool


def prepare_given_servers(settings: Settings, state: ServicesState | None) -> None:
    """Check the servers of DATABASE_URL and BROKER_URL, then bring the database's schema up to date.

    Nothing happens for those that are unset. Raises ServiceError or StoreError with the remedy.
    """
    if settings.database_url is not None:
        check_database(settings.database_url)
        _check_is_usable(settings.database_url, state)
    if settings.broker_url is not None:
        check_broker(settings.broker_url)
        _check_takes_messages(settings.broker_url, state)
    if settings.database_url is not None:
        engine = create_engine(settings.database_url)
        upgrade_schema(engine)
        engine.dispose()


def _check_is_usable(url: str, state: ServicesState | None) -> None:
    address = database_address(url)
    try:
        given = _ask_database(url)
    except psycopg2.Error as error:
        words = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ServiceError(f"the database at {address} cannot be asked: {words}") from error
    if state and "postgres" in state.ports:
        # It may be down, or somebody else may listen there now: both are no obstacle.
        with contextlib.suppress(psycopg2.Error):
            own = _ask_database(database_url(state.ports["postgres"], state.passwords["postgres"]))
            if own.started_at == given.started_at:
                raise _own_server("DATABASE_URL", "Postgres", address)
    problem = _problem_of(given)
    if problem:
        raise ServiceError(f"DATABASE_URL names {address}, where {problem}; or unset it")


def _problem_of(database: _Database) -> str | None:
    if database.is_read_only:
        return "nothing can be written (a standby, or a read-only role): name one that takes writes"
    if database.has_tables:
        remedy = "name the role that owns them"
        return None if database.can_write else f"role {database.role} may only read our tables: {remedy}"
    if database.schema is None:
        return f"role {database.role} has no schema (its search_path names none that exists): create one"
    if not database.can_create:
        grant = f"grant create on schema {database.schema} to {database.role}"
        return f"role {database.role} may not create tables: `{grant}`, or name another role"
    return None


def _ask_database(url: str) -> _Database:
    with (
        contextlib.closing(
            psycopg2.connect(library_url(url), connect_timeout=_TIMEOUT_SECONDS)
        ) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute(_FACTS)
        row = cursor.fetchone()
    assert row is not None  # noqa: S101  The statement gives one row always.
    return _Database(*row)


def _check_takes_messages(url: str, state: ServicesState | None) -> None:
    address = broker_address(url)
    if state and "redis" in state.ports:
        # Not every user may ask a server for its identity; nobody else's user has ours.
        with contextlib.suppress(redis.RedisError, OSError):
            if _run_id(url) == _run_id(broker_url(state.ports["redis"], state.passwords["redis"])):
                raise _own_server("BROKER_URL", "Redis", address)
    try:
        _write_and_delete(url)
    except (redis.RedisError, OSError) as error:
        raise ServiceError(
            f"BROKER_URL names {address}, which does not take messages: {error}; "
            "name a Redis and a user that may write, or unset it"
        ) from error


def _run_id(url: str) -> str:
    with _client(url) as client:
        return str(client.info("server")["run_id"])


def _write_and_delete(url: str) -> None:
    name = f"recsweep-check:{uuid.uuid4()}"
    with _client(url) as client:
        client.set(name, "", ex=_TIMEOUT_SECONDS)
        client.delete(name)


def _client(url: str) -> redis.Redis:
    return redis.Redis.from_url(url, socket_connect_timeout=_TIMEOUT_SECONDS, socket_timeout=_TIMEOUT_SECONDS)


def _own_server(variable: str, name: str, address: str) -> ServiceError:
    return ServiceError(
        f"{variable} names {address}, the embedded {name} of this very folder, which stops when another "
        f"server is named: unset {variable} to use it, or name a {name} server of your own"
    )
