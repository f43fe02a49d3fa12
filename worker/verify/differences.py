"""What is stored of a trial beside what its saved model and the data give."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import numpy.typing as npt
from sqlalchemy import Engine

from shared import store
from shared.artifacts import read_artifact
from shared.datasets import Dataset, Split
from shared.domain.architecture import TrialConfig
from shared.store import LeaderboardRow, RankedItems, RatedItems, Sweep
from worker.families.baselines import fit_baseline
from worker.families.tower.model import load_model
from worker.families.tower.scorer import weights_scorer
from worker.families.tower.weights import Weights
from worker.metrics.validation import rmse, validation_metrics
from worker.ranking.scorers import Scorer
from worker.ranking.top_k import predict_top_rated, recommend_all

# The engine predicts in float32, Keras in another order, the scorer in float64.
_RMSE_TOLERANCE = 1e-4
_METRIC_TOLERANCE = 1e-9
# Some roundings of float32: the order of a sum in float64 depends on the number of threads.
_PREDICTION_TOLERANCE = 1e-6
_PREDICTION_ROWS = 65_536


def find_differences(  # noqa: PLR0917  What is stored of one trial, and what it came from.
    engine: Engine, sweep: Sweep, row: LeaderboardRow, config: TrialConfig, dataset: Dataset, split: Split
) -> list[str]:
    """What differs between a stored trial and its recomputation, in words; nothing where all is as stored."""
    stored = store.validation_metrics_of(engine, row.trial_id)
    scorer: Scorer
    keras_rmse = None
    if config.architecture is None:
        if config.baseline is None:
            return ["it has neither an architecture nor a baseline"]
        scorer, _ = fit_baseline(config.baseline, dataset, split)
    else:
        try:
            model = _load(row)
        except FileNotFoundError:
            return [f"the saved model {row.model_url} is gone"]
        keras_rmse = _rmse_by_keras(model, dataset, split)
        scorer = weights_scorer(config.architecture, weights_of(model), dataset.n_items)
    rankings = recommend_all(scorer, dataset, split, sweep.protocol)
    recomputed = validation_metrics(scorer, dataset, split, sweep.protocol, rankings)
    differences = [
        f"{name} is stored as {stored.get(name)}, recomputed {value}"
        for name, value in sorted(recomputed.items())
        if not np.isclose(stored.get(name, np.nan), value, rtol=_METRIC_TOLERANCE, atol=_METRIC_TOLERANCE)
    ]
    differences += _compare_rmse(row.rmse, recomputed["rmse"], keras_rmse)
    lists = store.stored_recommendations(engine, row.trial_id, dataset)
    if not same_lists(lists, rankings.recommendations):
        differences.append("stored recommendations differ from the model's")
    predictions = store.stored_rating_predictions(engine, row.trial_id, dataset)
    if not same_predictions(predictions, predict_top_rated(scorer, dataset, sweep.protocol)):
        differences.append("stored rating predictions differ from the model's")
    return differences


def _compare_rmse(ranked_by: float | None, recomputed: float, by_keras: float | None) -> Iterator[str]:
    """The number that ranks, and Keras' own predictions of a saved model, against the recomputed RMSE."""
    tolerance = _METRIC_TOLERANCE if by_keras is None else _RMSE_TOLERANCE
    if ranked_by is None or not abs(ranked_by - recomputed) <= tolerance:
        yield f"val_rmse, by which it is ranked, is stored as {ranked_by}, recomputed {recomputed}"
    if by_keras is not None and not abs(by_keras - recomputed) <= _RMSE_TOLERANCE:
        yield f"Keras gives the saved model the RMSE {by_keras}, its scorer {recomputed}"


def _rmse_by_keras(model: keras.Model, dataset: Dataset, split: Split) -> float:
    rows = split.validation
    predicted = predict_ratings(model, dataset.user_index[rows], dataset.item_index[rows])
    return rmse(dataset.ratings[rows].astype(np.float64), predicted)


def predict_ratings(
    model: keras.Model, user_index: npt.NDArray[np.int32], item_index: npt.NDArray[np.int32]
) -> npt.NDArray[np.float64]:
    """Keras' own prediction of n pairs, (n,) float64."""
    predicted = np.empty(len(user_index))
    for first in range(0, len(predicted), _PREDICTION_ROWS):
        block = slice(first, first + _PREDICTION_ROWS)
        # Called and not `predict`ed: that would trace a program for every model.
        outputs = model([user_index[block, None], item_index[block, None]], training=False)
        predicted[block] = np.asarray(outputs)[:, 0]
    return predicted


def same_lists(first: RankedItems, second: RankedItems) -> bool:
    """Whether two sets of lists have the same rows in the same order with the same scores."""
    return _are_equal(first, second, "user_index", "rank", "item_index", "score")


def same_predictions(first: RatedItems, second: RatedItems) -> bool:
    """Whether two sets have the same rows and ratings, and predictions but for some roundings."""
    return _are_equal(first, second, "user_index", "rank", "item_index", "rating") and np.allclose(
        first.prediction, second.prediction, rtol=_PREDICTION_TOLERANCE, atol=_PREDICTION_TOLERANCE
    )


def _are_equal(first: object, second: object, *names: str) -> bool:
    return all(np.array_equal(getattr(first, name), getattr(second, name)) for name in names)


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
