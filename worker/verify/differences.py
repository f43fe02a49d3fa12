"""What is stored of a trial beside what its saved model and the data give."""

import numpy as np
from sqlalchemy import Engine

from shared import store
from shared.artifacts import read_artifact
from shared.datasets import Dataset, Split
from shared.store import RankedItems, RatedItems, Sweep, Trial
from worker.families.contract import FitContext
from worker.families.registry import family_of, read_model
from worker.metrics import measure
from worker.ranking.top_k import predict_top_rated, recommend_all
from worker.trial import fit_data

# The engine of the towers sums the squared errors in float32 and in another order.
_RMSE_TOLERANCE = 1e-4
_METRIC_TOLERANCE = 1e-9
# Some roundings of float32: the order of a sum in float64 depends on the number of threads.
_PREDICTION_TOLERANCE = 1e-6


def find_differences(engine: Engine, sweep: Sweep, trial: Trial, dataset: Dataset, split: Split) -> list[str]:
    """What differs between a stored trial and its recomputation, in words; nothing where all is as stored.

    `split` is the one that the trial learned by. A refit has no metrics.
    """
    architecture, protocol = trial.config.architecture, sweep.protocol
    family, data = family_of(architecture), fit_data(dataset, split, protocol)
    if trial.config.is_baseline:
        weights = family.fit(architecture, None, data, FitContext()).weights
    else:
        try:
            weights = read_model(family, read_artifact(trial.model_url or ""))
        except FileNotFoundError:
            return [f"the saved model {trial.model_url} is gone"]
    scorer = family.make_scorer(architecture, weights, data)
    predicts = architecture.predicts_ratings
    rankings = recommend_all(scorer, dataset, split, protocol)
    recomputed = (
        measure(scorer, dataset, split, protocol, rankings, predicts_ratings=predicts)
        if trial.refit_of is None
        else {}
    )
    stored = store.metrics_of(engine, trial.trial_id)
    differences = [
        f"{name}{'' if part == 'validation' else f' on {part}'} is stored as {stored.get((part, name))}, "
        f"recomputed {value}"
        for part, values in recomputed.items()
        for name, value in sorted(values.items())
        if not np.isclose(
            stored.get((part, name), np.nan), value, rtol=_METRIC_TOLERANCE, atol=_METRIC_TOLERANCE
        )
    ]
    rmse = recomputed.get("validation", {}).get("rmse")
    tolerance = _RMSE_TOLERANCE if architecture.has_epochs else _METRIC_TOLERANCE
    ranked_by = trial.val_rmse
    if rmse is not None and not abs((np.nan if ranked_by is None else ranked_by) - rmse) <= tolerance:
        differences.append(f"val_rmse, by which it is ranked, is stored as {ranked_by}, recomputed {rmse}")
    lists = store.stored_recommendations(engine, trial.trial_id, dataset)
    if not _same_lists(lists, rankings.recommendations):
        differences.append("stored recommendations differ from the model's")
    predictions = store.stored_rating_predictions(engine, trial.trial_id, dataset)
    if not _same_predictions(
        predictions, predict_top_rated(scorer, dataset, protocol, predicts_ratings=predicts)
    ):
        differences.append("stored rating predictions differ from the model's")
    return differences


def _same_lists(first: RankedItems, second: RankedItems) -> bool:
    """Whether two sets of lists have the same rows in the same order with the same scores."""
    return _are_equal(first, second, "user_index", "rank", "item_index", "score")


def _same_predictions(first: RatedItems, second: RatedItems) -> bool:
    """Whether stored and recomputed rows and ratings are the same, and predictions but for some roundings."""
    if not _are_equal(first, second, "user_index", "rank", "item_index", "rating"):
        return False
    if second.prediction is None:
        # Version 0.1 stored the mean rating where nothing is predicted.
        return True
    if first.prediction is None:
        return False
    tolerance = _PREDICTION_TOLERANCE
    return bool(np.allclose(first.prediction, second.prediction, rtol=tolerance, atol=tolerance))


def _are_equal(first: object, second: object, *names: str) -> bool:
    return all(np.array_equal(getattr(first, name), getattr(second, name)) for name in names)
