"""Commands that answer questions, and that decide what is served and kept."""

import os
import shlex

import click
from sqlalchemy import Engine

from scheduler.commands.connection import open_store, require_sweep
from scheduler.machine.secret import new_password
from shared import store
from shared.artifacts import delete_folder
from shared.console import console, new_table, one_line_errors
from shared.errors import SpecError
from shared.settings import load_settings
from shared.store.access import ANALYST

_SWEEP = click.option("--sweep", "sweep_name", envvar="SWEEP", default=None, help="Name of a stored sweep.")
_NOTE = click.option("--note", envvar="NOTE", default="", help="Why, for the history.")


@click.command()
@one_line_errors
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
@one_line_errors
def query(name: str | None, arguments: str) -> None:
    """Run one stored query."""
    if not name:
        raise SpecError("which query? make query Q=name; `make queries` lists them")
    parameters = {}
    for argument in shlex.split(arguments):
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


@click.command()
@click.option("--trial", "label", envvar="TRIAL", default=None, help="Label of a succeeded trial.")
@_SWEEP
@_NOTE
@one_line_errors
def promote(label: str | None, sweep_name: str | None, note: str) -> None:
    """Serve a trial in best_recommendations, whatever the leaderboard says, until rolled back."""
    if not label:
        raise SpecError("which trial? make promote TRIAL=label; `make leaderboard` lists them")
    engine, _ = open_store()
    sweep = require_sweep(engine, sweep_name)
    promotion = store.promote_trial(engine, label, sweep.sweep_id, note)
    console.print(f"Promotion {promotion.promotion_id} for data set {sweep.dataset_name}: {promotion.note}")


@click.command()
@_SWEEP
@_NOTE
@one_line_errors
def rollback(sweep_name: str | None, note: str) -> None:
    """Serve again what was served before the last promotion."""
    engine, _ = open_store()
    sweep = require_sweep(engine, sweep_name)
    promotion = store.rollback_promotion(engine, sweep.dataset_id, note)
    console.print(f"Promotion {promotion.promotion_id} for data set {sweep.dataset_name}: {promotion.note}")


@click.command()
@click.option("--keep", envvar="KEEP", type=click.IntRange(min=1), default=3, help="Newest sweeps to keep.")
@click.option("--yes", envvar="YES", is_flag=True, help="Do not ask.")
@one_line_errors
def prune(keep: int, yes: bool) -> None:
    """Delete all but the newest sweeps, with their recommendations, models and logs."""
    engine, _ = open_store()
    old = store.list_sweeps(engine)[keep:]
    if not old:
        console.print(f"Nothing to delete: there are no more than {keep} sweeps")
        return
    names = ", ".join(f"{sweep.sweep_id} ({sweep.name} of {sweep.created_at:%Y-%m-%d})" for sweep in old)
    if not yes:
        click.confirm(f"Delete sweeps {names}?", abort=True)
    _delete(engine, [sweep.sweep_id for sweep in old])
    console.print(f"Deleted sweeps {names}")


@click.command()
@one_line_errors
def analyst() -> None:
    """Create, or give a new password to, the role that may only read the results."""
    engine, _ = open_store()
    password = os.environ.get("ANALYST_PASSWORD") or new_password()
    store.grant_analyst(engine, password)
    url = engine.url.set(drivername="postgresql", username=ANALYST, password=password)
    console.print(url.render_as_string(hide_password=False), soft_wrap=True)


def _delete(engine: Engine, sweep_ids: list[int]) -> None:
    # The rows first: files without rows are litter, rows without files are wrong.
    store.prune_sweeps(engine, sweep_ids)
    artifacts_url = load_settings().artifacts
    for sweep_id in sweep_ids:
        delete_folder(f"{artifacts_url}/sweep-{sweep_id}")


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4f}"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
