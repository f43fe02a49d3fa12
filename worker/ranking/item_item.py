"""Scores of models that are an item-item matrix: the input of a user times it."""

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Protocol

import numpy as np
import numpy.typing as npt
import scipy.sparse

from worker.ranking.item_products import (
    CHUNK_ITEMS,
    TILE_ITEMS,
    dense_block,
    dense_pairs,
    sparse_block,
    sparse_pairs,
)
from worker.ranking.scorers import SAFETY, UNIT_ROUNDOFF_32, Float32s, Float64s, Indices


@dataclass(frozen=True, eq=False)
class UserInputs:
    """Inputs of users: those of one stand together from starts[user] to starts[user + 1] - 1.

    starts: (n_users + 1,) uint64      places: (n_inputs,) uint32, rows of the matrix      values: float32
    """

    starts: npt.NDArray[np.uint64]
    places: npt.NDArray[np.uint32]
    values: Float32s


class RatingInputs(Protocol):
    """What a rating is worth as an input."""

    def is_kept(self, ratings: Float32s) -> npt.NDArray[np.bool_]:
        """Whether each rating is an input at all."""

    def values(self, ratings: Float32s) -> Float32s:
        """The values of ratings that are kept."""


class ItemItem(Protocol):
    """Weights w_ji of the input of item j for the score of item i, (n, n) float32."""

    @property
    def sums(self) -> "WeightSums":
        """Sizes of the weights."""

    def score_block(
        self, inputs: UserInputs, users: npt.NDArray[np.int64], items: npt.NDArray[np.int32], out: Float32s
    ) -> None:
        """Put the scores of users into the columns `items` of `out`."""

    def score_pairs(self, inputs: UserInputs, users: npt.NDArray[np.int64], places: Indices) -> Float64s:
        """Scores of n pairs in float64, each summed in the same order in any batch."""

    def n_roundings(self, n_inputs: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Roundings that one score of so many inputs goes through at most, relative to their sizes."""


@dataclass(frozen=True, eq=False)
class WeightSums:
    """of_row: (n,), max_i |w_ji|.      column_sum, column_norm: the largest Σ_j |w_ji| and (Σ_j w_ji²)^½."""

    of_row: Float64s
    column_sum: float
    column_norm: float


class DenseItems:
    """Every weight kept. Scores are summed by `CHUNK_ITEMS` inputs, then over those sums."""

    def __init__(self, matrix: Float32s) -> None:
        """matrix: (n, n) float32; it is copied, in tiles of columns."""
        n = len(matrix)
        # (n_tiles, n, TILE_ITEMS), 0 beyond the last column
        self._tiles = np.zeros((-(-n // TILE_ITEMS), n, TILE_ITEMS), np.float32)
        for number, tile in enumerate(self._tiles):
            columns = matrix[:, number * TILE_ITEMS : (number + 1) * TILE_ITEMS]
            tile[:, : columns.shape[1]] = columns

    @cached_property
    def sums(self) -> WeightSums:
        """Sizes of the weights, tile by tile."""
        of_row, column_sum, column_square = np.zeros(self._tiles.shape[1]), 0.0, 0.0
        for tile in self._tiles:
            sizes = np.abs(tile)
            np.maximum(of_row, sizes.max(axis=1), out=of_row)
            column_sum = max(column_sum, sizes.sum(axis=0, dtype=np.float64).max())
            column_square = max(column_square, np.square(sizes).sum(axis=0, dtype=np.float64).max())
        return WeightSums(of_row, column_sum, float(np.sqrt(column_square)))

    def score_block(
        self, inputs: UserInputs, users: npt.NDArray[np.int64], items: npt.NDArray[np.int32], out: Float32s
    ) -> None:
        """In float32."""
        dense_block(inputs.starts, inputs.places, inputs.values, users, self._tiles, items, out)

    def score_pairs(self, inputs: UserInputs, users: npt.NDArray[np.int64], places: Indices) -> Float64s:
        """Pair by pair."""
        scores = np.empty(len(users))
        dense_pairs(inputs.starts, inputs.places, inputs.values, users, self._tiles, places, scores)
        return scores

    def n_roundings(self, n_inputs: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Higham, Accuracy and Stability, 4.2: those of a chunk, and one for each chunk."""
        return np.minimum(n_inputs, CHUNK_ITEMS) + -(-n_inputs // CHUNK_ITEMS)


@dataclass(frozen=True, eq=False)
class SparseItems:
    """The weights that are not 0: those of row j from starts[j] to starts[j + 1] - 1, by column ascending.

    starts: (n + 1,)      columns: (n_weights,)      weights: (n_weights,) float32
    """

    matrix: scipy.sparse.csr_matrix

    @cached_property
    def _arrays(self) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint32], Float32s]:
        matrix = self.matrix
        return matrix.indptr.astype(np.uint64), matrix.indices.astype(np.uint32), matrix.data

    @cached_property
    def sums(self) -> WeightSums:
        """Sizes of the weights."""
        sizes = abs(self.matrix).astype(np.float64)
        if not sizes.nnz:
            return WeightSums(np.zeros(sizes.shape[0]), 0.0, 0.0)
        return WeightSums(
            sizes.max(axis=1).toarray().ravel(),
            float(sizes.sum(axis=0).max()),
            float(np.sqrt(sizes.power(2).sum(axis=0).max())),
        )

    def score_block(
        self, inputs: UserInputs, users: npt.NDArray[np.int64], items: npt.NDArray[np.int32], out: Float32s
    ) -> None:
        """Summed in float64 and rounded once."""
        sums = np.zeros(len(items))
        sparse_block(
            inputs.starts, inputs.places, inputs.values, users, *self._arrays, items, sums, out
        )  # fmt: skip

    def score_pairs(self, inputs: UserInputs, users: npt.NDArray[np.int64], places: Indices) -> Float64s:
        """All scores of a user at once, as often as the user changes from one pair to the next."""
        scores = np.empty(len(users))
        sparse_pairs(
            inputs.starts, inputs.places, inputs.values, users, *self._arrays, places,
            np.zeros(self.matrix.shape[1]), scores,
        )  # fmt: skip
        return scores

    def n_roundings(self, n_inputs: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """One for each input."""
        return n_inputs + 1


@dataclass(frozen=True, eq=False)
class ItemItemScorer:
    """Score of item i: Σ_j x_j w_ji over the inputs x of the user. No input, no weight: exactly 0.

    items: (n,) int32, the item of each row and column of the matrix
    """

    predicts_ratings: ClassVar[bool] = False

    n_items: int
    rule: RatingInputs
    inputs: UserInputs
    items: npt.NDArray[np.int32]
    item_item: ItemItem

    @classmethod
    def of(
        cls,
        rule: RatingInputs,
        by_user: scipy.sparse.csr_matrix,
        items: npt.NDArray[np.int32],
        item_item: ItemItem,
    ) -> "ItemItemScorer":
        """by_user: (n_users, n_items) float32, the training ratings."""
        n_items = by_user.shape[1]
        inputs = _inputs(rule, by_user.indptr, by_user.indices, by_user.data, _places(items, n_items))
        return cls(n_items, rule, inputs, items, item_item)

    def score_block(self, user_index: Indices) -> Float32s:
        """Input by input."""
        scores = np.zeros((len(user_index), self.n_items), np.float32)
        self.item_item.score_block(self.inputs, user_index.astype(np.int64), self.items, scores)
        return scores

    def error_bound(self, user_index: Indices) -> Float64s:
        """Roundings · u · max_i Σ_j |x_j w_ji|, which is bounded in three ways, by inequalities of Hölder."""
        n_inputs, sums, norms, largest = self._input_sizes
        weights = self.item_item.sums
        size = np.minimum(sums, np.minimum(largest * weights.column_sum, norms * weights.column_norm))
        n_roundings = self.item_item.n_roundings(n_inputs)
        return np.asarray(SAFETY * UNIT_ROUNDOFF_32 * (n_roundings * size)[user_index])

    def score_pairs(self, user_index: Indices, item_index: Indices) -> Float64s:
        """0 where the item has no column."""
        places = _places(self.items, self.n_items)[item_index]
        known = places >= 0
        scores = np.zeros(len(user_index))
        users = user_index[known].astype(np.int64)
        scores[known] = self.item_item.score_pairs(self.inputs, users, places[known].astype(np.int64))
        return scores

    def predict_ratings(self, user_index: Indices, item_index: Indices) -> Float64s:
        """There are none."""
        raise NotImplementedError("the scores of an item-item matrix rank items; they are no ratings")

    def score_history(self, item_index: Indices, ratings: Float32s) -> Float64s:
        """Scores of every item, as for a user who gave these ratings in training."""
        order = np.argsort(item_index, kind="stable")
        starts, ratings = np.array([0, len(order)]), ratings[order].astype(np.float32)
        inputs = _inputs(self.rule, starts, item_index[order], ratings, _places(self.items, self.n_items))
        scores = np.zeros(self.n_items)
        columns = np.arange(len(self.items))
        scores[self.items] = self.item_item.score_pairs(inputs, np.zeros_like(columns), columns)
        return scores

    @cached_property
    def _input_sizes(self) -> tuple[npt.NDArray[np.int64], Float64s, Float64s, Float64s]:
        """Of every user: number of inputs, Σ_j |x_j| max_i |w_ji|, (Σ_j x_j²)^½, max_j |x_j|."""
        starts, values = self.inputs.starts.astype(np.int64), np.abs(self.inputs.values.astype(np.float64))
        n_inputs = np.diff(starts)
        user = np.repeat(np.arange(len(n_inputs)), n_inputs)

        def sum_by_user(terms: Float64s) -> Float64s:
            return np.bincount(user, weights=terms, minlength=len(n_inputs)).astype(np.float64, copy=False)

        largest = np.zeros(len(n_inputs))
        np.maximum.at(largest, user, values)
        sums = sum_by_user(values * self.item_item.sums.of_row[self.inputs.places])
        return n_inputs, sums, np.sqrt(sum_by_user(values**2)), largest


def _places(items: npt.NDArray[np.int32], n_items: int) -> npt.NDArray[np.int64]:
    """Row of each item, -1 for one without."""
    places = np.full(n_items, -1, np.int64)
    places[items] = np.arange(len(items))
    return places


def _inputs(
    rule: RatingInputs, starts: Indices, item_index: Indices, ratings: Float32s, places: npt.NDArray[np.int64]
) -> UserInputs:
    kept = rule.is_kept(ratings) & (places[item_index] >= 0)
    starts = np.concatenate(([0], np.cumsum(kept)))[starts]
    rows = places[item_index[kept]]
    return UserInputs(starts.astype(np.uint64), rows.astype(np.uint32), rule.values(ratings[kept]))
