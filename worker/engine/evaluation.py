"""Loss and RMSE of a model on ratings it was not trained on."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from worker.engine.forward import Forward
from worker.observations import Observations

# Bounds the memory of one block: the largest intermediate has about this many numbers.
_BLOCK_NUMBERS = 1 << 20


@dataclass(frozen=True)
class Evaluation:
    """loss: mean squared error over all outputs; rmse: root of that of the mean output, which is served."""

    loss: float
    rmse: float


def evaluate(
    forward: Forward,
    parameters: Sequence[tf.Tensor],
    embeddings: tuple[tf.Tensor, tf.Tensor],
    ratings: Observations,
    numbers_per_rating: int,
) -> Evaluation:
    """Over all ratings, in blocks; sums in float64.

    `embeddings` are those of the users and of the items. `numbers_per_rating`: size of the largest
    intermediate that `forward` makes for one rating.
    """
    user_embedding, item_embedding = embeddings
    block_size = max(1, _BLOCK_NUMBERS // numbers_per_rating)
    loss_sum = square_sum = tf.constant(0.0, tf.float64)
    for start in range(0, len(ratings), block_size):
        block = slice(start, start + block_size)
        outputs = forward(
            parameters,
            tf.gather(user_embedding, ratings.user_index[block]),
            tf.gather(item_embedding, ratings.item_index[block]),
        )
        errors = outputs - ratings.rating[block, np.newaxis]
        losses = tf.reduce_mean(tf.square(errors), axis=1)
        served = tf.square(tf.reduce_mean(errors, axis=1))
        loss_sum += tf.reduce_sum(tf.cast(losses, tf.float64))
        square_sum += tf.reduce_sum(tf.cast(served, tf.float64))
    return Evaluation(float(loss_sum) / len(ratings), float(tf.sqrt(square_sum / len(ratings))))
