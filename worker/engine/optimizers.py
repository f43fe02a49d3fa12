"""Optimizers that touch only the rows of the batch; formulas, defaults and names as in Keras."""

import typing
from collections.abc import Sequence
from dataclasses import dataclass

import tensorflow as tf

# A parameter with its moments, all of one shape.
Slots = tuple[tf.Tensor, ...]

BETA_1 = 0.9
BETA_2 = 0.999
EPSILON = 1e-7


class Optimizer(typing.Protocol):
    """How a parameter follows its gradient. Steps count from 1."""

    def __hash__(self) -> int:
        """Equal optimizers share compiled functions."""

    @property
    def n_moments(self) -> int:
        """Arrays kept beside each parameter; they start as zeros."""

    @property
    def moves_idle_rows(self) -> bool:
        """Whether a row also moves at steps that do not touch it."""

    def update(self, slots: Slots, gradient: tf.Tensor, step: tf.Tensor) -> Slots:
        """Parameter and moments after step number `step`, () int32."""

    def catch_up(self, slots: Slots, last_step: tf.Tensor, step: tf.Tensor) -> Slots:
        """Rows last updated at `last_step`, (n_rows,) int32, as they stand after `step` without gradients."""


class _StillRows:
    """Rows without a gradient stay as they are."""

    moves_idle_rows = False

    def catch_up(self, slots: Slots, last_step: tf.Tensor, step: tf.Tensor) -> Slots:
        """The rows unchanged."""
        del last_step, step
        return slots


@dataclass(frozen=True)
class Sgd(_StillRows):
    """theta <- theta - lr g."""

    learning_rate: float
    n_moments = 0

    def update(self, slots: Slots, gradient: tf.Tensor, step: tf.Tensor) -> Slots:
        """One step."""
        del step
        (parameter,) = slots
        return (parameter - self.learning_rate * gradient,)


@dataclass(frozen=True)
class Adamax(_StillRows):
    """Kingma and Ba, 2015, algorithm 2, on the rows of the batch only; sparse as in Keras 2.

    m <- b1 m + (1 - b1) g;  v <- max(b2 v, |g|);  theta <- theta - lr / (1 - b1^t) m / (v + eps)
    """

    learning_rate: float
    n_moments = 2

    def update(self, slots: Slots, gradient: tf.Tensor, step: tf.Tensor) -> Slots:
        """One step."""
        parameter, mean, largest = slots
        mean = BETA_1 * mean + (1 - BETA_1) * gradient
        largest = tf.maximum(BETA_2 * largest, tf.abs(gradient))
        rate = self.learning_rate / (1 - BETA_1 ** tf.cast(step, tf.float32))
        return parameter - rate * mean / (largest + EPSILON), mean, largest


def join_slots(slots: Sequence[tf.Tensor]) -> tf.Tensor:
    """(n_rows, width) each -> (n_rows, n_slots * width): one gather and one scatter move all of them."""
    return tf.concat(slots, axis=1)


def split_slots(rows: tf.Tensor, n_slots: int) -> Slots:
    """Undo `join_slots`."""
    return tuple(tf.split(rows, n_slots, axis=1))
