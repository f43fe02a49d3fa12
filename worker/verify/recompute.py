"""Does what is stored follow from the saved models and the data, and keep the contract?

`make verify` runs it as `python -m worker.verify SWEEP_ID`, with the URLs of a worker in the environment.
"""

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import click
import keras
import numpy as np
import numpy.typing as npt
from sqlalchemy import Engine

from shared import store
from shared.artifacts import read_artifact
from shared.console import console
from shared.datasets import Dataset, Split, load_prepared, split_ratings
from shared.domain.trial import TrialConfig
from shared.settings import load_settings
from shared.store import LeaderboardRow, RankedItems, Sweep
from worker.families.baselines import fit_baseline
from worker.families.tower.model import load_model
from worker.families.tower.scorer import weights_scorer
from worker.families.tower.weights import Weights
from worker.metrics.validation import rmse, validation_metrics
from worker.process.compiled_programs import keep_compiled_programs
from worker.process.database import database_engine
from worker.ranking.scorers import Scorer
from worker.ranking.top_k import recommend_all

# The engine sums the loss in float32, Keras in another order.
_RMSE_TOLERANCE = 1e-4
_METRIC_TOLERANCE = 1e-9
_PREDICTION_ROWS = 65_536


@click.command()
@click.argument("sweep_id", type=int)
def main(sweep_id: int) -> None:
    """Recompute the metrics and lists of a sweep, check the contract, say what differs."""
    keep_compiled_programs(load_settings().cache_dir)
    engine = database_engine()
    sweep = store.get_sweep(engine, sweep_id)
    settings = load_settings()
    artifact_root = store.artifact_root(engine, settings.artifacts)
    dataset = load_prepared(artifact_root, sweep.fingerprint, settings.cache_dir)
    split = split_ratings(dataset, sweep.protocol)
    configs = {trial.trial_id: trial.config for trial in store.sweep_trials(engine, sweep.sweep_id)}
    n_differences = 0
    for row in store.leaderboard(engine, sweep.sweep_id):
        if row.status != "succeeded":
            console.print(f"{row.label}: not checked, it is {row.status}")
            continue
        differences = list(_compare(engine, sweep, row, configs[row.trial_id], dataset, split))
        n_differences += len(differences)
        console.print(f"{row.label}: {'; '.join(differences) if differences else 'as stored'}")
    broken = store.verify_recommendations(engine, sweep.sweep_id, dataset, split)
    for one in broken:
        console.print(f"{one.label}: {one.check}: {one.n_rows} rows, such as {one.example}")
    if n_differences or broken:
        console.print(f"Sweep {sweep.sweep_id}: {n_differences + len(broken)} differences")
        sys.exit(1)
    console.print(
        f"Sweep {sweep.sweep_id}: metrics and lists follow from the saved models, and every list keeps the "
        f"contract ({', '.join(name for name, _ in store.list_checks())})",
    )


def _compare(  # noqa: PLR0917  What is stored of one trial, and what it came from.
    engine: Engine, sweep: Sweep, row: LeaderboardRow, config: TrialConfig, dataset: Dataset, split: Split
) -> Iterator[str]:
    """What differs between a stored trial and its recomputation, in words."""
    stored = store.validation_metrics_of(engine, row.trial_id)
    scorer: Scorer
    if config.baseline is not None:
        scorer, _ = fit_baseline(config.baseline, dataset, split)
    elif config.architecture is not None:
        try:
            model = _load(row)
        except FileNotFoundError:
            yield f"the saved model {row.model_url} is gone"
            return
        rows = split.validation
        predicted = predict_ratings(model, dataset.user_index[rows], dataset.item_index[rows])
        difference = rmse(dataset.ratings[rows].astype(np.float64), predicted) - stored["rmse"]
        if abs(difference) > _RMSE_TOLERANCE:
            yield f"RMSE of the saved model differs by {difference:.6f}"
        scorer = weights_scorer(config.architecture, weights_of(model), dataset.n_items)
    rankings = recommend_all(scorer, dataset, split, sweep.protocol)
    recomputed = validation_metrics(scorer, dataset, split, sweep.protocol, rankings)
    for name, value in sorted(recomputed.items()):
        if not np.isclose(stored.get(name, np.nan), value, rtol=_METRIC_TOLERANCE, atol=_METRIC_TOLERANCE):
            yield f"{name} is stored as {stored.get(name)}, recomputed {value}"
    lists = store.stored_recommendations(engine, row.trial_id, dataset)
    if not same_lists(lists, rankings.recommendations):
        yield "stored recommendations differ from the model's"


def predict_ratings(
    model: keras.Model, user_index: npt.NDArray[np.int32], item_index: npt.NDArray[np.int32]
) -> npt.NDArray[np.float64]:
    """Keras' own prediction of n pairs, (n,) float64."""
    inputs = [user_index[:, None], item_index[:, None]]
    return np.asarray(model.predict(inputs, batch_size=_PREDICTION_ROWS, verbose=0)[:, 0], np.float64)


def same_lists(first: RankedItems, second: RankedItems) -> bool:
    """Whether two sets of lists have the same rows in the same order with the same scores."""
    return all(
        np.array_equal(getattr(first, name), getattr(second, name))
        for name in ("user_index", "rank", "item_index", "score")
    )


def weights_of(model: keras.Model) -> Weights:
    """The weights of a saved serving model."""
    layers = {layer.name: layer for layer in model.layers}
    names = sorted((name for name in layers if name.startswith("dense_")), key=lambda name: int(name[6:]))
    return Weights(
        user_embedding=layers["user_embedding"].embeddings.numpy(),
        item_embedding=layers["item_embedding"].embeddings.numpy(),
        dense=tuple((layers[name].kernel.numpy(), layers[name].bias.numpy()) for name in names),
    )


def _load(row: LeaderboardRow) -> keras.Model:
    content = read_artifact(row.model_url or "")
    with tempfile.TemporaryDirectory(prefix="recsweep-") as folder:
        path = Path(folder) / "model.keras"
        path.write_bytes(content)
        return load_model(path)
