"""Scores that are weighted sums of those of several models, each on a scale of its own for every user."""

import typing
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from worker.ranking.scorers import SAFETY, UNIT_ROUNDOFF_32, Float32s, Float64s, Indices, Scorer
from worker.ranking.top_k import users_at_once
from worker.ranking.weighted_sum import RankingScorer


@dataclass(frozen=True, eq=False)
class Scale:
    """Of one model, the mean and deviation of the scores of each user over all items, (n_users,) float64.

    A deviation of 0: the model does not tell the items of this user apart.
    """

    mean: Float64s
    deviation: Float64s


def measure_scale(scorer: Scorer, n_users: int, check_stop: Callable[[], None]) -> Scale:
    """In one pass over all scores.

    A deviation that the errors of `score_block` alone could make is 0. Made once, it is kept with the model:
    what is computed again on another machine may differ in its last digits, and all scores with it.
    """
    mean, deviation = np.zeros(n_users), np.zeros(n_users)
    n_block = users_at_once(scorer.n_items)
    for first in range(0, n_users, n_block):
        check_stop()
        users = np.arange(first, min(first + n_block, n_users))
        scores = scorer.score_block(users)
        mean[users] = scores.mean(axis=1, dtype=np.float64)
        spread = scores.std(axis=1, dtype=np.float64, mean=mean[users, None])
        deviation[users] = np.where(spread > scorer.error_bound(users), spread, 0)
    return Scale(mean, deviation)


@dataclass(frozen=True, eq=False)
class StandardisedSum:
    """Σ over parts of weight · (score - mean) / deviation; a part with deviation 0 adds nothing.

    It ranks and predicts no ratings. Of every part, an error bound must be at least twice the unit roundoff
    times the size of the scores, as that of every sum of products is.
    """

    predicts_ratings: ClassVar[bool] = False

    parts: Sequence[Scorer]
    scales: Sequence[Scale]
    weights: Sequence[float]

    @property
    def n_items(self) -> int:
        """Items of the catalogue."""
        return self.parts[0].n_items

    def score_block(self, user_index: Indices) -> Float32s:
        """Σ factor · score - offset, added in float32."""
        factors, offsets = self._linear(user_index)
        scores = np.broadcast_to(-offsets.astype(np.float32)[:, None], (len(user_index), self.n_items)).copy()
        for part, factor in zip(self.parts, factors, strict=True):
            if factor.any():
                scores += factor.astype(np.float32)[:, None] * part.score_block(user_index)
        return scores

    def error_bound(self, user_index: Indices) -> Float64s:
        """Σ factor · error of the part, and n + 2 roundings of the sum of the sizes, n + 1 of the offset.

        A term is rounded as factor and product, then by at most n additions, as is the offset after its own
        rounding: Higham, Accuracy and Stability, 4.2. By the rule above a score is at most its error bound
        over twice the unit roundoff.
        """
        factors, offsets = self._linear(user_index)
        errors = np.zeros(len(user_index))
        for part, factor in zip(self.parts, factors, strict=True):
            errors += factor * part.error_bound(user_index)
        n_parts = len(self.parts)
        roundings = SAFETY * ((n_parts + 2) / 2 * errors + (n_parts + 1) * UNIT_ROUNDOFF_32 * np.abs(offsets))
        return np.asarray(errors + roundings)

    def score_pairs(self, user_index: Indices, item_index: Indices) -> Float64s:
        """Pair by pair."""
        factors, offsets = self._linear(user_index)
        scores = -offsets
        for part, factor in zip(self.parts, factors, strict=True):
            scores = scores + factor * part.score_pairs(user_index, item_index)
        return np.asarray(scores)

    def predict_ratings(self, user_index: Indices, item_index: Indices) -> Float64s:
        """There are none."""
        raise NotImplementedError("a sum of standardised scores ranks items; they are no ratings")

    def _linear(self, user_index: Indices) -> tuple[list[Float64s], Float64s]:
        """The factor of each part's score, and what is subtracted from the sum, (n_block,) each."""
        factors, offsets = [], np.zeros(len(user_index))
        for scale, weight in zip(self.scales, self.weights, strict=True):
            deviation = scale.deviation[user_index]
            factor = np.divide(weight, deviation, out=np.zeros(len(user_index)), where=deviation > 0)
            offsets += factor * scale.mean[user_index]
            factors.append(factor)
        return factors, offsets


@dataclass(frozen=True, eq=False)
class StandardisedSumOfHistories(StandardisedSum):
    """Where all parts score histories."""

    parts: Sequence[RankingScorer]

    def score_history(self, item_index: Indices, ratings: Float32s) -> Float64s:
        """Scores of every item, on the scales of this history."""
        total = np.zeros(self.n_items)
        for part, weight in zip(self.parts, self.weights, strict=True):
            scores = part.score_history(item_index, ratings)
            deviation = scores.std()
            # Scores that are all alike differ by roundings at most.
            if deviation > len(scores) * np.finfo(np.float64).eps * np.abs(scores).max(initial=0):
                total += weight * (scores - scores.mean()) / deviation
        return total


def sum_standardised(
    parts: Sequence[Scorer], scales: Sequence[Scale], weights: Sequence[float]
) -> StandardisedSum:
    """Their sum, which scores histories if all of them do."""
    if all(isinstance(part, RankingScorer) for part in parts):
        return StandardisedSumOfHistories(typing.cast(Sequence[RankingScorer], parts), scales, weights)
    return StandardisedSum(parts, scales, weights)
