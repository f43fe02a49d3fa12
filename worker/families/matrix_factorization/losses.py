"""What matrix factorisation minimises, as compiled epochs; imports TensorFlow."""

from functools import lru_cache
from typing import NamedTuple

import tensorflow as tf

from shared.domain.families.matrix_factorization import Loss, MatrixFactorization
from worker.engine.factor_epoch import FactorEpoch, compile_factor_epoch
from worker.engine.losses import bpr_loss, cross_entropy_with_zeros, softmax_loss, squared_error_with_zeros
from worker.engine.optimizers import Optimizer
from worker.engine.row_epoch import RowBatch, RowEpoch, Tensors, compile_row_epoch

_CACHE_SIZE = 4


class _Program(NamedTuple):
    """What a compiled program depends on beside shapes: penalties are arguments."""

    loss: Loss
    size: int
    biases: bool
    zero_weight: float
    negatives: int

    @classmethod
    def of(cls, architecture: MatrixFactorization) -> "_Program":
        return cls(
            architecture.loss,
            architecture.size,
            architecture.biases,
            architecture.zero_weight,
            architecture.negatives,
        )


def compile_rating_epoch(
    architecture: MatrixFactorization, optimizer: Optimizer, batch_size: int
) -> FactorEpoch:
    """Squared errors over batches of ratings; rows are vectors, each with its bias behind it."""
    return _rating_epoch(_Program.of(architecture), optimizer, batch_size)


def compile_user_epoch(
    architecture: MatrixFactorization, optimizer: Optimizer, batch_size: int, n_items: int
) -> RowEpoch:
    """A loss over batches of users against all items. Channels of an entry: its target, and 1.

    Parameters: user_vectors and user_biases are tables, item_vectors and item_biases are not.
    Fixed: user_ridge and item_ridge, what the squared length of a row costs, in users' losses.
    """
    return _user_epoch(_Program.of(architecture), optimizer, batch_size, n_items)


@lru_cache(maxsize=_CACHE_SIZE)
def _rating_epoch(program: _Program, optimizer: Optimizer, batch_size: int) -> FactorEpoch:
    size = program.size

    def loss(users: tf.Tensor, items: tf.Tensor, ratings: tf.Tensor) -> tf.Tensor:
        predicted = tf.reduce_sum(users[:, :size] * items[:, :size], 1)
        if program.biases:
            predicted += users[:, size] + items[:, size]
        return tf.square(ratings - predicted)

    return compile_factor_epoch(loss, optimizer, batch_size, f"matrix_factorization {program}")


@lru_cache(maxsize=_CACHE_SIZE)
def _user_epoch(program: _Program, optimizer: Optimizer, batch_size: int, n_items: int) -> RowEpoch:
    def loss(parameters: Tensors, batch: RowBatch) -> tf.Tensor:
        users, items = parameters["user_vectors"], parameters["item_vectors"]
        scores = tf.matmul(users, items, transpose_b=True)
        user_squares, item_squares = (tf.reduce_sum(tf.square(one), 1) for one in (users, items))
        if program.biases:
            scores += parameters["item_biases"]
            item_squares += tf.square(parameters["item_biases"])
        if "user_biases" in parameters:
            scores += parameters["user_biases"]
            user_squares += tf.square(parameters["user_biases"][:, 0])
        users_penalty = tf.gather(batch.fixed["user_ridge"], batch.row_index) * user_squares
        items_penalty = tf.reduce_sum(batch.fixed["item_ridge"] * item_squares)
        return batch.mean(_row_losses(program, scores, batch) + users_penalty) + items_penalty

    return compile_row_epoch(loss, optimizer, batch_size, n_items, f"matrix_factorization {program}")


def _row_losses(program: _Program, scores: tf.Tensor, batch: RowBatch) -> tf.Tensor:
    match program.loss:
        case "softmax":
            return softmax_loss(scores, batch.channels[0])
        case "squared_error_with_zeros":
            targets, is_rated = batch.channels
            return squared_error_with_zeros(scores, targets, is_rated, program.zero_weight)
        case "bce":
            targets, is_rated = batch.channels
            return cross_entropy_with_zeros(scores, targets, is_rated, program.zero_weight)
        case "bpr":
            targets, is_rated = batch.channels
            return bpr_loss(scores, targets, is_rated, _draw_shifts(program.negatives, batch))
        case "squared_error":
            raise ValueError("squared_error is over ratings: it has no loss over users")


def _draw_shifts(n_shifts: int, batch: RowBatch) -> tf.Tensor:
    """(n_shifts,) int32: from 1 to the number of items less 1."""
    n_items = int(batch.channels[0].shape[1])
    return tf.random.stateless_uniform(
        (n_shifts,), tf.stack([batch.seed, batch.step]), 1, max(n_items, 2), tf.int32
    )
