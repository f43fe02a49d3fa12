"""How factors score."""

import numpy as np

from worker.families.contract import Weights
from worker.ranking.scorers import LinearScorer


def factor_scorer(weights: Weights, *, predicts_ratings: bool) -> LinearScorer:
    """user_vectors · item_vectors + mean + user_biases + item_biases; the last three where they exist."""
    users, items = (weights[name].astype(np.float64) for name in ("user_vectors", "item_vectors"))
    mean = float(weights["mean"]) if "mean" in weights else 0.0

    def biases(name: str, n: int) -> np.ndarray:
        return np.asarray(weights.get(name, np.zeros(n)), np.float64).reshape(n)

    return LinearScorer(
        user_vectors=users,
        item_vectors=items,
        user_offsets=mean + biases("user_biases", len(users)),
        item_offsets=biases("item_biases", len(items)),
        predicts_ratings=predicts_ratings,
    )
