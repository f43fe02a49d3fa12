"""Score of an item: its number of training ratings, the same for every user. That is no rating."""

import numpy as np

from shared.domain.families.item_popularity import ItemPopularity
from shared.domain.training import TrainingConfig
from worker.families.contract import FitContext, FitData, Fitted, Weights
from worker.ranking.scorers import Scorer, offsets_scorer


def fit(
    architecture: ItemPopularity, training: TrainingConfig | None, data: FitData, context: FitContext
) -> Fitted:
    """Count. An item without training ratings scores 0; all users get the same."""
    del architecture, training, context
    support = np.bincount(data.train.item_index, minlength=data.n_items)
    return Fitted({"item_offsets": support.astype(np.float64)}, data.n_items)


def make_scorer(architecture: ItemPopularity, weights: Weights, data: FitData) -> Scorer:
    """One offset an item."""
    del architecture
    return offsets_scorer(np.zeros(data.n_users), weights["item_offsets"])
