"""Adam at the cost of the batch's rows; idle rows are caught up within 2e-5 of the dense movement."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from shared.domain.training import TrainingConfig
from worker.engine.optimizers import BETA_1, BETA_2, EPSILON, Adamax, Optimizer, Sgd, Slots

# From this step on the bias correction is 1 in float32: 0.999 ** 32768 / 2 < 2 ** -26.
_CORRECTED_STEPS = 1 << 15
_RATIO_FAR_ABOVE = BETA_1 / BETA_2**0.5
_RATIO_FAR_BELOW = BETA_1


@dataclass(frozen=True)
class Adam:
    """Kingma and Ba, 2015, algorithm 1, in Keras' order of operations.

    m <- b1 m + (1 - b1) g;  v <- b2 v + (1 - b2) g^2;  theta <- theta - a(t) m / (sqrt(v) + eps),
    a(t) = lr sqrt(1 - b2^t) / (1 - b1^t)

    The dense optimizer moves every row at every step. Here a row is caught up with the steps it missed when
    it is next used. The k steps without gradient after step s move theta by
    m sum_j a(s+j) b1^j / (sqrt(v) b2^(j/2) + eps), j = 1..k. With sqrt(v) far above eps that is
    A m / (sqrt(v) + eps), A = sum_j a(s+j) (b1 / sqrt(b2))^j; far below, it is the same with
    B = sum_j a(s+j) b1^j. In between it depends on q = sqrt(v) / (sqrt(v) + eps), almost linearly:
    B + q (A - B) is exact at both ends and within 2e-5 of the movement everywhere: close to the dense
    optimizer, not equal to it.

    A and B include every bias correction on the way. They are differences of infinite sums that satisfy
    T(s) = ratio (a(s+1) + T(s+1)): sum_j=1..k a(s+j) ratio^j = T(s) - ratio^k T(s+k).
    """

    learning_rate: float
    n_moments = 2
    moves_idle_rows = True

    def update(self, slots: Slots, gradient: tf.Tensor, step: tf.Tensor) -> Slots:
        """One step with a gradient."""
        parameter, mean, square = slots
        mean = mean + (gradient - mean) * (1 - BETA_1)
        square = square + (tf.square(gradient) - square) * (1 - BETA_2)
        rate = tf.cast(_look_up(self._rates, step), tf.float32)
        return parameter - rate * mean / (tf.sqrt(square) + EPSILON), mean, square

    def catch_up(self, slots: Slots, last_step: tf.Tensor, step: tf.Tensor) -> Slots:
        """All steps after `last_step` up to `step`, without gradients."""
        parameter, mean, square = slots
        n_missed = tf.cast(step - last_step, tf.float64)

        def summed_rates(tails: npt.NDArray[np.float64], ratio: float) -> tf.Tensor:
            return _column(_look_up(tails, last_step) - _power(ratio, n_missed) * _look_up(tails, step))

        far_above = summed_rates(self._tails_far_above, _RATIO_FAR_ABOVE)
        far_below = summed_rates(self._tails_far_below, _RATIO_FAR_BELOW)
        root = tf.sqrt(square)
        share = root / (root + EPSILON)
        rate = far_below + share * (far_above - far_below)
        return (
            parameter - rate * mean / (root + EPSILON),
            mean * _column(_power(BETA_1, n_missed)),
            square * _column(_power(BETA_2, n_missed)),
        )

    @cached_property
    def _rates(self) -> npt.NDArray[np.float64]:
        """a(t) for every t below `_CORRECTED_STEPS`; a(0) is never used."""
        steps = np.maximum(np.arange(_CORRECTED_STEPS), 1).astype(np.float64)
        rates: npt.NDArray[np.float64] = self.learning_rate * np.sqrt(1 - BETA_2**steps) / (1 - BETA_1**steps)
        return rates

    @cached_property
    def _tails_far_above(self) -> npt.NDArray[np.float64]:
        return _tails(self._rates, _RATIO_FAR_ABOVE)

    @cached_property
    def _tails_far_below(self) -> npt.NDArray[np.float64]:
        return _tails(self._rates, _RATIO_FAR_BELOW)


def make_optimizer(training: TrainingConfig) -> Optimizer:
    """That of the settings, with the full learning rate."""
    match training.optimizer:
        case "adamax":
            return Adamax(training.learning_rate)
        case "adam":
            return Adam(training.learning_rate)
        case "sgd":
            return Sgd(training.learning_rate)


def _tails(rates: npt.NDArray[np.float64], ratio: float) -> npt.NDArray[np.float64]:
    """T(s) for every s, from the far end, behind which the rate is constant."""
    tails = np.empty_like(rates)
    tails[-1] = rates[-1] * ratio / (1 - ratio)
    for step in range(len(rates) - 2, -1, -1):
        tails[step] = ratio * (rates[step + 1] + tails[step + 1])
    return tails


def _look_up(table: npt.NDArray[np.float64], step: tf.Tensor) -> tf.Tensor:
    return tf.gather(tf.constant(table), tf.minimum(step, len(table) - 1))


def _power(base: float, exponent: tf.Tensor) -> tf.Tensor:
    return tf.exp(np.log(base) * exponent)


def _column(values: tf.Tensor) -> tf.Tensor:
    return tf.cast(values, tf.float32)[:, tf.newaxis]
