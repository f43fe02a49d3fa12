"""Commands that decide what `best_recommendations` serves."""

import click

from scheduler.commands.connection import SWEEP_OPTION, open_store, require_sweep
from shared import store
from shared.console import console
from shared.errors import SpecError

_NOTE = click.option("--note", envvar="NOTE", default="", help="Why, for the history.")


@click.command()
@click.option("--trial", "label", envvar="TRIAL", default=None, help="Label of a succeeded trial.")
@SWEEP_OPTION
@_NOTE
def promote(label: str | None, sweep_name: str | None, note: str) -> None:
    """Serve a trial in best_recommendations, whatever the leaderboard says, until rolled back."""
    if not label:
        raise SpecError("which trial? make promote TRIAL=label; `make leaderboard` lists them")
    engine, _ = open_store()
    sweep = require_sweep(engine, sweep_name)
    promotion = store.promote_trial(engine, label, sweep.sweep_id, note)
    console.print(f"Promotion {promotion.promotion_id} for data set {sweep.dataset_name}: {promotion.note}")


@click.command()
@SWEEP_OPTION
@_NOTE
def rollback(sweep_name: str | None, note: str) -> None:
    """Serve again what was served before the last promotion."""
    engine, _ = open_store()
    sweep = require_sweep(engine, sweep_name)
    promotion = store.rollback_promotion(engine, sweep.dataset_id, note)
    console.print(f"Promotion {promotion.promotion_id} for data set {sweep.dataset_name}: {promotion.note}")
