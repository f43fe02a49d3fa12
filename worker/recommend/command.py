"""The command behind `make recommend HISTORY=…`, with the URLs of a worker in the environment."""

import click
import numpy as np
import numpy.typing as npt
from sqlalchemy import Engine

from shared import store
from shared.artifacts import read_artifact
from shared.console import console, describe_data, new_table
from shared.datasets import Dataset, load_prepared
from shared.errors import SpecError
from shared.plain_text import shortened
from shared.settings import load_settings
from shared.store import Sweep, Trial
from worker.families.registry import family_of, read_model
from worker.process.compiled_programs import keep_compiled_programs
from worker.process.database import database_engine
from worker.ranking.history_list import recommend_for_history
from worker.ranking.scorers import HistoryScorer
from worker.recommend.history import History, read_history
from worker.trial import fit_data, split_of


@click.command()
@click.argument("trial_id", type=int)
@click.argument("text")
def main(trial_id: int, text: str) -> None:
    """Rank the catalogue for a history, by the saved model of a trial."""
    settings = load_settings()
    keep_compiled_programs(settings.cache_dir)
    engine = database_engine()
    trial = store.get_trial(engine, trial_id)
    sweep = store.get_sweep(engine, trial.sweep_id)
    root = store.artifact_root(engine, settings.artifacts)
    dataset = load_prepared(root, sweep.fingerprint, settings.cache_dir)
    history = read_history(text, dataset)
    split = split_of(trial.refit_of, dataset, sweep.protocol)
    support = np.bincount(dataset.item_index[split.train], minlength=dataset.n_items)
    architecture, data = trial.config.architecture, fit_data(dataset, split, sweep.protocol)
    family = family_of(architecture)
    scorer = family.make_scorer(architecture, read_model(family, _model_file(engine, trial)), data)
    if not isinstance(scorer, HistoryScorer):
        raise SpecError(f"{trial.label}: a model of family {trial.config.family} cannot score a history")
    items, scores = recommend_for_history(
        scorer,
        history.item_index,
        history.ratings,
        support >= sweep.protocol.min_support,
        sweep.protocol.k,
    )
    _print_history(history, support, trial, sweep, dataset)
    if len(scores) > 1 and scores[0] == scores[-1]:
        console.print(
            f"All listed items score alike, in the order of item ids: {trial.label} learned nothing about "
            "this history.",
            style="yellow",
        )
    table = new_table("Recommended", "rank", "item_id", "score", "title", "genres")
    for rank, (item, score) in enumerate(zip(items.tolist(), scores.tolist(), strict=True), start=1):
        table.add_row(str(rank), *_described(item, f"{score:.4f}", dataset))
    console.print(table)


def _model_file(engine: Engine, trial: Trial) -> bytes:
    try:
        return read_artifact(trial.model_url or "")
    except FileNotFoundError as error:
        raise SpecError(
            f"the saved model {trial.model_url} of {trial.label} is gone: `make sweep FRESH=1` makes another"
        ) from error


def _print_history(
    history: History, support: npt.NDArray[np.int64], trial: Trial, sweep: Sweep, dataset: Dataset
) -> None:
    data = describe_data(dataset.name, is_synthetic=dataset.is_synthetic)
    console.print(
        f"A history of {len(history.ratings)} items, {trial.label}, sweep {sweep.sweep_id} on {data}"
    )
    if history.n_unrated:
        console.print(
            f"Items without a rating ({history.n_unrated}) count as rated {dataset.rating_range[1]:g}, the "
            "largest of the scale."
        )
    if history.unknown:
        console.print(
            f"Left out, because {dataset.name} has no such item: {shortened(', '.join(history.unknown))}",
            style="yellow",
        )
    unlearned = [dataset.item_ids[item] for item in history.item_index if not support[item]]
    if unlearned:
        console.print(
            f"Without effect, because the model saw no rating of it: {shortened(', '.join(unlearned))}",
            style="yellow",
        )
    table = new_table("History", "item_id", "rating", "title", "genres")
    for item, rating in zip(history.item_index.tolist(), history.ratings.tolist(), strict=True):
        table.add_row(*_described(item, f"{rating:g}", dataset))
    console.print(table)


def _described(item: int, number: str, dataset: Dataset) -> tuple[str, str, str, str]:
    return str(dataset.item_ids[item]), number, str(dataset.titles[item]), str(dataset.genres[item])
