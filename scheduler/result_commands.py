"""Commands that show results."""

import click
from rich.table import Table
from sqlalchemy import Engine

from scheduler.console import console, describe_data, one_line_errors, open_store, require_sweep
from shared import store
from shared.errors import SpecError
from shared.store import Sweep


@click.command()
@click.option("--sweep", "sweep_name", envvar="SWEEP", default=None, help="Name of a stored sweep.")
@one_line_errors
def leaderboard(sweep_name: str | None) -> None:
    """Show the trials of the latest sweep, best first."""
    engine, _ = open_store()
    print_leaderboard(engine, require_sweep(engine, sweep_name))


def print_leaderboard(engine: Engine, sweep: Sweep) -> None:
    """The leaderboard as a table, and in words which architectures do not beat the baselines."""
    rows = store.leaderboard(engine, sweep.sweep_id)
    k = sweep.protocol.k
    data = describe_data(sweep.dataset_name, is_synthetic=sweep.is_synthetic)
    table = Table(title=f"Sweep {sweep.sweep_id} {sweep.name} on {data}", title_justify="left")
    for name in ("rank", "trial"):
        table.add_column(name, no_wrap=True)
    for name in ("RMSE", f"ndcg@{k}", f"recall@{k}", f"coverage@{k}", "parameters", "epoch", "seconds"):
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(
            str(row.rank),
            row.label,
            _number(row.rmse),
            _number(row.ndcg),
            _number(row.recall),
            _number(row.coverage),
            "" if row.n_parameters is None else f"{row.n_parameters:,}",
            "" if row.best_epoch is None else str(row.best_epoch),
            "" if row.train_seconds is None else f"{row.train_seconds:.1f}",
            style="dim" if row.is_baseline else None,
        )
    console.print(table)


@click.command()
@click.option(
    "--user", "user_id", envvar="RECSWEEP_USER", default=None, help="Id of a user."
)
@click.option("--trial", "label", envvar="TRIAL", default=None, help="Label of a trial; default the best.")
@click.option("--sweep", "sweep_name", envvar="SWEEP", default=None, help="Name of a stored sweep.")
@one_line_errors
def recommend(user_id: str | None, label: str | None, sweep_name: str | None) -> None:
    """Show a user's top-rated items with their predictions, and the recommendations."""
    if not user_id:
        raise SpecError("which user? make recommend USER=2000")
    engine, _ = open_store()
    sweep = require_sweep(engine, sweep_name)
    row = _find_trial(engine, sweep, label)
    recommended = store.recommendations_of(engine, row.trial_id, user_id)
    rated = store.rating_predictions_of(engine, row.trial_id, user_id)
    if not rated and not recommended:
        raise SpecError(
            f"user {user_id!r} is not in data set {sweep.dataset_name}; list users with `make psql`"
        )
    data = describe_data(sweep.dataset_name, is_synthetic=sweep.is_synthetic)
    console.print(f"User {user_id}, {row.label} (RMSE {_number(row.rmse)}), sweep {sweep.sweep_id} on {data}")
    table = Table("rank", "item_id", "rating", "prediction", "title", "genres", title="Top-rated by the user")
    for item in rated:
        table.add_row(
            str(item.rank),
            item.item_id,
            f"{item.rating:g}",
            f"{item.score:.4f}",
            item.title,
            "|".join(item.genres),
        )
    console.print(table)
    table = Table("rank", "item_id", "score", "title", "genres", title="Recommended")
    for item in recommended:
        table.add_row(str(item.rank), item.item_id, f"{item.score:.4f}", item.title, "|".join(item.genres))
    console.print(table)


def _find_trial(engine: Engine, sweep: Sweep, label: str | None) -> store.LeaderboardRow:
    rows = [row for row in store.leaderboard(engine, sweep.sweep_id) if row.status == "succeeded"]
    if not rows:
        raise SpecError(f"no trial of sweep {sweep.sweep_id} has succeeded yet: see `make status`")
    if label is None:
        return next((row for row in rows if not row.is_baseline), rows[0])
    for row in rows:
        if row.label == label:
            return row
    raise SpecError(
        f"TRIAL must be a succeeded trial of sweep {sweep.sweep_id}; got {label!r}, known are "
        + ", ".join(row.label for row in rows)
    )


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"
