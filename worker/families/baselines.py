"""The two baselines of every sweep, fitted by counting and in closed form."""

import numpy as np

from shared.datasets.dataset import Dataset
from shared.datasets.splits import Split
from worker.ranking.scorers import Float64s, LinearScorer

# Damping as in Surprise's BaselineOnly, after Koren 2010, Factor in the Neighbors, 2.1: the ridge penalty of
# a bias, or so many imaginary ratings that equal the mean.
ITEM_DAMPING = 10.0
USER_DAMPING = 15.0
_CONVERGED = 1e-8
_MAX_ROUNDS = 1000


def fit_baseline(name: Baseline, dataset: Dataset, split: Split) -> tuple[LinearScorer, int]:
    """The scorer of a baseline fitted on the training ratings, and how many numbers it learned."""
    if name == "item_popularity":
        return _fit_item_popularity(dataset, split)
    return _fit_user_item_bias(dataset, split)


def _fit_item_popularity(dataset: Dataset, split: Split) -> tuple[LinearScorer, int]:
    """Score of an item: its number of training ratings, the same for every user.

    That is no rating; the rating predicted for every pair is the mean of the training ratings.
    """
    support = np.bincount(dataset.item_index[split.train], minlength=dataset.n_items)
    mean = float(dataset.ratings[split.train].mean(dtype=np.float64))
    scorer = _offsets_scorer(np.zeros(dataset.n_users), support.astype(np.float64), rating=mean)
    return scorer, 1 + dataset.n_items


def _fit_user_item_bias(dataset: Dataset, split: Split) -> tuple[LinearScorer, int]:
    """Score: mean + user bias + item bias, minimising Σ (r - μ - bᵤ - bᵢ)² + 15 Σ bᵤ² + 10 Σ bᵢ².

    Koren 2010, eq. 3, with the damping above, one for each kind of bias. Alternating least squares, each half
    solved exactly, until no bias moves by 1e-8; the objective is strictly convex, so there is one solution.
    Without training ratings a bias is 0.
    """
    # bincount works on intp and would convert int32 again in every round.
    user_index, item_index = (
        index[split.train].astype(np.intp) for index in (dataset.user_index, dataset.item_index)
    )
    ratings = dataset.ratings[split.train].astype(np.float64)
    mean = float(ratings.mean())
    user_sums = np.bincount(user_index, weights=ratings - mean, minlength=dataset.n_users)
    item_sums = np.bincount(item_index, weights=ratings - mean, minlength=dataset.n_items)
    user_weights = np.bincount(user_index, minlength=dataset.n_users) + USER_DAMPING
    item_weights = np.bincount(item_index, minlength=dataset.n_items) + ITEM_DAMPING
    user_bias, item_bias = np.zeros(dataset.n_users), np.zeros(dataset.n_items)
    for _ in range(_MAX_ROUNDS):
        last = item_bias
        explained = np.bincount(item_index, weights=user_bias[user_index], minlength=dataset.n_items)
        item_bias = (item_sums - explained) / item_weights
        explained = np.bincount(user_index, weights=item_bias[item_index], minlength=dataset.n_users)
        user_bias = (user_sums - explained) / user_weights
        if np.abs(item_bias - last).max() < _CONVERGED:
            break
    return _offsets_scorer(user_bias + mean, item_bias), 1 + dataset.n_users + dataset.n_items


def _offsets_scorer(
    user_offsets: Float64s, item_offsets: Float64s, rating: float | None = None
) -> LinearScorer:
    no_vectors = np.zeros((len(user_offsets), 0)), np.zeros((len(item_offsets), 0))
    return LinearScorer(*no_vectors, user_offsets, item_offsets, rating)
