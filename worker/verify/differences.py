"""What is stored of a trial beside what its saved model and the data give."""

from dataclasses import dataclass

import numpy as np
from sqlalchemy import Engine

from shared import store
from shared.artifacts import read_artifact
from shared.datasets import Dataset, Split
from shared.store import RankedItems, RatedItems, Sweep, Trial
from shared.version import code_version
from worker.families.contract import FitContext
from worker.families.registry import family_of, read_model
from worker.metrics import Evaluation, evaluate
from worker.ranking.top_k import predict_top_rated, recommend_all
from worker.trial import fit_data
from worker.verify.users import user_differences

# The engine of the towers sums the squared errors in float32 and in another order.
_RMSE_TOLERANCE = 1e-4
_METRIC_TOLERANCE = 1e-9
# Some roundings of float32: the order of a sum in float64 depends on the number of threads.
_PREDICTION_TOLERANCE = 1e-6
_USERS, _HITS = "user_results", "hits"


@dataclass(frozen=True)
class Found:
    """What differs between a stored trial and its recomputation, in words; nothing where all is as stored.

    `not_kept`: what an older version did not store, or was removed, so that there is nothing to compare with.
    """

    differences: tuple[str, ...]
    not_kept: str | None = None


def find_differences(engine: Engine, sweep: Sweep, trial: Trial, dataset: Dataset, split: Split) -> Found:
    """Fit or read the model of a trial again, and compare what follows from it with what is stored.

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
            return Found((f"the saved model {trial.model_url} is gone",))
    scorer = family.make_scorer(architecture, weights, data)
    predicts = architecture.predicts_ratings
    rankings = recommend_all(scorer, dataset, split, protocol)
    evaluation = Evaluation({}, {})
    if trial.refit_of is None:
        evaluation = evaluate(scorer, dataset, split, protocol, rankings, predicts_ratings=predicts)
    version, not_kept = _not_kept(engine, trial, evaluation)
    differences = _metric_differences(engine, trial, evaluation, not_kept)
    kept = {part: of for part, of in evaluation.user_results.items() if (part, _USERS) not in not_kept}
    with_hits = {part for part in kept if (part, _HITS) not in not_kept}
    differences += user_differences(engine, trial.trial_id, kept, dataset, with_hits)
    rmse = evaluation.metrics.get("validation", {}).get("rmse")
    tolerance = _RMSE_TOLERANCE if architecture.has_epochs else _METRIC_TOLERANCE
    ranked_by = trial.val_rmse
    if rmse is not None and not abs((np.nan if ranked_by is None else ranked_by) - rmse) <= tolerance:
        differences.append(f"val_rmse, by which it is ranked, is stored as {ranked_by}, recomputed {rmse}")
    if trial.has_lists:
        differences += _list_differences(
            engine,
            trial,
            dataset,
            rankings.recommendations,
            predict_top_rated(scorer, dataset, protocol, predicts_ratings=predicts),
        )
    return Found(tuple(differences), _in_words(version, not_kept, has_lists=trial.has_lists))


def _list_differences(
    engine: Engine, trial: Trial, dataset: Dataset, lists: RankedItems, predictions: RatedItems
) -> list[str]:
    differences = []
    if not _same_lists(store.stored_recommendations(engine, trial.trial_id, dataset), lists):
        differences.append("stored recommendations differ from the model's")
    if not _same_predictions(store.stored_rating_predictions(engine, trial.trial_id, dataset), predictions):
        differences.append("stored rating predictions differ from the model's")
    return differences


def _metric_differences(
    engine: Engine, trial: Trial, evaluation: Evaluation, not_kept: set[tuple[str, str]]
) -> list[str]:
    stored = store.metrics_of(engine, trial.trial_id)
    tolerance = _METRIC_TOLERANCE
    return [
        f"{name}{'' if part == 'validation' else f' on {part}'} is stored as {stored.get((part, name))}, "
        f"recomputed {value}"
        for part, values in evaluation.metrics.items()
        for name, value in sorted(values.items())
        if (part, name) not in not_kept
        and not np.isclose(stored.get((part, name), np.nan), value, rtol=tolerance, atol=tolerance)
    ]


def _not_kept(engine: Engine, trial: Trial, evaluation: Evaluation) -> tuple[str, set[tuple[str, str]]]:
    """The version that stored the trial, and the parts and names of what that version did not store."""
    version, kept = store.kept_by_its_version(engine, trial.trial_id)
    if version == code_version():
        return version, set()
    expected = {(part, name) for part, values in evaluation.metrics.items() for name in values}
    expected |= {(part, _USERS) for part, of in evaluation.user_results.items() if len(of.user_index)}
    expected |= {
        (part, _HITS)
        for part, of in evaluation.user_results.items()
        if (part, _USERS) in kept and not np.isnan(of.rankings["ndcg"]).all()
    }
    return version, expected - kept


def _in_words(version: str, not_kept: set[tuple[str, str]], *, has_lists: bool) -> str | None:
    words = {_USERS: "results of users", _HITS: "which held out items lists found"}
    names = sorted({words.get(name, name) for _, name in not_kept})
    reasons = [f"version {version} did not store {', '.join(names)}"] if names else []
    if not has_lists:
        reasons.append("its lists were removed, as [lists] keep keeps those of better trials")
    return "; ".join(reasons) or None


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
