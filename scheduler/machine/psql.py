"""The psql client: which binary, and how it reaches the database without a password on its command line."""

import os
import shutil
from collections.abc import Mapping

from sqlalchemy import make_url

from scheduler.machine.postgres import wheel_install
from scheduler.machine.reachability import database_address
from scheduler.machine.status import find_endpoints
from shared.errors import ServiceError
from shared.settings import Settings

# Where systems keep terminal descriptions; the wheel's library was built to look elsewhere.
_TERMINAL_FOLDERS = "/etc/terminfo:/lib/terminfo:/usr/share/terminfo:/usr/lib/terminfo"


def psql_command(settings: Settings) -> tuple[list[str], dict[str, str]]:
    """The command (add options and `-c`) and the whole environment to execute psql with.

    Raises ServiceError when nothing runs or no psql can be found.
    """
    url = find_endpoints(settings).database_url
    variables, parameters = _connection(url)
    environment = {"TERMINFO_DIRS": _TERMINAL_FOLDERS} | dict(os.environ) | variables
    return [_find_psql(), *([parameters] if parameters else [])], environment


def _connection(url: str) -> tuple[dict[str, str], str]:
    """libpq's variables for a URL, and its query parameters as a connection string (no secret)."""
    database_address(url)
    parsed = make_url(url)
    variables = {
        "PGHOST": parsed.host,
        "PGPORT": str(parsed.port) if parsed.port else None,
        "PGUSER": parsed.username,
        "PGPASSWORD": parsed.password,
        "PGDATABASE": parsed.database,
    }
    query: Mapping[str, str | tuple[str, ...]] = parsed.query
    if "password" in query:
        variables["PGPASSWORD"] = str(query["password"])
    words = [
        f"{name}='{_escape(value if isinstance(value, str) else ','.join(value))}'"
        for name, value in query.items()
        if name != "password"
    ]
    return {name: value for name, value in variables.items() if value}, " ".join(words)


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace("'", "\\'")


def _find_psql() -> str:
    try:
        bundled = wheel_install() / "bin" / "psql"
    except ServiceError:
        bundled = None
    if bundled and bundled.exists():
        return str(bundled)
    on_path = shutil.which("psql")
    if on_path is None:
        raise ServiceError("psql was not found: install the PostgreSQL client, or run `make setup` again")
    return on_path
