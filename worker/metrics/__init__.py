"""What a trial is judged by: a name and a value for each part of the split, and what each user adds to it.

A metric is one function in one file: add it to the registry there (`RATING_METRICS`, `RANKING_METRICS`,
`GRADED_METRICS`, `list_metrics`), and it is stored, verified and shown by `make leaderboard METRIC=name`.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from shared.datasets.dataset import Dataset
from shared.datasets.splits import Split
from shared.domain.protocol import Protocol
from shared.domain.results import RankedItems, UserResults
from worker.metrics.graded import GRADED_METRICS, grade_lists
from worker.metrics.lists import list_metrics
from worker.metrics.ranking import RANKING_METRICS, judge_lists
from worker.metrics.ratings import RATING_METRICS
from worker.metrics.users import results_of_users
from worker.ranking.scorers import Scorer
from worker.ranking.top_k import Rankings


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Every metric, and the results of every user, by part of the split."""

    metrics: Mapping[str, Mapping[str, float]]
    user_results: Mapping[str, UserResults]


def evaluate(
    scorer: Scorer,
    dataset: Dataset,
    split: Split,
    protocol: Protocol,
    rankings: Rankings,
    *,
    predicts_ratings: bool = True,
) -> Evaluation:
    """Every metric by part of the split and name; those of lists are called `ndcg@20` for k = 20.

    Metrics that do not exist are left out: of ratings where the model predicts none, of rankings when no user
    has a relevant item, of lists when all are empty. What the lists are like is told with the validation.
    """
    k = protocol.k
    metrics: dict[str, dict[str, float]] = {}
    user_results = {}
    n_train_ratings = np.bincount(dataset.user_index[split.train], minlength=dataset.n_users)
    for part, lists in rankings.evaluated.items():
        rows = split.part(part)
        values: dict[str, float] = {}
        predictions = None
        if predicts_ratings:
            ratings = dataset.ratings[rows].astype(np.float64)
            predictions = scorer.predict_ratings(dataset.user_index[rows], dataset.item_index[rows])
            values |= {name: metric(ratings, predictions) for name, metric in RATING_METRICS.items()}
        relevant = rows
        if protocol.relevance_threshold != "none":
            relevant = rows[dataset.ratings[rows] >= protocol.relevance_threshold]
        judged = judge_lists(lists, dataset.user_index[relevant], dataset.item_index[relevant], k)
        by_user = {name: metric(judged) for name, metric in RANKING_METRICS.items()}
        if len(judged.n_relevant):
            values |= {f"{name}@{k}": float(np.mean(ones)) for name, ones in by_user.items()}
        values |= _graded(lists, dataset, rows, k)
        metrics[part] = values
        user_results[part] = results_of_users(dataset, rows, n_train_ratings, predictions, judged, by_user)
    support = np.bincount(dataset.item_index[split.train], minlength=dataset.n_items)
    of_lists = list_metrics(rankings.recommendations, support, dataset.n_users, dataset.n_items)
    metrics["validation"] |= {f"{name}@{k}": value for name, value in of_lists.items()}
    return Evaluation(metrics, user_results)


def measure(
    scorer: Scorer,
    dataset: Dataset,
    split: Split,
    protocol: Protocol,
    rankings: Rankings,
    *,
    predicts_ratings: bool = True,
) -> Mapping[str, Mapping[str, float]]:
    """The metrics of `evaluate`."""
    return evaluate(scorer, dataset, split, protocol, rankings, predicts_ratings=predicts_ratings).metrics


def _graded(lists: RankedItems, dataset: Dataset, rows: npt.NDArray[np.int64], k: int) -> dict[str, float]:
    """None of them when nobody gains by any list."""
    graded = grade_lists(
        lists,
        dataset.user_index[rows],
        dataset.item_index[rows],
        dataset.ratings[rows],
        dataset.rating_range,
        k,
    )
    if not graded.n_users:
        return {}
    return {f"{name}@{k}": float(np.mean(metric(graded))) for name, metric in GRADED_METRICS.items()}


__all__ = ["Evaluation", "evaluate", "measure"]
