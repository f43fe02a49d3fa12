"""The rows of a SQL query, by the server's cursor, on any database that SQLAlchemy knows."""

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, CursorResult, create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from shared.errors import DatasetError

if TYPE_CHECKING:
    import pyarrow as pa

_BATCH_ROWS = 1 << 16
_CONNECT_TIMEOUT_SECONDS = 10


class Database:
    """A database to read from: the one whose URL is in an environment variable. Its URL is never shown."""

    def __init__(self, variable: str, where: str) -> None:
        """`where`: the TOML source, for messages."""
        self.where = where
        self._variable = variable

    @contextmanager
    def connected(self) -> Iterator[Connection]:
        """One snapshot that nothing is written in; raises DatasetError when it cannot be had."""
        url = os.environ.get(self._variable)
        if not url:
            raise DatasetError(
                f"{self.where}: the database's URL is in the environment variable {self._variable}, which is "
                f"not set. Set it: {self._variable}=postgresql://user:password@host/database"
            )
        try:
            parsed = make_url(url)
            if parsed.drivername in ("postgres", "postgresql"):
                # The driver that is installed.
                parsed = parsed.set(drivername="postgresql+psycopg2")
            is_postgres = parsed.get_backend_name() == "postgresql"
            engine = create_engine(
                parsed, connect_args={"connect_timeout": _CONNECT_TIMEOUT_SECONDS} if is_postgres else {}
            )
        except (ArgumentError, NoSuchModuleError, ImportError, ValueError) as error:
            # The URL holds a password: it is in no message of ours.
            reason = (
                "its driver is not installed"
                if isinstance(error, ImportError | NoSuchModuleError)
                else "not a URL of a database"
            )
            raise DatasetError(
                f"{self.where}: {self._variable} must be a SQLAlchemy URL, such as "
                f"postgresql://user:password@host/database; {reason}."
            ) from error
        options: dict[str, Any] = {"stream_results": True, "max_row_buffer": _BATCH_ROWS}
        if is_postgres:
            options |= {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        try:
            with engine.connect() as connection:
                yield connection.execution_options(**options)
                connection.rollback()
        except SQLAlchemyError as error:
            raise self.translated(error) from error
        finally:
            engine.dispose()

    def translated(self, error: SQLAlchemyError, n_rows: int | None = None) -> DatasetError:
        """The first line of what the server or the driver says."""
        reason = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
        after = "" if n_rows is None else f" after {n_rows:,} rows"
        return DatasetError(
            f"{self.where}: the query on {self._variable} ended{after}: {reason}. Correct it, or run the "
            "command again when the database is there; nothing was stored."
        )


class QueryRows:
    """The rows of one query. `what` it gives: "ratings"."""

    notices: Sequence[str] = ()

    def __init__(self, database: Database, connection: Connection, query: str, what: str) -> None:
        self.where = f"{database.where}, query of {what}"
        self._database = database
        try:
            self._result: CursorResult[Any] = connection.execute(text(_without_binds(query)))
            self.names = tuple(self._result.keys())
            self._first = self._result.fetchmany(_BATCH_ROWS)
        except SQLAlchemyError as error:
            raise database.translated(error) from error
        except Exception as error:
            raise DatasetError(f"{self.where}: a query gives rows; this one does not ({error}).") from error

    def examples(self, n_rows: int) -> list[list[str]]:
        """The first rows."""
        return [["" if value is None else str(value) for value in row] for row in self._first[:n_rows]]

    def batches(self, columns: Sequence[int]) -> Iterator["pa.RecordBatch"]:
        """Values as the driver gives them. Raises DatasetError when the database goes away meanwhile."""
        import pyarrow as pa  # noqa: PLC0415  Slow to load, and few commands need it.

        rows, n_rows = self._first, 0
        while rows:
            n_rows += len(rows)
            arrays = [_column([row[place] for row in rows]) for place in columns]
            yield pa.RecordBatch.from_arrays(arrays, names=[str(place) for place in columns])
            try:
                rows = self._result.fetchmany(_BATCH_ROWS)
            except SQLAlchemyError as error:
                raise self._database.translated(error, n_rows) from error

    def place(self, row: int) -> str:
        """Row of the query, from 1."""
        return f"{self.where}, row {row + 1}"


def _without_binds(query: str) -> str:
    """A colon is a colon: nothing is filled in."""
    return re.sub(r"(?<!:):(?!:)", r"\\:", query)


def _column(values: list[Any]) -> "pa.Array":
    import pyarrow as pa  # noqa: PLC0415  Slow to load, and few commands need it.

    try:
        return pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
        # Of several kinds, or of one that has no column type: UUIDs, large integers.
        return pa.array([None if value is None else str(value) for value in values], pa.string())
