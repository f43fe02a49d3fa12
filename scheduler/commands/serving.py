"""Commands that decide what `best_recommendations` serves, and the words that say what it serves and why."""

import click
from sqlalchemy import Engine

from scheduler.commands.connection import SWEEP_OPTION, open_store, require_sweep
from shared import store
from shared.console import console
from shared.errors import SpecError
from shared.store import ServedTrial

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
    print_served(engine, sweep.dataset_name)


@click.command()
@click.option("--dataset", "dataset_name", envvar="DATASET", default=None, help="That of the latest sweep.")
@SWEEP_OPTION
@_NOTE
def rollback(dataset_name: str | None, sweep_name: str | None, note: str) -> None:
    """Serve again what was served before the last promotion."""
    engine, _ = open_store()
    if dataset_name is None:
        dataset_name = require_sweep(engine, sweep_name).dataset_name
    promotion = store.rollback_promotion(engine, dataset_name, note)
    console.print(f"Promotion {promotion.promotion_id} for data set {dataset_name}: {promotion.note}")
    print_served(engine, dataset_name)


def print_served(engine: Engine, dataset_name: str) -> None:
    """What best_recommendations serves for a data set and why; first, whether it should not."""
    served = store.served_trial(engine, dataset_name)
    if served is None:
        console.print(
            f"best_recommendations serves nothing for {dataset_name} yet: "
            "no sweep on it has ended with an architecture",
        )
        return
    warning = warn_of_lists(served)
    if warning:
        console.print(warning, style="yellow")
    console.print(explain_served(served, dataset_name))


def warn_of_lists(served: ServedTrial) -> str | None:
    """Says so when showing everybody the most rated items would be better, with both numbers."""
    if served.ndcg is None or served.popularity_ndcg is None or served.ndcg >= served.popularity_ndcg:
        return None
    return (
        f"The lists that are served are worse than showing everybody the most rated items: ndcg@{served.k} "
        f"{served.ndcg:.4f} against {served.popularity_ndcg:.4f}. To serve those instead: "
        f"make promote TRIAL=baseline_item_popularity SWEEP={served.sweep_name}"
    )


def explain_served(served: ServedTrial, dataset_name: str) -> str:
    """Which trial is served, and by which rule."""
    trial = f"{served.label} of sweep {served.sweep_id} {served.sweep_name}"
    if served.is_promoted:
        return f"best_recommendations serves {dataset_name} with {trial}: it was promoted"
    return (
        f"best_recommendations serves {dataset_name} with {trial}: it leads the newest sweep that has ended. "
        "To decide yourself: make promote TRIAL=label"
    )
