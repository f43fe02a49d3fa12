"""Loss of a model on ratings it was not trained on, and RMSE where its score is a rating."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from worker.engine.negatives import JudgedPairs
from worker.engine.network import Forward, Network
from worker.engine.pair_steps import Pairs, losses_of_pairs
from worker.observations import Observations

# Bounds the memory of one block: the largest intermediate has about this many numbers.
_BLOCK_NUMBERS = 1 << 20


@dataclass(frozen=True)
class Evaluation:
    """loss: the mean over the ratings; rmse: of the score, None where it is no rating."""

    loss: float
    rmse: float | None


def evaluate(
    forward: Forward,
    parameters: Sequence[tf.Tensor],
    rows: tuple[tf.Tensor, tf.Tensor],
    ratings: Observations,
    numbers_per_rating: int,
) -> Evaluation:
    """Squared errors over all outputs, and of the score, in blocks; sums in float64.

    `rows` are those of all users and of all items. `numbers_per_rating`: size of the largest intermediate
    that `forward` makes for one rating.
    """
    user_rows, item_rows = rows
    block_size = max(1, _BLOCK_NUMBERS // numbers_per_rating)
    loss_sum = square_sum = tf.constant(0.0, tf.float64)
    for start in range(0, len(ratings), block_size):
        block = slice(start, start + block_size)
        outputs = forward(
            parameters,
            tf.gather(user_rows, ratings.user_index[block]),
            tf.gather(item_rows, ratings.item_index[block]),
        )
        errors = outputs - ratings.rating[block, np.newaxis]
        losses = tf.reduce_mean(tf.square(errors), axis=1)
        served = tf.square(tf.reduce_mean(errors, axis=1))
        loss_sum += tf.reduce_sum(tf.cast(losses, tf.float64))
        square_sum += tf.reduce_sum(tf.cast(served, tf.float64))
    return Evaluation(float(loss_sum) / len(ratings), float(tf.sqrt(square_sum / len(ratings))))


def evaluate_with_negatives(
    network: Network,
    dense: Sequence[tf.Tensor],
    rows: tuple[tf.Tensor, tf.Tensor],
    judged: JudgedPairs,
    numbers_per_pair: int,
) -> Evaluation:
    """The loss of a network that knows the unrated.

    The ratings hold what they are worth; `rows` of all users and items have their features added.
    """
    ratings = judged.ratings
    n_kinds = 1 + len(judged.drawn)
    block_size = max(1, _BLOCK_NUMBERS // (numbers_per_pair * n_kinds))
    loss_sum = tf.constant(0.0, tf.float64)
    for start in range(0, len(ratings), block_size):
        block = slice(start, start + block_size)
        pairs = Pairs(
            ratings.user_index[block],
            np.concatenate((ratings.item_index[block], judged.drawn[:, block].ravel())),
            tf.constant(ratings.rating[block]),
            tf.constant(judged.counts[:, block]),
        )
        of_pairs = (tf.gather(rows[0], pairs.user_index), tf.gather(rows[1], pairs.item_index))
        losses = losses_of_pairs(network, dense, of_pairs, pairs)
        loss_sum += tf.reduce_sum(tf.cast(losses, tf.float64))
    return Evaluation(float(loss_sum) / len(ratings), None)
