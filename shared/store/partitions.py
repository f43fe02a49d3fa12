"""The partitions of the large tables, one a sweep, so that pruning a sweep drops a file.

A sweep that keeps the lists of few trials has one for the lists of each trial below that, so that removing
them drops a file too. The others have not: with 2,000 of them a look at one user's list in
best_recommendations, whose trial is not known when it is planned, takes 25 times as long and 4,000 locks.

Their link to `trials` is kept by statement triggers, not by a foreign key:
checking a key row by row made a COPY 2.4 times slower, checking it once a statement 1.2 times.
"""

from typing import cast

import psycopg2.extensions
from psycopg2 import sql
from sqlalchemy import Connection, text

LIST_TABLES = ("recommendations", "rating_predictions")
PARTITIONED_TABLES = (*LIST_TABLES, "user_results")
# A sweep that keeps more has no partitions for them: each costs every look at one user's list 0.08 ms and two
# locks, of which a server with its default settings has 6,400 for all sessions together.
MOST_LISTS_WITH_PARTITIONS = 20

_IS_BY_TRIAL = text("""
    select exists (select from pg_class where oid = to_regclass(:partition) and relkind = 'p')
""")


def add_partitions(connection: Connection, sweep_id: int, lists_kept: int | None = None) -> None:
    """Make room for the lists and the results of users of a new sweep."""
    # Made first and attached then: `create table … partition of` would wait for every running COPY.
    make = "create table {partition} (like {parent} including all)"
    attach = sql.SQL("alter table {parent} attach partition {partition} for values in ({sweep_id})")
    is_by_trial = lists_kept is not None and lists_kept <= MOST_LISTS_WITH_PARTITIONS
    for table in PARTITIONED_TABLES:
        names = {"parent": sql.Identifier(table), "partition": _of_sweep(table, sweep_id)}
        by_trial = " partition by list (trial_id)" if is_by_trial and table in LIST_TABLES else ""
        _execute(connection, sql.SQL(make + by_trial).format(**names))
        _execute(connection, attach.format(**names, sweep_id=sql.Literal(sweep_id)))


def drop_partitions(connection: Connection, sweep_id: int) -> None:
    """Remove all lists and results of users of a sweep at once."""
    for table in PARTITIONED_TABLES:
        statement = sql.SQL("drop table if exists {}").format(_of_sweep(table, sweep_id))
        _execute(connection, statement)


def has_partitions_of_trials(connection: Connection, sweep_id: int) -> bool:
    """Whether the lists of each trial of a sweep are in tables of their own."""
    # Both tables of lists are alike.
    partition = f"recommendations_sweep_{int(sweep_id)}"
    return bool(connection.execute(_IS_BY_TRIAL, {"partition": partition}).scalar_one())


def make_list_table(connection: Connection, table: str, trial_id: int) -> str:
    """A table for the lists of a trial that nobody sees yet; `attach_list_table` shows it. Gives its name.

    Whoever makes it a second time waits for the first, and fails when that is committed.
    """
    # Like the root: a lock on the partition of the sweep would let nobody remove lists for a whole COPY.
    make = sql.SQL("create table {partition} (like {parent} including all excluding indexes)")
    _execute(connection, make.format(parent=sql.Identifier(table), partition=_of_trial(table, trial_id)))
    return _of_trial(table, trial_id).string


def attach_list_table(connection: Connection, table: str, sweep_id: int, trial_id: int) -> None:
    """Show the rows that were written into the table of a trial; all must be of this sweep and trial."""
    # Of rows that are there an index is made once. The check spares `attach` a look at every row.
    statements = (
        "alter table {partition} add primary key (trial_id, user_id, rank, sweep_id)",
        "alter table {partition} add constraint of_trial"
        " check (sweep_id = {sweep_id} and trial_id = {trial_id})",
        "alter table {parent} attach partition {partition} for values in ({trial_id})",
        "alter table {partition} drop constraint of_trial",
    )
    names = {"parent": _of_sweep(table, sweep_id), "partition": _of_trial(table, trial_id)}
    numbers = {"sweep_id": sql.Literal(sweep_id), "trial_id": sql.Literal(trial_id)}
    for statement in statements:
        _execute(connection, sql.SQL(statement).format(**names, **numbers))


def remove_lists(connection: Connection, sweep_id: int, trial_id: int) -> None:
    """Remove the lists of a trial: at once where they have tables of their own, else row by row."""
    if has_partitions_of_trials(connection, sweep_id):
        tables = sql.SQL(", ").join(_of_trial(table, trial_id) for table in LIST_TABLES)
        _execute(connection, sql.SQL("drop table if exists {}").format(tables))
        return
    for table in LIST_TABLES:
        delete = sql.SQL("delete from {} where sweep_id = {} and trial_id = {}")
        numbers = (sql.Literal(sweep_id), sql.Literal(trial_id))
        _execute(connection, delete.format(sql.Identifier(table), *numbers))


def _of_sweep(table: str, sweep_id: int) -> sql.Identifier:
    return sql.Identifier(f"{table}_sweep_{int(sweep_id)}")


def _of_trial(table: str, trial_id: int) -> sql.Identifier:
    return sql.Identifier(f"{table}_trial_{int(trial_id)}")


def _execute(connection: Connection, statement: sql.Composable) -> None:
    raw_connection = cast(psycopg2.extensions.connection, connection.connection.driver_connection)
    connection.exec_driver_sql(statement.as_string(raw_connection))
