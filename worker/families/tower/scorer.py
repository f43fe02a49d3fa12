"""Scores of a trained tower.

Without an activation most heads are products of vectors. Of any other the first layer is made of a user and
an item part, and the rest is compiled.
"""

from dataclasses import replace
from functools import cache
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from shared.domain.families.pairs import Activation
from shared.domain.families.tower import Merge, Tower
from worker.engine.compiled import CompiledFunction
from worker.families.tower.merges import MERGES
from worker.families.tower.weights import Weights
from worker.ranking.scorers import (
    SAFETY,
    UNIT_ROUNDOFF_32,
    Dense,
    Float32s,
    Float64s,
    Indices,
    LinearScorer,
    Scorer,
    require_finite_weights,
)
from worker.ranking.sums import SummedScorer

# Numbers of the widest layer held at once, the tile of pairs that one call scores: 16 MB in a compiled block,
# 4 MB where pairs are scored one operation after another and the caches should hold them in between.
_BLOCK_TILE_NUMBERS = 2**22
_PAIR_TILE_NUMBERS = 2**19
# Largest slope, and size at 0, of the activations where these are not 1 and 0.
_SLOPES: dict[Activation, float] = {"sigmoid": 0.25, "selu": 1.7581, "silu": 1.1, "gelu": 1.13}
_SIZES_AT_ZERO: dict[Activation, float] = {"sigmoid": 0.5, "softplus": 0.6932}
# Error of an activation in units of roundoff of 1 + |input|; exp, tanh and erf are approximated to a few.
_ACTIVATION_UNITS = 16


def weights_scorer(architecture: Tower, weights: Weights, n_items: int) -> Scorer:
    """The scorer of a trained model; only the first `n_items` rows of the item embedding are items.

    A weight that is not finite is a TrialError: nothing can be ranked with it.
    """
    require_finite_weights(weights.named())
    users = weights.user_embedding.astype(np.float64)
    items = weights.item_embedding[:n_items].astype(np.float64)
    dense = [(kernel.astype(np.float64), bias.astype(np.float64)) for kernel, bias in weights.dense]
    predicts = architecture.predicts_ratings
    merge, activation = architecture.merge, architecture.activation
    head = head_scorer(merge, activation, (users, items), dense, predicts_ratings=predicts)
    if weights.user_bias is None or weights.item_bias is None:
        return head
    user_offsets = weights.user_bias[:, 0].astype(np.float64)
    item_offsets = weights.item_bias[:n_items, 0].astype(np.float64)
    if isinstance(head, LinearScorer):
        return replace(
            head,
            user_offsets=head.user_offsets + user_offsets,
            item_offsets=head.item_offsets + item_offsets,
        )
    no_vectors = (users[:, :0], items[:, :0])
    biases = LinearScorer(*no_vectors, user_offsets, item_offsets, predicts_ratings=predicts)
    return SummedScorer((head, biases), predicts_ratings=predicts)


def head_scorer(
    merge: Merge,
    activation: Activation,
    rows: tuple[Float64s, Float64s],
    dense: Dense,
    *,
    predicts_ratings: bool = True,
) -> "LinearScorer | HeadScorer":
    """The scorer of dense layers above merged rows of users and items: linear where it is, else compiled."""
    users, items = rows
    if activation == "linear":
        kernel, bias = _fold(dense)
        linear = MERGES[merge].linear_scorer(users, items, kernel[:, 0], float(bias[0]))
        if linear is not None:
            return replace(linear, predicts_ratings=predicts_ratings)
        dense = [(kernel, bias)]
    return HeadScorer(merge, activation, rows, dense, predicts_ratings=predicts_ratings)


class HeadScorer:
    """Scores of one trained head; the score is the mean over the copies of the first layer.

    The merge makes it of `_user_part`, (n_users, n_copies, width) float64, and `_item_part`, (n_items, width)
    float64: see worker/families/tower/merges.py.
    """

    def __init__(
        self,
        merge: Merge,
        activation: Activation,
        rows: tuple[Float64s, Float64s],
        dense: Dense,
        *,
        predicts_ratings: bool = True,
    ) -> None:
        users, items = rows
        (kernel, bias), *self._layers = dense
        self._merge, self._activation = merge, activation
        self.predicts_ratings = predicts_ratings
        self._kernel, self._bias = kernel, bias
        self._user_part, self._item_part = MERGES[self._merge].split(users, items, kernel, bias)
        self._largest_item = np.abs(self._item_part).max(axis=0, initial=0)
        self._dense_32 = _tensors([(kernel, bias), *self._layers], tf.float32)
        self._dense_64 = _tensors([(kernel, bias), *self._layers], tf.float64)
        self._user_part_32 = self._user_part.astype(np.float32)
        n_copies, width = self._user_part.shape[1], max(users.shape[1], *(len(b) for _, b in dense))
        self._pairs_at_once = max(1, _PAIR_TILE_NUMBERS // (n_copies * width))
        block_pairs = max(1, _BLOCK_TILE_NUMBERS // (n_copies * width))
        n_chunks = -(-self.n_items // block_pairs)
        chunk_items = -(-self.n_items // n_chunks)
        self._tile_users = max(1, block_pairs // chunk_items)
        padded = np.zeros((n_chunks * chunk_items, self._item_part.shape[1]), np.float32)
        padded[: self.n_items] = self._item_part
        self._item_chunks = [tf.constant(chunk[None, None]) for chunk in np.split(padded, n_chunks)]

    @property
    def n_items(self) -> int:
        """Items of the catalogue."""
        return len(self._item_part)

    def score_block(self, user_index: Indices) -> Float32s:
        """Tile by tile; tiles are padded to one shape, so that each head is compiled once."""
        score_tile = _compiled(self._merge, self._activation)
        scores = np.empty((len(user_index), self.n_items), np.float32)
        for first in range(0, len(user_index), self._tile_users):
            tile = user_index[first : first + self._tile_users]
            users = np.zeros((self._tile_users, *self._user_part.shape[1:]), np.float32)
            users[: len(tile)] = self._user_part_32[tile]
            user_part = tf.constant(users[:, :, None])  # (tile_users, n_copies, 1, width)
            column = 0
            for item_part in self._item_chunks:  # (1, 1, chunk_items, width)
                columns = scores[first : first + len(tile), column : column + item_part.shape[2]]
                chunk = score_tile(user_part, item_part, self._dense_32).numpy()
                columns[:] = chunk[: len(tile), : columns.shape[1]]
                column += item_part.shape[2]
        return scores

    def error_bound(self, user_index: Indices) -> Float64s:
        """Running error analysis (Higham, Accuracy and Stability, 3.3) with the largest item of each column.

        A layer of n inputs errs by |K|ᵀ error + (n + 2) u (|K|ᵀ size + |b|), an activation by its slope times
        the error plus its own; holds for any order of the sums.
        """
        return self._sizes_and_errors(user_index)[1]

    def largest_score(self, user_index: Indices) -> Float64s:
        """(n_block,): as far as the largest weights could bring a score from 0."""
        return self._sizes_and_errors(user_index)[0]

    def _sizes_and_errors(self, user_index: Indices) -> tuple[Float64s, Float64s]:
        unit = UNIT_ROUNDOFF_32
        slope = _SLOPES.get(self._activation, 1.0)
        units = 0 if self._activation == "relu" else _ACTIVATION_UNITS
        # (n_block, n_copies, width)
        size, n_terms = MERGES[self._merge].first_layer_size(
            np.abs(self._user_part[user_index]), self._largest_item, self._kernel, self._bias
        )
        error = n_terms * unit * size
        for kernel, bias in self._layers:
            error = slope * error + units * unit * (1 + size)
            size = slope * size + _SIZES_AT_ZERO.get(self._activation, 0.0)
            size = size @ np.abs(kernel) + np.abs(bias)
            error = error @ np.abs(kernel) + (len(kernel) + 2) * unit * size
        error += size.shape[1] * unit * size
        largest = size[:, :, 0].mean(axis=1)
        return np.asarray(largest), np.asarray(SAFETY * error[:, :, 0].mean(axis=1))

    def score_pairs(self, user_index: Indices, item_index: Indices) -> Float64s:
        """The same head in float64, at most one tile of pairs at a time."""
        scores = np.empty(len(user_index))
        for first in range(0, len(scores), self._pairs_at_once):
            tile = slice(first, first + self._pairs_at_once)
            user_part = tf.constant(self._user_part[user_index[tile]])  # (n, n_copies, width)
            item_part = tf.constant(self._item_part[item_index[tile], None])  # (n, 1, width)
            scores[tile] = _score(self._merge, self._activation, user_part, item_part, self._dense_64).numpy()
        return scores

    def predict_ratings(self, user_index: Indices, item_index: Indices) -> Float64s:
        """The score, where it is a rating."""
        if not self.predicts_ratings:
            raise NotImplementedError("these scores rank items; they are no ratings")
        return self.score_pairs(user_index, item_index)


def _fold(dense: Dense) -> tuple[Float64s, Float64s]:
    """Dense layers without activation as one: kernel (n_inputs, 1), bias (1,)."""
    kernel, bias = dense[0]
    for next_kernel, next_bias in dense[1:]:
        kernel, bias = kernel @ next_kernel, bias @ next_kernel + next_bias
    return kernel, bias


def _tensors(dense: Dense, dtype: tf.DType) -> tuple[tuple[Any, Any], ...]:
    return tuple((tf.constant(kernel, dtype), tf.constant(bias, dtype)) for kernel, bias in dense)


@cache
def _compiled(merge: Merge, activation: Activation) -> CompiledFunction:
    """One compiled program for all models of these two, one more trace for each new shape."""

    def score_tile(user_part: tf.Tensor, item_part: tf.Tensor, dense: Any) -> tf.Tensor:  # noqa: ANN401
        return _score(merge, activation, user_part, item_part, dense)

    return CompiledFunction(score_tile, f"score {merge} {activation}")


def _score(merge: Merge, activation: Activation, user_part: Any, item_part: Any, dense: Any) -> Any:  # noqa: ANN401
    """Scores of the broadcast of both parts; axis 1 holds the copies, which are averaged."""
    activate = keras.activations.get(activation)
    (kernel, bias), *layers = dense
    inputs = MERGES[merge].first_layer(user_part, item_part, kernel, bias)
    for kernel, bias in layers:
        inputs = tf.tensordot(activate(inputs), kernel, 1) + bias
    return tf.reduce_mean(inputs[..., 0], axis=1)
