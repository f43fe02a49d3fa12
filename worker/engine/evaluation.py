"""Loss and RMSE of a model on ratings it was not trained on."""

from collections.abc import Sequence
from dataclasses import dataclass

import tensorflow as tf

from worker.engine.batches import Ratings
from worker.engine.forward import Forward

# Bounds the memory of one block: the largest intermediate has about this many numbers.
_BLOCK_NUMBERS = 1 << 22


@dataclass(frozen=True)
class Evaluation:
    """loss: mean squared error over all outputs; rmse: root of that of the mean output, which is served."""

    loss: float
    rmse: float


def evaluate(
    forward: Forward,
    parameters: Sequence[tf.Tensor],
    embeddings: tuple[tf.Tensor, tf.Tensor],
    ratings: Ratings,
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
        outputs = tf.cast(outputs, tf.float64)
        rating = tf.constant(ratings.rating[block], tf.float64)
        served = tf.reduce_mean(outputs, axis=1)
        loss_sum += tf.reduce_sum(tf.reduce_mean(tf.square(outputs - rating[:, tf.newaxis]), axis=1))
        square_sum += tf.reduce_sum(tf.square(served - rating))
    return Evaluation(float(loss_sum) / len(ratings), float(tf.sqrt(square_sum / len(ratings))))
