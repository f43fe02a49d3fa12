"""Scores of user-item pairs: fast in float32 with a proven error bound, exact where a list is decided.

The score of a pair is the model's prediction computed in float64 from its float32 weights and rounded once to
float32. Blocks are scored in float32, only to find the few pairs that can reach a list.
"""

import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from shared.errors import TrialError

Float32s = npt.NDArray[np.float32]
Float64s = npt.NDArray[np.float64]
Indices = npt.NDArray[np.integer]
Dense = Sequence[tuple[Float64s, Float64s]]

UNIT_ROUNDOFF_32 = 2.0**-24
UNIT_ROUNDOFF_64 = 2.0**-53
# Error bounds are sums of first-order terms; twice that covers the products of errors that they leave out.
SAFETY = 2.0
_PAIRS_AT_ONCE = 8192


class Scorer(typing.Protocol):
    """What ranks the items of a user, and what rating it predicts; safe to call from several threads."""

    @property
    def predicts_ratings(self) -> bool:
        """Whether a score is a predicted rating. Otherwise there is none, no RMSE, and no error in stars."""

    @property
    def n_items(self) -> int:
        """Items of the catalogue: the columns of a block."""

    def score_block(self, user_index: Indices) -> Float32s:
        """Scores of every item, (n_block, n_items), within `error_bound` of the exact ones."""

    def error_bound(self, user_index: Indices) -> Float64s:
        """(n_block,): how far a score of `score_block` can be from the exact score of the same pair.

        Proportional to the unit roundoff: times 2^-29 it bounds the error of `score_pairs`.
        """

    def score_pairs(self, user_index: Indices, item_index: Indices) -> Float64s:
        """Scores of n pairs, (n,), computed in float64."""

    def predict_ratings(self, user_index: Indices, item_index: Indices) -> Float64s:
        """Predicted ratings of n pairs, (n,), not clipped. Only where `predicts_ratings`."""


@typing.runtime_checkable
class HistoryScorer(typing.Protocol):
    """What can score the items for somebody who is in no training data."""

    def score_history(self, item_index: Indices, ratings: Float32s) -> Float64s:
        """Scores of every item, (n_items,), for a user with these ratings, in any order, no item twice.

        For the training ratings of a user: that user's scores.
        """


def require_finite_weights(weights: Mapping[str, npt.NDArray[typing.Any]]) -> None:
    """Raise TrialError "not_finite_loss" for a weight that is not: nothing can be ranked with it."""
    if not all(np.isfinite(array).all() for array in weights.values()):
        raise TrialError(
            "not_finite_loss",
            "all weights must be finite to rank items; some are not: lower the learning rate and run again",
        )


def exact_scores(scorer: Scorer, user_index: Indices, item_index: Indices) -> Float32s:
    """Scores of n pairs in float64, rounded to float32: the same number however pairs are batched.

    A matrix product may add in another order when it has other neighbours. Where that could change the
    rounded value (about one pair in a million), the pair is scored alone.
    """
    scores = scorer.score_pairs(user_index, item_index)
    users, place = np.unique(user_index, return_inverse=True)
    slack = (scorer.error_bound(users) * (UNIT_ROUNDOFF_64 / UNIT_ROUNDOFF_32))[place]
    is_unsure = (scores - slack).astype(np.float32) != (scores + slack).astype(np.float32)
    # An exact 0 (units that are all off, no ratings) is unsure by this test alone, and the same in any order.
    for row in np.flatnonzero(is_unsure & (scores != 0)):
        scores[row] = scorer.score_pairs(user_index[row : row + 1], item_index[row : row + 1])[0]
    return scores.astype(np.float32)


@dataclass(frozen=True, eq=False)
class LinearScorer:
    """Score = user_vector · item_vector + user_offset + item_offset: linear heads and baselines.

    user_vectors: (n_users, n) float64, n may be 0      item_vectors: (n_items, n) float64
    user_offsets: (n_users,) float64      item_offsets: (n_items,) float64
    predicts_ratings: False where there is no predicted rating at all
    """

    user_vectors: Float64s
    item_vectors: Float64s
    user_offsets: Float64s
    item_offsets: Float64s
    predicts_ratings: bool = True

    @property
    def n_items(self) -> int:
        """Items of the catalogue."""
        return len(self.item_vectors)

    @cached_property
    def _single(self) -> tuple[Float32s, Float32s, Float32s, Float32s]:
        arrays = (self.user_vectors, self.item_vectors.T, self.user_offsets, self.item_offsets)
        users, items, user_offsets, item_offsets = (array.astype(np.float32, order="C") for array in arrays)
        return users, items, user_offsets, item_offsets

    @cached_property
    def _largest(self) -> tuple[Float64s, float]:
        vectors, offsets = np.abs(self.item_vectors), np.abs(self.item_offsets)
        return vectors.max(axis=0, initial=0), float(offsets.max(initial=0))

    def score_block(self, user_index: Indices) -> Float32s:
        """One matrix product."""
        users, items, user_offsets, item_offsets = self._single
        if not items.size:
            return np.add.outer(user_offsets[user_index], item_offsets)
        scores: Float32s = users[user_index] @ items
        scores += item_offsets
        scores += user_offsets[user_index, None]
        return scores

    def error_bound(self, user_index: Indices) -> Float64s:
        """(n + 4) u (|user_vector| · max|item_vector| + offsets): Higham, Accuracy and Stability, 3.1.

        Holds for any order of the sum, with or without fused multiply-add; the 4 are the two roundings to
        float32 of the factors and the two offsets.
        """
        n_products = self.item_vectors.shape[1]
        return np.asarray(SAFETY * (n_products + 4) * UNIT_ROUNDOFF_32 * self.largest_score(user_index))

    def largest_score(self, user_index: Indices) -> Float64s:
        """(n_block,): |user_vector| · max|item_vector| + offsets."""
        vectors, offset = self._largest
        size = (
            np.abs(self.user_vectors[user_index]) @ vectors + np.abs(self.user_offsets[user_index]) + offset
        )
        return np.asarray(size)

    def score_pairs(self, user_index: Indices, item_index: Indices) -> Float64s:
        """Row by row, some at a time: their vectors are copied."""
        scores = self.user_offsets[user_index] + self.item_offsets[item_index]
        for first in range(0, len(scores), _PAIRS_AT_ONCE):
            tile = slice(first, first + _PAIRS_AT_ONCE)
            users, items = self.user_vectors[user_index[tile]], self.item_vectors[item_index[tile]]
            scores[tile] += np.einsum("ij,ij->i", users, items)
        return np.asarray(scores)

    def predict_ratings(self, user_index: Indices, item_index: Indices) -> Float64s:
        """The score, where it is a rating."""
        if not self.predicts_ratings:
            raise NotImplementedError("these scores rank items; they are no ratings")
        return self.score_pairs(user_index, item_index)
