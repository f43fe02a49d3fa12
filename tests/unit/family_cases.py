"""Training data of a few users and items, as families get them."""

import numpy as np

from worker.families.contract import FitContext, FitData
from worker.families.registry import family_of
from worker.observations import Observations


def fit_data(matrix, threshold=4.0, validation=()):
    """A dense matrix of ratings, 0 for none."""
    matrix = np.asarray(matrix, np.float32)
    user, item = np.nonzero(matrix)
    known = matrix[matrix != 0]
    return FitData(
        n_users=matrix.shape[0],
        n_items=matrix.shape[1],
        train=_observations(user, item, known),
        validation=_observations(*np.array(validation, np.float32).reshape(-1, 3).T),
        rating_range=(float(known.min()), float(known.max())),
        relevance_threshold=threshold,
    )


def random_ratings(n_users, n_items, density=0.3, seed=0):
    """Stars from 1 to 5; the last user rated nothing and the last two items are rated by nobody."""
    rng = np.random.default_rng(seed)
    matrix = rng.integers(1, 6, (n_users, n_items)) * (rng.random((n_users, n_items)) < density)
    matrix[-1] = 0
    matrix[:, -2:] = 0
    return matrix.astype(np.float32)


def fit_scorer(architecture, data):
    """The scorer of a family without epochs, and what was learned."""
    family = family_of(architecture)
    fitted = family.fit(architecture, None, data, FitContext())
    return family.make_scorer(architecture, fitted.weights, data), fitted


def all_scores(scorer, n_users):
    """(n_users, n_items) in float64, pair by pair."""
    pairs = np.repeat(np.arange(n_users), scorer.n_items), np.tile(np.arange(scorer.n_items), n_users)
    return scorer.score_pairs(*pairs).reshape(n_users, -1)


def _observations(user, item, rating):
    return Observations(
        np.asarray(user, np.int32), np.asarray(item, np.int32), np.asarray(rating, np.float32)
    )
