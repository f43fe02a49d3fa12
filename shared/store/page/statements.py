"""The statements behind the views of the page: `sql/page/<view>.sql` holds those of one view.

Each begins with a line `-- name: question?`. Parameters are bound and cast, `cast(:sweep_id as integer)`, so
that the text with its values in their places is what a person can run.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import Connection, Engine, Row, text

from shared.store.database import SQL_FOLDER, transaction

_FOLDER = SQL_FOLDER / "page"
_HEAD = re.compile(r"^-- (\w+): (.+)\n", re.MULTILINE)
_PARAMETER = re.compile(r"\bcast\(:(\w+) as ([\w\[\]]+)\)")
# A view that takes longer has lost its reader, and must not keep the workers waiting.
_TIMEOUT = "set local statement_timeout = '20s'"
# Sorting a catalogue in memory takes half the time that files take.
_MEMORY = "set local work_mem = '32MB'"


@dataclass(frozen=True)
class Statement:
    """One statement of a view: its name in the file, the question it answers, its text."""

    name: str
    question: str
    sql: str


class Reading:
    """One read-only transaction: all statements of a view see the database at one moment."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def rows(self, view: str, name: str, **parameters: object) -> Sequence[Row[Any]]:
        """The rows of one statement of a view."""
        statement = page_statements(view)[name]
        return self._connection.execute(text(statement.sql), parameters).all()


@contextmanager
def reading(engine: Engine) -> Iterator[Reading]:
    """A transaction that cannot write; raises StoreError and StoreUnavailable as every other."""
    with transaction(engine) as connection:
        connection.execute(text("set transaction isolation level repeatable read, read only"))
        connection.execute(text(_TIMEOUT))
        connection.execute(text(_MEMORY))
        yield Reading(connection)


def load_statements() -> None:
    """Read all of them now: a service goes on with its own while newer code is put beside it."""
    for path in _FOLDER.glob("*.sql"):
        page_statements(path.stem)


@cache
def page_statements(view: str) -> Mapping[str, Statement]:
    """The statements of a view by name, in the order of its file; a text before the first head is refused."""
    content = (_FOLDER / f"{view}.sql").read_text("utf-8")
    heads = list(_HEAD.finditer(content))
    if not heads or heads[0].start() != 0:
        raise ValueError(f"sql/page/{view}.sql must begin with `-- name: question?`")
    ends = [*(head.start() for head in heads[1:]), len(content)]
    return {
        head[1]: Statement(head[1], head[2], content[head.end() : end].strip())
        for head, end in zip(heads, ends, strict=True)
    }


def view_sql(view: str, parameters: Mapping[str, object]) -> list[Statement]:
    """The statements of a view with the values in their places, as a person runs them."""

    def literal(match: re.Match[str]) -> str:
        name, kind = match.groups()
        return f"cast({_literal(parameters.get(name))} as {kind})"

    return [
        Statement(one.name, one.question, _PARAMETER.sub(literal, one.sql))
        for one in page_statements(view).values()
    ]


def _literal(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool | int | float):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return f"array[{', '.join(_literal(one) for one in value)}]"
    # Standard strings: a backslash is a backslash.
    return "'" + str(value).replace("'", "''") + "'"
