"""Commands that answer the stored questions."""

import shlex

import click

from scheduler.commands.connection import open_store
from shared import store
from shared.console import console, new_table
from shared.errors import SpecError


@click.command()
def queries() -> None:
    """List the stored queries with their questions and parameters."""
    table = new_table("Run one with make query Q=name ARGS='user_id=1'", "query", "question", "parameters")
    for query in store.list_queries():
        parameters = ", ".join(f"{name}={default or ''}" for name, default in query.parameters.items())
        table.add_row(query.name, query.question, parameters)
    console.print(table)


@click.command()
@click.option("--name", "-q", envvar="Q", default=None, help="Name of a query: see `make queries`.")
@click.option("--arguments", envvar="ARGS", default="", help="Parameters, such as 'user_id=1 k=5'.")
def query(name: str | None, arguments: str) -> None:
    """Run one stored query."""
    if not name:
        raise SpecError("which query? make query Q=name; `make queries` lists them")
    parameters = {}
    for argument in _words(arguments):
        key, equals, value = argument.partition("=")
        if not equals:
            raise SpecError(f"ARGS must be name=value pairs; got {argument!r}")
        parameters[key] = value
    engine, _ = open_store()
    columns, rows = store.run_query(engine, name, parameters)
    question = next(query.question for query in store.list_queries() if query.name == name)
    table = new_table(question, *columns)
    for row in rows:
        table.add_row(*(_cell(value) for value in row))
    console.print(table)
    console.print(f"{len(rows)} rows")


def _words(arguments: str) -> list[str]:
    try:
        return shlex.split(arguments)
    except ValueError as error:
        raise SpecError(f"ARGS must be name=value pairs, quotes in pairs; got {arguments!r}") from error


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4f}"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
