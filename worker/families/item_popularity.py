"""The most rated items for everybody, fitted by counting."""

import numpy as np

from shared.domain.families.item_popularity import ItemPopularity
from worker.families.contract import FitContext, FitData, Fitted, Weights
from worker.ranking.scorers import LinearScorer


def fit(architecture: ItemPopularity, training: None, data: FitData, context: FitContext) -> Fitted:
    """Count the training ratings of every item."""
    support = np.bincount(data.train.item_index, minlength=data.n_items)
    return Fitted({"support": support.astype(np.int64)}, n_parameters=data.n_items)


def make_scorer(architecture: ItemPopularity, weights: Weights, data: FitData) -> LinearScorer:
    """Score of an item: its number of training ratings, 0 without any; for users without ratings too."""
    support = weights["support"].astype(np.float64)
    return LinearScorer(
        user_vectors=np.zeros((data.n_users, 0)),
        item_vectors=np.zeros((data.n_items, 0)),
        user_offsets=np.zeros(data.n_users),
        item_offsets=support,
        predicts_ratings=False,
    )
