"""Scores that are sums of the scores of several models."""

import typing
from collections.abc import Sequence

import numpy as np

from worker.ranking.scorers import SAFETY, UNIT_ROUNDOFF_32, Float32s, Float64s, Indices, Scorer


class SizedScorer(Scorer, typing.Protocol):
    """A scorer that knows how large its scores can be."""

    def largest_score(self, user_index: Indices) -> Float64s:
        """(n_block,): no exact score of these users is larger in absolute value."""


class SummedScorer:
    """Score = the sum of the scores of the parts, of the same users and items."""

    def __init__(self, parts: Sequence[SizedScorer], *, predicts_ratings: bool) -> None:
        """`predicts_ratings`: whether the sum is a rating."""
        self._parts = tuple(parts)
        self.predicts_ratings = predicts_ratings

    @property
    def n_items(self) -> int:
        """Items of the catalogue."""
        return self._parts[0].n_items

    def score_block(self, user_index: Indices) -> Float32s:
        """The blocks of the parts, added up."""
        first, *others = self._parts
        scores = first.score_block(user_index)
        for one in others:
            scores += one.score_block(user_index)
        return scores

    def error_bound(self, user_index: Indices) -> Float64s:
        """Those of the parts, and a rounding of at most the sum of all sizes for each addition.

        Higham, Accuracy and Stability, 4.2: holds for any order of the additions.
        """
        errors = np.sum([one.error_bound(user_index) for one in self._parts], axis=0)
        additions = SAFETY * (len(self._parts) - 1) * UNIT_ROUNDOFF_32
        return np.asarray(errors + additions * self.largest_score(user_index))

    def largest_score(self, user_index: Indices) -> Float64s:
        """The sum of those of the parts."""
        return np.asarray(np.sum([one.largest_score(user_index) for one in self._parts], axis=0))

    def score_pairs(self, user_index: Indices, item_index: Indices) -> Float64s:
        """In float64, part by part."""
        first, *others = self._parts
        scores = first.score_pairs(user_index, item_index)
        for one in others:
            scores += one.score_pairs(user_index, item_index)
        return scores

    def predict_ratings(self, user_index: Indices, item_index: Indices) -> Float64s:
        """The score, where it is a rating."""
        if not self.predicts_ratings:
            raise NotImplementedError("these scores rank items; they are no ratings")
        return self.score_pairs(user_index, item_index)
