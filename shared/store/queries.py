"""The questions in `sql/queries`: list them, run one.

A file begins with its question, `-- question?`, and its parameters, `-- parameters: user_id=1, k=20`; a
parameter without a default, `sweep_id=`, is null unless given, and the query chooses. Statements use them as
`cast(:name as type)`, which says what a value may be.
"""

import re
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Engine, text

from shared.domain.records import Query
from shared.errors import SpecError
from shared.plain_text import shortened
from shared.store.database import SQL_FOLDER, transaction

_FOLDER = SQL_FOLDER / "queries"
_PARAMETERS = "-- parameters:"
_CAST = re.compile(r"\bcast\(:(\w+) as (\w+)\)")
_LARGEST_INTEGER = 2**31 - 1


def list_queries() -> list[Query]:
    """All stored queries by name."""
    return [_read(path.stem) for path in sorted(_FOLDER.glob("*.sql"))]


def run_query(
    engine: Engine, name: str, parameters: Mapping[str, str | int | None] | None = None
) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Column names and rows of one stored query; it can read, not write.

    Raises SpecError for an unknown query or parameter, and for a value that its type does not allow.
    """
    given = dict(parameters or {})
    if not (_FOLDER / f"{name}.sql").is_file() or "/" in name:
        known = ", ".join(query.name for query in list_queries())
        raise SpecError(f"a query must be one of {known}; got {name!r}")
    query = _read(name)
    unknown = sorted(given.keys() - query.parameters.keys())
    if unknown:
        known = ", ".join(query.parameters) or "none"
        raise SpecError(f"query {name} has the parameters {known}; got {', '.join(unknown)}")
    statement = (_FOLDER / f"{name}.sql").read_text("utf-8")
    types = dict(_CAST.findall(statement))
    chosen = {**query.parameters, **given}
    values = {
        key: None if value in (None, "") else _check(f"{key} of query {name}", types[key], str(value))
        for key, value in chosen.items()
    }
    with transaction(engine) as connection:
        connection.execute(text("set transaction read only"))
        result = connection.execute(text(statement), values)
        return list(result.keys()), [tuple(row) for row in result]


def _check(parameter: str, kind: str, value: str) -> str:
    """The value, if its type allows it: what Postgres would say of it names neither parameter nor rule."""
    shown = shortened(repr(value))
    if kind == "integer":
        is_number = value.isascii() and value.isdigit() and len(value) <= len(str(_LARGEST_INTEGER))
        if not is_number or int(value) > _LARGEST_INTEGER:
            raise SpecError(f"{parameter} must be a whole number from 0 to {_LARGEST_INTEGER}; got {shown}")
    elif "\0" in value:
        raise SpecError(f"{parameter} must be a text without NUL; got {shown}")
    return value


def _read(name: str) -> Query:
    question, _, rest = (_FOLDER / f"{name}.sql").read_text("utf-8").partition("\n")
    line = rest.partition("\n")[0]
    if not question.startswith("-- ") or not line.startswith(_PARAMETERS):
        raise SpecError(f"sql/queries/{name}.sql must begin with `-- question?` and `{_PARAMETERS} …`")
    parameters = {}
    for part in line.removeprefix(_PARAMETERS).split(","):
        key, _, default = part.strip().partition("=")
        if key:
            parameters[key] = default or None
    return Query(name=name, question=question.removeprefix("-- "), parameters=parameters)
