"""Losses of a batch of rows against all columns, (batch, n_columns) -> (batch,); each sums over columns."""

import tensorflow as tf


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
