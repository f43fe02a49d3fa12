"""Unrated items drawn at random for rated pairs, by random seed and step."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from worker.observations import Observations


class KnownItems(NamedTuple):
    """Which items each user has rated in training.

    starts: (n_users + 1,) int32
    items: (n_ratings,) int32, those of user u ascending at starts[u]:starts[u + 1]
    n_items: () int32, the catalogue      n_halvings: () int32, so often the longest list can be halved
    """

    starts: tf.Tensor
    items: tf.Tensor
    n_items: tf.Tensor
    n_halvings: tf.Tensor


def known_items(train: Observations, n_users: int, n_items: int) -> KnownItems:
    """Of these ratings."""
    order = np.lexsort((train.item_index, train.user_index))
    counts = np.bincount(train.user_index, minlength=n_users)
    starts = np.concatenate(([0], np.cumsum(counts)))
    longest = int(counts.max(initial=0))
    return KnownItems(
        tf.constant(starts, tf.int32),
        tf.constant(train.item_index[order], tf.int32),
        tf.constant(n_items, tf.int32),
        tf.constant(longest.bit_length(), tf.int32),
    )


def draw_items(
    known: KnownItems, user_index: tf.Tensor, item_index: tf.Tensor, n_negatives: int, seed: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Items for the pairs (n_pairs,), and 1 where the user has not rated them: (n_negatives, n_pairs) each.

    Uniform over the catalogue, by `seed` (2,) int32. Where a draw hits what the user has rated, it counts 0
    and names the pair's own item: a row that is touched anyway, and moves as if nothing had been drawn.
    """
    shape = (n_negatives, user_index.shape[0])
    drawn = tf.random.stateless_uniform(shape, seed, 0, known.n_items, tf.int32)
    is_rated = _is_known(known, tf.broadcast_to(user_index, shape), drawn)
    items = tf.where(is_rated, tf.broadcast_to(item_index, shape), drawn)
    return items, tf.cast(~is_rated, tf.float32)


def _is_known(known: KnownItems, user_index: tf.Tensor, item_index: tf.Tensor) -> tf.Tensor:
    """By halving each user's list until the first item that is not smaller is found."""
    last = tf.maximum(tf.shape(known.items)[0] - 1, 0)

    def halve(number: tf.Tensor, low: tf.Tensor, high: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        middle = (low + high) // 2
        is_smaller = (tf.gather(known.items, tf.minimum(middle, last)) < item_index) & (low < high)
        return number + 1, tf.where(is_smaller, middle + 1, low), tf.where(is_smaller, high, middle)

    start, end = tf.gather(known.starts, user_index), tf.gather(known.starts, user_index + 1)
    _, place, _ = tf.while_loop(
        lambda number, *_: number < known.n_halvings, halve, (tf.constant(0), start, end)
    )
    return (place < end) & (tf.gather(known.items, tf.minimum(place, last)) == item_index)


@dataclass(frozen=True, eq=False)
class JudgedPairs:
    """Ratings to judge by, and unrated items drawn for each, (n_negatives, n_ratings).

    counts: 1 where what was drawn has no training rating, else 0
    """

    ratings: Observations
    drawn: npt.NDArray[np.int32]
    counts: npt.NDArray[np.float32]


def draw_to_judge(
    train: Observations, ratings: Observations, n_items: int, n_negatives: int, random_seed: int
) -> JudgedPairs:
    """Uniform over the catalogue, the same for all epochs of a training."""
    generator = np.random.default_rng((random_seed, 0))
    drawn = generator.integers(0, n_items, (n_negatives, len(ratings)), np.int32)
    keys = np.sort(train.user_index.astype(np.int64) * n_items + train.item_index)
    wanted = ratings.user_index.astype(np.int64) * n_items + drawn
    is_rated = keys[np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)] == wanted
    return JudgedPairs(ratings, drawn, (~is_rated).astype(np.float32))
