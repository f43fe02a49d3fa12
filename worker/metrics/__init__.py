"""What a trial is judged by: a name and a value for each part of the split.

A metric is one function in one file: add it to the registry there (`RATING_METRICS`, `RANKING_METRICS`,
`list_metrics`), and it is stored, verified and shown by `make leaderboard METRIC=name`.
"""

import numpy as np

from shared.datasets.dataset import Dataset
from shared.datasets.splits import Split
from shared.domain.protocol import Protocol
from worker.metrics.lists import list_metrics
from worker.metrics.ranking import RANKING_METRICS, judge_lists
from worker.metrics.ratings import RATING_METRICS
from worker.ranking.scorers import Scorer
from worker.ranking.top_k import Rankings


def measure(
    scorer: Scorer,
    dataset: Dataset,
    split: Split,
    protocol: Protocol,
    rankings: Rankings,
    *,
    predicts_ratings: bool = True,
) -> dict[str, dict[str, float]]:
    """Every metric by part of the split and name; those of lists are called `ndcg@20` for k = 20.

    Metrics that do not exist are left out: of ratings where the model predicts none, of rankings when no user
    has a relevant item, of lists when all are empty. What the lists are like is told with the validation.
    """
    k = protocol.k
    measured: dict[str, dict[str, float]] = {}
    for part, lists in rankings.evaluated.items():
        rows = split.part(part)
        values: dict[str, float] = {}
        if predicts_ratings:
            ratings = dataset.ratings[rows].astype(np.float64)
            predictions = scorer.predict_ratings(dataset.user_index[rows], dataset.item_index[rows])
            values |= {name: metric(ratings, predictions) for name, metric in RATING_METRICS.items()}
        relevant = rows
        if protocol.relevance_threshold != "none":
            relevant = rows[dataset.ratings[rows] >= protocol.relevance_threshold]
        judged = judge_lists(lists, dataset.user_index[relevant], dataset.item_index[relevant], k)
        if len(judged.n_relevant):
            values |= {f"{name}@{k}": metric(judged) for name, metric in RANKING_METRICS.items()}
        measured[part] = values
    support = np.bincount(dataset.item_index[split.train], minlength=dataset.n_items)
    of_lists = list_metrics(rankings.recommendations, support, dataset.n_users, dataset.n_items)
    measured["validation"] |= {f"{name}@{k}": value for name, value in of_lists.items()}
    return measured


__all__ = ["measure"]
