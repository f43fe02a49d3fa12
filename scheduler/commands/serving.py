"""The command that takes a promotion back, and the words that say what is served and why."""

import click
from sqlalchemy import Engine

from scheduler.commands.connection import SWEEP_OPTION, open_store, require_sweep
from shared import store
from shared.console import console
from shared.domain.families.item_popularity import ItemPopularity
from shared.store import ServedTrial

# The sweep file that ships for lists.
_LISTS = "lists"

NOTE_OPTION = click.option("--note", envvar="NOTE", default="", help="Why, for the history.")


@click.command()
@click.option("--dataset", "dataset_name", envvar="DATASET", default=None, help="That of the latest sweep.")
@SWEEP_OPTION
@NOTE_OPTION
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
    warning = warn_of_lists(served, dataset_name)
    if warning:
        console.print(warning, style="yellow")
    console.print(explain_served(served, dataset_name))


def warn_of_lists(served: ServedTrial, dataset_name: str) -> str | None:
    """Says so when showing everybody the most rated items would be better: both numbers, then what to do."""
    if served.ndcg is None or served.popularity_ndcg is None or served.ndcg >= served.popularity_ndcg:
        return None
    found = (
        f"ndcg@{served.k} {served.ndcg:.4f} against {served.popularity_ndcg:.4f} of item popularity: the "
        "lists that are served are worse than showing everybody the most rated items. "
    )
    if served.sweep_name == _LISTS:
        return found + f"To serve those: make promote TRIAL={ItemPopularity().label} SWEEP={_LISTS}"
    return found + f"To find a model with better ones: make sweep SWEEP={_LISTS} DATASET={dataset_name}"


def explain_served(served: ServedTrial, dataset_name: str) -> str:
    """Which trial is served, by which rule, and what it learned from."""
    trial = f"{served.label} of sweep {served.sweep_id} {served.sweep_name}"
    version = f"version {served.fingerprint} of {dataset_name}"
    if served.is_refit:
        trial += f", the refit of {served.chosen_label}"
        learned = f"It learned from all {served.n_ratings:,} ratings of {version}."
    else:
        learned = f"It learned from the training part of the {served.n_ratings:,} ratings of {version}."
    if served.is_promoted:
        return f"best_recommendations serves {dataset_name} with {trial}: it was promoted. {learned}"
    return (
        f"best_recommendations serves {dataset_name} with {trial}: it leads the newest sweep that has ended. "
        f"{learned} To serve it trained on all ratings, or another: make promote TRIAL=label"
    )
