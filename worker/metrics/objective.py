"""The objective of a sweep on validation, of one scorer after the other."""

from collections.abc import Callable

import numpy as np

from shared.datasets.dataset import Dataset
from shared.datasets.splits import Split
from shared.domain.protocol import Protocol
from worker.metrics.ranking import RANKING_METRICS, judge_lists
from worker.metrics.ratings import RATING_METRICS
from worker.ranking.judged_lists import JudgedUsers
from worker.ranking.scorers import Scorer


def objective_on_validation(
    dataset: Dataset, split: Split, protocol: Protocol, *, predicts_ratings: bool
) -> Callable[[Scorer], float] | None:
    """What `measure` would give for the objective on validation, with the sign turned where less is better.

    None where it does not exist: of ratings for a model that predicts none, of lists where no validation
    rating is relevant. Only users with a relevant item are ranked: the others do not count.
    """
    name = protocol.objective.partition("@")[0]
    sign = 1.0 if protocol.is_larger_better else -1.0
    rows = split.validation
    if not protocol.ranks:
        if not predicts_ratings or not len(rows):
            return None
        metric = RATING_METRICS[name]
        ratings = dataset.ratings[rows].astype(np.float64)

        def of_ratings(scorer: Scorer) -> float:
            predicted = scorer.predict_ratings(dataset.user_index[rows], dataset.item_index[rows])
            return sign * metric(ratings, predicted)

        return of_ratings
    if protocol.relevance_threshold != "none":
        rows = rows[dataset.ratings[rows] >= protocol.relevance_threshold]
    if not len(rows):
        return None
    user_index, item_index = dataset.user_index[rows], dataset.item_index[rows]
    train = (dataset.user_index[split.train], dataset.item_index[split.train])
    judged = JudgedUsers(np.unique(user_index).astype(np.int64), train, dataset.n_items, protocol.k)

    def of_lists(scorer: Scorer) -> float:
        lists = judge_lists(judged.rank(scorer), user_index, item_index, protocol.k)
        return sign * float(np.mean(RANKING_METRICS[name](lists)))

    return of_lists
