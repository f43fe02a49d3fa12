"""The batches of one epoch, in an order that depends on the random seed and the epoch alone."""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from worker.observations import Observations


class Batches(NamedTuple):
    """All batches of one epoch as tensors.

    user_index, item_index: (n_steps, width) int32      rating: (n_steps, width) float32
    n_ratings: () int32      width is batch_size, but at least 2; what is behind batch_size in a row, or
    behind n_ratings in all, is padding and weighs 0
    """

    user_index: tf.Tensor
    item_index: tf.Tensor
    rating: tf.Tensor
    n_ratings: tf.Tensor


def shuffle_batches(ratings: Observations, batch_size: int, random_seed: int, epoch: int) -> Batches:
    """Every rating once, shuffled; epochs count from 1."""
    n_ratings = len(ratings)
    n_steps = -(-n_ratings // batch_size)
    order = np.random.default_rng((random_seed, epoch)).permutation(n_ratings)
    # Padding repeats a rating of the same batch: its rows are touched anyway, and with weight 0 it adds
    # nothing to their gradients. Any other row would be moved by its optimizer state.
    order = np.append(order, np.repeat(order[-1:], n_steps * batch_size - n_ratings))
    order = order.reshape(n_steps, batch_size)
    if batch_size == 1:
        # XLA updates a table in place when two rows change, and copies it when there is only one.
        order = np.repeat(order, 2, axis=1)
    return Batches(
        user_index=tf.constant(ratings.user_index[order], tf.int32),
        item_index=tf.constant(ratings.item_index[order], tf.int32),
        rating=tf.constant(ratings.rating[order], tf.float32),
        n_ratings=tf.constant(n_ratings, tf.int32),
    )
