"""The batches of one epoch, in an order that depends on the random seed and the epoch alone."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import tensorflow as tf


@dataclass(frozen=True, eq=False)
class Ratings:
    """Observations as arrays of one length.

    user_index, item_index: (n_ratings,) int32      rating: (n_ratings,) float32
    """

    user_index: npt.NDArray[np.int32]
    item_index: npt.NDArray[np.int32]
    rating: npt.NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.rating)


class Batches(NamedTuple):
    """All batches of one epoch as tensors.

    user_index, item_index: (n_steps, batch_size) int32      rating: (n_steps, batch_size) float32
    n_ratings: () int32; entries behind that many are padding and weigh 0
    """

    user_index: tf.Tensor
    item_index: tf.Tensor
    rating: tf.Tensor
    n_ratings: tf.Tensor


def shuffle_batches(ratings: Ratings, batch_size: int, random_seed: int, epoch: int) -> Batches:
    """Every rating once, shuffled; epochs count from 1."""
    n_ratings = len(ratings)
    n_steps = -(-n_ratings // batch_size)
    order = np.random.default_rng((random_seed, epoch)).permutation(n_ratings)
    # Padding repeats the last rating: its rows are touched in that batch anyway, and with weight 0 it adds
    # nothing to their gradients. Any other row would be moved by its optimizer state.
    order = np.append(order, np.repeat(order[-1:], n_steps * batch_size - n_ratings))
    shape = (n_steps, batch_size)
    return Batches(
        user_index=tf.constant(ratings.user_index[order].reshape(shape), tf.int32),
        item_index=tf.constant(ratings.item_index[order].reshape(shape), tf.int32),
        rating=tf.constant(ratings.rating[order].reshape(shape), tf.float32),
        n_ratings=tf.constant(n_ratings, tf.int32),
    )
