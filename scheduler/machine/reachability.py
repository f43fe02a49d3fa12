"""Whether a server answers at its URL: tried for some seconds, told without the password."""

from collections.abc import Callable
from urllib.parse import urlsplit

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from scheduler.machine.patience import ask_until
from scheduler.machine.postgres import can_connect
from scheduler.machine.redis import can_ping
from shared.errors import ServiceError

# A server that is being restarted gets this long; the whole check stays within 15 s.
_PATIENCE_SECONDS = 4.0
_ATTEMPT_SECONDS = 5
# Waiting does not help against these.
_FINAL = (
    *("authentication failed", "does not exist", "no password", "no pg_hba.conf entry"),
    *("invalid username-password", "Authentication required", "not known", "SSL"),
)


def check_database(url: str) -> None:
    """Raises ServiceError, within 15 s, unless Postgres answers at the URL."""
    address = database_address(url)
    problem = _try(lambda: can_connect(url, _ATTEMPT_SECONDS))
    if problem:
        raise ServiceError(
            f"no Postgres database at {address}: {problem}; start it or correct DATABASE_URL "
            "(unset: an embedded one is used)"
        )


def check_broker(url: str) -> None:
    """Raises ServiceError, within 15 s, unless Redis answers at the URL."""
    address = broker_address(url)
    problem = _try(lambda: can_ping(url, _ATTEMPT_SECONDS))
    if problem:
        raise ServiceError(
            f"no Redis at {address}: {problem}; start it or correct BROKER_URL "
            "(unset: an embedded one is used)"
        )


def database_address(url: str) -> str:
    """`host:port/database` of a database URL; raises ServiceError, without the URL, when it is none."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as error:
        raise ServiceError(_DATABASE_RULE) from error
    if parsed.drivername not in ("postgres", "postgresql", "postgresql+psycopg2"):
        raise ServiceError(_DATABASE_RULE)
    host = parsed.host or str(parsed.query.get("host", "localhost"))
    return f"{host}:{parsed.port or 5432}/{parsed.database or ''}"


def broker_address(url: str) -> str:
    """`host:port/database` of a broker URL; raises ServiceError, without the URL, when it is none."""
    try:
        parsed = urlsplit(url)
        port = parsed.port
    except ValueError as error:
        raise ServiceError(_BROKER_RULE) from error
    if parsed.scheme not in ("redis", "rediss"):
        raise ServiceError(_BROKER_RULE)
    return f"{parsed.hostname or 'localhost'}:{port or 6379}{parsed.path or '/0'}"


# What was received may hold a password: it is not repeated.
_DATABASE_RULE = (
    "DATABASE_URL must have the form postgresql://user:password@host:port/database "
    "(reserved characters in the password percent-encoded); it does not"
)
_BROKER_RULE = (
    "BROKER_URL must have the form redis://:password@host:port/0 or rediss://… "
    "(reserved characters in the password percent-encoded); it does not"
)


def _try(attempt: Callable[[], str | None]) -> str | None:
    return ask_until(
        attempt,
        lambda problem: problem is None or any(words in problem for words in _FINAL),
        _PATIENCE_SECONDS,
        pause_seconds=0.5,
    )
