"""Losses: of pairs, rated ones with the unrated that were drawn for them, and of rows against all columns.

The functions are of a batch of rows, (batch, n_columns) -> (batch,); each sums over columns.
"""

from dataclasses import dataclass
from typing import Literal

import tensorflow as tf


@dataclass(frozen=True)
class PairLoss:
    """The formulas are those of shared/domain/families/pairs.py. n_negatives: drawn for each rating, or 0."""

    name: Literal["squared_error", "squared_error_with_zeros", "bce", "bpr"] = "squared_error"
    n_negatives: int = 0
    zero_weight: float = 1.0

    def of_outputs(self, outputs: tf.Tensor, rating: tf.Tensor) -> tf.Tensor:
        """(n_pairs,) of (n_pairs, n_outputs) and ratings (n_pairs,): only "squared_error" sees outputs."""
        return tf.reduce_mean(tf.square(outputs - rating[:, tf.newaxis]), axis=1)

    def of_scores(
        self, rated: tf.Tensor, unrated: tf.Tensor, target: tf.Tensor, counts: tf.Tensor
    ) -> tf.Tensor:
        """(n_pairs,) of the scores of the rated (n_pairs,) and of those drawn, (n_negatives, n_pairs).

        target: (n_pairs,), what a rating is worth      counts: as `unrated`, 0 where what was drawn is rated
        """
        match self.name:
            case "squared_error":
                raise ValueError("squared_error looks at outputs, and at rated pairs alone")
            case "squared_error_with_zeros":
                zeros = tf.reduce_sum(counts * tf.square(unrated), axis=0)
                return tf.square(rated - target) + self.zero_weight * zeros
            case "bce":
                zeros = tf.reduce_sum(counts * tf.nn.softplus(unrated), axis=0)
                return tf.nn.softplus(rated) - target * rated + self.zero_weight * zeros
            case "bpr":
                order = tf.reduce_sum(counts * tf.nn.softplus(unrated - rated), axis=0)
                return target * order / self.n_negatives


def softmax_loss(logits: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
    """-Σ_i t_i log softmax(s)_i, the multinomial log likelihood; targets may be graded.

    Liang et al. 2018, Variational autoencoders for collaborative filtering, eq. 2.
    """
    n_targets = tf.reduce_sum(targets, 1)
    return n_targets * tf.reduce_logsumexp(logits, 1) - tf.reduce_sum(targets * logits, 1)


def squared_error_of_rated(outputs: tf.Tensor, targets: tf.Tensor, is_rated: tf.Tensor) -> tf.Tensor:
    """Σ over rated columns of (t - s)². is_rated: 1 or 0."""
    return tf.reduce_sum(is_rated * tf.square(targets - outputs), 1)


def squared_error_with_zeros(
    outputs: tf.Tensor, targets: tf.Tensor, is_rated: tf.Tensor, zero_weight: float
) -> tf.Tensor:
    """Σ over rated columns of (t - s)² + zero_weight Σ over all others of s²; targets are 0 there."""
    weights = zero_weight + (1 - zero_weight) * is_rated
    return tf.reduce_sum(weights * tf.square(targets - outputs), 1)


def cross_entropy_with_zeros(
    logits: tf.Tensor, targets: tf.Tensor, is_rated: tf.Tensor, zero_weight: float
) -> tf.Tensor:
    """-Σ over rated columns of t log p + (1 - t) log (1 - p), and zero_weight times that of the others.

    p = 1 / (1 + exp(-s)) with the logits s. Targets are in [0, 1], and 0 where nothing is rated.
    """
    weights = zero_weight + (1 - zero_weight) * is_rated
    losses = tf.nn.sigmoid_cross_entropy_with_logits(labels=targets, logits=logits)
    return tf.reduce_sum(weights * losses, 1)


def bpr_loss(scores: tf.Tensor, weights: tf.Tensor, is_rated: tf.Tensor, shifts: tf.Tensor) -> tf.Tensor:
    """-Σ over rated columns i of w_i log sigmoid(s_i - s_j), mean over drawn unrated columns j.

    For each of `shifts`, (n,) int32, j is that many columns before i, around the end: uniform, if the shift
    is, and without a gather of single numbers. A j that is rated does not count.
    Rendle et al. 2009, BPR: Bayesian personalized ranking from implicit feedback, 4.1.
    """
    losses = []
    for shift in tf.unstack(shifts):
        negatives, is_known = (tf.roll(one, shift, axis=1) for one in (scores, is_rated))
        losses.append(tf.reduce_sum(weights * (1 - is_known) * tf.nn.softplus(negatives - scores), 1))
    return tf.add_n(losses) / len(losses)
