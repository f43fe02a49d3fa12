"""How far predicted ratings are from the held out ones; predictions are not clipped."""

from collections.abc import Callable, Mapping

import numpy as np

from worker.ranking.scorers import Float64s


def rmse(ratings: Float64s, predictions: Float64s) -> float:
    """√(Σ (r - r̂)² / n) over the n validation ratings; predictions are not clipped.

    Herlocker et al. 2004, Evaluating Collaborative Filtering Recommender Systems, 4.1.
    """
    return float(np.sqrt(np.mean((ratings - predictions) ** 2)))


def mae(ratings: Float64s, predictions: Float64s) -> float:
    """Σ |r - r̂| / n over the n validation ratings, predictions not clipped. Herlocker et al. 2004, 4.1."""
    return float(np.mean(np.abs(ratings - predictions)))


RATING_METRICS: Mapping[str, Callable[[Float64s, Float64s], float]] = {"rmse": rmse, "mae": mae}
