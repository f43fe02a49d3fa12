"""Losses of pairs: what a rated pair costs, with the unrated pairs that were drawn for it."""

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
