"""Mean, user bias and item bias: damped least squares, solved exactly."""

import numpy as np

from shared.domain.families.user_item_bias import UserItemBias
from worker.families.contract import FitContext, FitData, Fitted, Weights
from worker.ranking.scorers import LinearScorer

# Damping as in Surprise's BaselineOnly, after Koren 2010, Factor in the Neighbors, 2.1: the ridge penalty of
# a bias, or so many imaginary ratings that equal the mean.
ITEM_DAMPING = 10.0
USER_DAMPING = 15.0
_CONVERGED = 1e-8
_MAX_ROUNDS = 1000


def fit(architecture: UserItemBias, training: None, data: FitData, context: FitContext) -> Fitted:
    """Minimise Σ (r - μ - bᵤ - bᵢ)² + 15 Σ bᵤ² + 10 Σ bᵢ², with μ the mean of the training ratings.

    Koren 2010, eq. 3, with the damping above, one for each kind of bias. Alternating least squares, each half
    solved exactly, until no bias moves by 1e-8; the objective is strictly convex, so there is one solution.
    Without training ratings a bias is 0.
    """
    # bincount works on intp and would convert int32 again in every round.
    user_index, item_index = (
        index.astype(np.intp) for index in (data.train.user_index, data.train.item_index)
    )
    ratings = data.train.rating.astype(np.float64)
    mean = float(ratings.mean())
    user_sums = np.bincount(user_index, weights=ratings - mean, minlength=data.n_users)
    item_sums = np.bincount(item_index, weights=ratings - mean, minlength=data.n_items)
    user_weights = np.bincount(user_index, minlength=data.n_users) + USER_DAMPING
    item_weights = np.bincount(item_index, minlength=data.n_items) + ITEM_DAMPING
    user_bias, item_bias = np.zeros(data.n_users), np.zeros(data.n_items)
    for _ in range(_MAX_ROUNDS):
        context.check_stop()
        last = item_bias
        explained = np.bincount(item_index, weights=user_bias[user_index], minlength=data.n_items)
        item_bias = (item_sums - explained) / item_weights
        explained = np.bincount(user_index, weights=item_bias[item_index], minlength=data.n_users)
        user_bias = (user_sums - explained) / user_weights
        if np.abs(item_bias - last).max() < _CONVERGED:
            break
    weights = {"mean": np.array(mean), "user_bias": user_bias, "item_bias": item_bias}
    return Fitted(weights, n_parameters=1 + data.n_users + data.n_items)


def make_scorer(architecture: UserItemBias, weights: Weights, data: FitData) -> LinearScorer:
    """The score is the predicted rating; for a user without ratings the mean plus the item's bias."""
    mean, user_bias, item_bias = (
        weights[name].astype(np.float64) for name in ("mean", "user_bias", "item_bias")
    )
    return LinearScorer(
        user_vectors=np.zeros((data.n_users, 0)),
        item_vectors=np.zeros((data.n_items, 0)),
        user_offsets=user_bias + mean,
        item_offsets=item_bias,
    )
