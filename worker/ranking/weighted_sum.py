"""Scores of one model plus a weight times those of another."""

import typing
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from worker.ranking.scorers import Float32s, Float64s, Indices, Scorer


@typing.runtime_checkable
class RankingScorer(Scorer, typing.Protocol):
    """A scorer that scores histories too."""

    def score_history(self, item_index: Indices, ratings: Float32s) -> Float64s:
        """As HistoryScorer."""


@dataclass(frozen=True, eq=False)
class WeightedSum:
    """first + weight · second, for the same users and items; it ranks and predicts no ratings.

    Of both, an error bound must be at least twice the unit roundoff times the size of the scores, as that of
    every sum of products is.
    """

    predicts_ratings: ClassVar[bool] = False

    first: Scorer
    second: Scorer
    weight: float

    @property
    def n_items(self) -> int:
        """Items of the catalogue."""
        return self.first.n_items

    def score_block(self, user_index: Indices) -> Float32s:
        """Added in float32."""
        scores = np.float32(self.weight) * self.second.score_block(user_index)
        scores += self.first.score_block(user_index)
        return scores

    def error_bound(self, user_index: Indices) -> Float64s:
        """Three times the sum of both bounds.

        The roundings of weight, product and sum are at most u times the sizes of the two terms, each: by the
        rule above three halves of the second bound and half of the first, beside the bounds themselves.
        """
        first, second = (one.error_bound(user_index) for one in (self.first, self.second))
        return np.asarray(3 * (first + self.weight * second))

    def score_pairs(self, user_index: Indices, item_index: Indices) -> Float64s:
        """Pair by pair."""
        first, second = (one.score_pairs(user_index, item_index) for one in (self.first, self.second))
        return np.asarray(first + self.weight * second)

    def predict_ratings(self, user_index: Indices, item_index: Indices) -> Float64s:
        """There are none."""
        raise NotImplementedError("a sum of scores ranks items; they are no ratings")


@dataclass(frozen=True, eq=False)
class WeightedSumOfHistories(WeightedSum):
    """Where both score histories."""

    first: RankingScorer
    second: RankingScorer

    def score_history(self, item_index: Indices, ratings: Float32s) -> Float64s:
        """Scores of every item, as for a user who gave these ratings in training."""
        first, second = (one.score_history(item_index, ratings) for one in (self.first, self.second))
        return np.asarray(first + self.weight * second)
