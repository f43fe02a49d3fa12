"""Weighted alternating least squares over all pairs.

Hu, Koren, Volinsky 2008, Collaborative filtering for implicit feedback datasets; Rendle et al. 2022,
Revisiting the performance of iALS.
"""

from dataclasses import dataclass

import numpy as np

from shared.domain.families.weighted_als import WeightedAls
from worker.families.contract import FitContext, FitData, Fitted, Weights
from worker.families.inputs import InputRule
from worker.families.least_squares import solve_row, solve_rows
from worker.ranking.scorers import Float32s, Float64s, Indices, LinearScorer

# Of the numbers that a fit starts from, for vectors of one number; small, so that no direction is preferred.
_START_SCALE = 0.1


def fit(architecture: WeightedAls, training: None, data: FitData, context: FitContext) -> Fitted:
    """Item vectors from user vectors and then user vectors from item vectors, `iterations` times.

    The start is drawn from `random_seed`. A user or an item without a rating that counts gets the zero
    vector, which is its best one: it scores 0. The user vectors are the solutions for the final item vectors.
    """
    targets = InputRule.of(architecture.target, data).matrix(data.by_user)
    sides = (targets.T.tocsr(), targets)
    zero_weight, stop = architecture.zero_weight, context.check_stop
    items_ridge, users_ridge = (
        _ridge(architecture, np.diff(side.indptr), others)
        for side, others in zip(sides, (data.n_users, data.n_items), strict=True)
    )
    rng = np.random.default_rng(architecture.random_seed)
    scale = _START_SCALE / np.sqrt(architecture.size)
    users = rng.normal(scale=scale, size=(data.n_users, architecture.size)).astype(np.float32)
    items = np.zeros((data.n_items, architecture.size), np.float32)
    for _ in range(architecture.iterations):
        items = solve_rows(
            sides[0], users, zero_weight=zero_weight, ridge=items_ridge, start=items, check_stop=stop
        )
        users = solve_rows(
            sides[1], items, zero_weight=zero_weight, ridge=users_ridge, start=users, check_stop=stop
        )
    return Fitted({"user_vectors": users, "item_vectors": items}, n_parameters=users.size + items.size)


def make_scorer(architecture: WeightedAls, weights: Weights, data: FitData) -> "FactorScorer":
    """Score: user vector · item vector."""
    users, items = (weights[name].astype(np.float64) for name in ("user_vectors", "item_vectors"))
    return FactorScorer(
        user_vectors=users,
        item_vectors=items,
        user_offsets=np.zeros(len(users)),
        item_offsets=np.zeros(len(items)),
        predicts_ratings=False,
        architecture=architecture,
        rule=InputRule.of(architecture.target, data),
    )


def _ridge(architecture: WeightedAls, n_ratings: Indices, n_others: int) -> Float64s:
    """l2 (n + zero_weight N)^l2_exponent: Rendle et al. 2022, eq. 11."""
    base = n_ratings + architecture.zero_weight * n_others
    return np.asarray(architecture.l2 * base**architecture.l2_exponent, np.float64)


@dataclass(frozen=True, eq=False, kw_only=True)
class FactorScorer(LinearScorer):
    """Products of vectors; a history is scored by the vector that is best for it beside these items."""

    architecture: WeightedAls
    rule: InputRule

    def score_history(self, item_index: Indices, ratings: Float32s) -> Float64s:
        """One least squares problem in float64. For a history in training: that user's scores, but for the
        tolerance of the fit."""
        ratings = ratings.astype(np.float32)
        kept = self.rule.is_kept(ratings)
        targets = self.rule.values(ratings[kept])
        rows = self.item_vectors[item_index[kept]]
        (ridge,) = _ridge(self.architecture, np.array([len(targets)]), self.n_items)
        vector = solve_row(targets, rows, self.item_vectors, self.architecture.zero_weight, ridge)
        return np.asarray(self.item_vectors @ vector)
