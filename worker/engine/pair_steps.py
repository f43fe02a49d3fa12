"""What a training step computes of its pairs: their losses, and the penalty of what scores them."""

from collections.abc import Sequence
from itertools import count
from typing import NamedTuple

import tensorflow as tf

from worker.engine.negatives import KnownItems, draw_items
from worker.engine.network import LeaveOut, Network

Rows = tuple[tf.Tensor, tf.Tensor]


class Surroundings(NamedTuple):
    """What steps look at and never change; () where a network has no use for it.

    seed: () int32, of everything drawn inside
    user_features, item_features: (n_users or n_item_rows, n_features) float32
    """

    seed: tf.Tensor
    known: KnownItems | tuple[()] = ()
    user_features: tf.Tensor = ()
    item_features: tf.Tensor = ()


class Pairs(NamedTuple):
    """The pairs of a step, or those that a model is judged by.

    user_index: (n_pairs,) int32      rating: (n_pairs,) float32, or what it is worth to the loss
    item_index: ((1 + n_negatives) n_pairs,) int32, the rated items first
    counts: (n_negatives, n_pairs) float32, see `draw_items`; () where nothing is drawn
    """

    user_index: tf.Tensor
    item_index: tf.Tensor
    rating: tf.Tensor
    counts: tf.Tensor = ()


def draw_pairs(network: Network, rated: Pairs, surroundings: Surroundings | None, step: tf.Tensor) -> Pairs:
    """The rated pairs, with the unrated ones that are drawn for them in this step."""
    n_negatives = network.loss.n_negatives
    if surroundings is None or not isinstance(surroundings.known, KnownItems):
        return rated
    seed = tf.stack([surroundings.seed, step])
    items, counts = draw_items(surroundings.known, rated.user_index, rated.item_index, n_negatives, seed)
    item_index = tf.concat([rated.item_index, tf.reshape(items, [-1])], axis=0)
    return rated._replace(item_index=item_index, counts=counts)


def losses_and_penalties(
    network: Network,
    dense: Sequence[tf.Tensor],
    rows: Rows,
    pairs: Pairs,
    *,
    surroundings: Surroundings | None,
    step: tf.Tensor,
) -> tuple[tf.Tensor, tf.Tensor]:
    """(n_pairs,) each, of this step; the penalties are 0 without l2.

    rows: of the users, (n_pairs, width), and of all items
    """
    if surroundings is None:
        return network.loss.of_outputs(network.forward(dense, *rows), pairs.rating), 0.0
    features = [
        tf.gather(table, index) if has_features else ()
        for table, index, has_features in zip(
            (surroundings.user_features, surroundings.item_features),
            (pairs.user_index, pairs.item_index),
            network.featured,
            strict=True,
        )
    ]
    leave_out = _make_dropout(network.dropout, surroundings.seed, step) if network.dropout else None
    whole = add_features(network, dense, rows, features)
    losses = losses_of_pairs(network, dense, whole, pairs, leave_out)
    return losses, network.l2 * _squares(network, rows) if network.l2 else 0.0


def losses_of_pairs(
    network: Network,
    dense: Sequence[tf.Tensor],
    rows: Rows,
    pairs: Pairs,
    leave_out: LeaveOut | None = None,
) -> tf.Tensor:
    """(n_pairs,) of rows that have their features."""
    head = dense[: network.n_head]
    if leave_out is None or network.noisy_forward is None:
        outputs = network.forward(head, *rows)
    else:
        outputs = network.noisy_forward(head, *rows, leave_out)
    if not network.loss.n_negatives:
        return network.loss.of_outputs(outputs, pairs.rating)
    scores = tf.reshape(tf.reduce_mean(outputs, axis=1), (1 + network.loss.n_negatives, -1))
    return network.loss.of_scores(scores[0], scores[1:], pairs.rating, pairs.counts)


def add_features(
    network: Network, dense: Sequence[tf.Tensor], rows: Rows, features: Sequence[tf.Tensor]
) -> Rows:
    """Rows of users and of items with their features, (n, n_features), times a kernel where there are any."""
    kernels = iter(dense[network.n_head :])
    users, items = (
        one + known @ next(kernels) if has_features else one
        for one, known, has_features in zip(rows, features, network.featured, strict=True)
    )
    return users, items


def _squares(network: Network, rows: Rows) -> tf.Tensor:
    """(n_pairs,): of the user's row, the item's, and the mean of those drawn."""
    of_users, of_items = (tf.reduce_sum(tf.square(one), axis=1) for one in rows)
    if network.loss.n_negatives:
        by_kind = tf.reshape(of_items, (1 + network.loss.n_negatives, -1))
        of_items = by_kind[0] + tf.reduce_mean(by_kind[1:], axis=0)
    return of_users + of_items


def _make_dropout(share: float, seed: tf.Tensor, step: tf.Tensor) -> LeaveOut:
    # Unrated items are drawn with the seed itself, and each call here with one of its own.
    numbers = count(1)

    def leave_out(values: tf.Tensor) -> tf.Tensor:
        draws = tf.random.stateless_uniform(tf.shape(values), tf.stack([seed + next(numbers), step]))
        return tf.where(draws < share, 0.0, values / (1.0 - share))

    return leave_out
