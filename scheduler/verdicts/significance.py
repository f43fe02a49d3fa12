"""How sure a difference is: its interval, its p-value, and both for many differences at once."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.special

from scheduler.verdicts.measures import Float64s
from scheduler.verdicts.resampling import Estimate

# Of all intervals of one sweep together.
ERROR_RATE = 0.05
# A bootstrap over fewer users says next to nothing, and a resample of them may be empty.
FEWEST_USERS = 10


@dataclass(frozen=True)
class Difference:
    """The first minus the second, how far off it may be, and the degrees of freedom of that estimate."""

    value: float
    standard_error: float
    degrees_of_freedom: float

    @property
    def p_value(self) -> float:
        """Of no difference, two-sided, by Student's t."""
        if self.standard_error == 0:
            return float(self.value == 0)
        t = abs(self.value) / self.standard_error
        return float(2 * scipy.special.stdtr(self.degrees_of_freedom, -t))

    def half_width(self, error_rate: float = ERROR_RATE) -> float:
        """Half of the interval around `value` that misses the truth with this probability."""
        if self.standard_error == 0:
            return 0.0
        return float(scipy.special.stdtrit(self.degrees_of_freedom, 1 - error_rate / 2) * self.standard_error)


def difference(first: Sequence[Estimate], second: Sequence[Estimate]) -> Difference:
    """Of the mean over its random seeds of one configuration and that of another; one estimate a seed.

    The standard error over users is that of the resamples, which are paired; for the random seeds the
    variance of the mean of each configuration with several is added. The interval is Student's t with that
    standard error (Efron, Tibshirani 1993, An introduction to the bootstrap, 12.4), and with the degrees of
    freedom of a sum of variances by Welch and Satterthwaite. Of a configuration with one seed it is said how
    that one model compares, not the next one of the same configuration.
    """
    n_users = first[0].n_users
    again = _mean_of([one.resampled for one in first]) - _mean_of([one.resampled for one in second])
    # Resampling n of n makes the variance of a mean (n - 1)/n of what it is.
    variances = [(float(np.nanvar(again, ddof=1)) * n_users / (n_users - 1), n_users - 1)]
    for seeds in (first, second):
        if len(seeds) > 1:
            of_mean = float(np.var([one.value for one in seeds], ddof=1)) / len(seeds)
            variances.append((of_mean, len(seeds) - 1))
    variance = sum(part for part, _ in variances)
    spread = sum(part**2 / freedom for part, freedom in variances)
    value = float(np.mean([one.value for one in first]) - np.mean([one.value for one in second]))
    return Difference(value, float(np.sqrt(variance)), variance**2 / spread if spread else n_users - 1)


def holm(p_values: Sequence[float], error_rate: float = ERROR_RATE) -> tuple[list[float], list[float]]:
    """p-values adjusted for their number, and the error rate of the interval that agrees with each.

    Holm 1979, A simple sequentially rejective multiple test procedure: the i-th smallest of m is multiplied
    by m - i + 1, and no adjusted value is below that of a smaller one. The first one that is not significant
    ends the procedure; it and all larger ones get its error rate, the others error_rate / (m - i + 1). So an
    interval contains 0 exactly where the adjusted p-value is above `error_rate`.
    """
    n = len(p_values)
    adjusted, rates = [1.0] * n, [error_rate] * n
    so_far, rate, has_ended = 0.0, error_rate, False
    for place, index in enumerate(np.argsort(p_values, kind="stable").tolist()):
        so_far = max(so_far, min(1.0, (n - place) * p_values[index]))
        if not has_ended:
            rate = error_rate / (n - place)
            has_ended = so_far > error_rate
        adjusted[index], rates[index] = so_far, rate
    return adjusted, rates


def bonferroni(
    p_values: Sequence[float], n_comparisons: int, error_rate: float = ERROR_RATE
) -> tuple[list[float], list[float]]:
    """p-values adjusted for `n_comparisons`, of which these are some, and the error rate of their intervals.

    Holds whichever of the comparisons were picked, and however: for the pairs of n trials, also for those of
    the trial that looks best with the others.
    """
    adjusted = [min(1.0, n_comparisons * one) for one in p_values]
    return adjusted, [error_rate / n_comparisons for _ in p_values]


def _mean_of(arrays: Sequence[Float64s]) -> Float64s:
    return np.asarray(np.mean(arrays, axis=0))
