"""The paired bootstrap over users: every trial is measured again on the same resamples of the users.

A resample gives each user a weight drawn from the Poisson distribution with mean 1, which for many users is
drawing as many users with replacement (Hanley, MacGibbon 2006, Creating non-parametric bootstrap samples
using Poisson frequencies), and needs no more of the users at a time than some.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from scheduler.verdicts.measures import Float64s, Measure

N_RESAMPLES = 2_000
# Weights held at a time: users x resamples, 16 MB.
_USERS_AT_ONCE = 1_024
# Numbers of users held at a time: 128 MB.
_NUMBERS_AT_ONCE = 2**24
_SEED = 20


@dataclass(frozen=True, eq=False)
class Estimate:
    """A metric of one trial over `n_users` users, and on every resample of them, (N_RESAMPLES,).

    NaN for an empty resample.
    """

    value: float
    resampled: Float64s
    n_users: int


def trials_at_once(n_users: int) -> int:
    """How many trials may be given to `estimate` in one call: its memory is bounded then."""
    return max(1, _NUMBERS_AT_ONCE // max(1, n_users))


def estimate(measure: Measure, numerators: Float64s, denominator: Float64s) -> list[Estimate]:
    """One estimate a trial; always on the same resamples, whatever is estimated together.

    numerators: (n_trials, n_users), those of the same users in the same order      denominator: (n_users,)
    """
    n_users = len(denominator)
    sums = np.vstack([numerators, denominator])
    resampled = np.zeros((len(sums), N_RESAMPLES))
    for first, weights in _weights(n_users):
        resampled += sums[:, first : first + len(weights)] @ weights
    values = measure.of_sums(sums[:-1].sum(axis=1), sums[-1].sum())
    # A resample of few users may be empty.
    with np.errstate(invalid="ignore"):
        again = measure.of_sums(resampled[:-1], resampled[-1])
    return [Estimate(float(value), one, n_users) for value, one in zip(values, again, strict=True)]


def _weights(n_users: int) -> Iterator[tuple[int, Float64s]]:
    """The first user and the weights, (some users, N_RESAMPLES), of one block of users after another."""
    random, weight_of = np.random.default_rng(_SEED), _poisson_by_place()
    for first in range(0, n_users, _USERS_AT_ONCE):
        n_block = min(_USERS_AT_ONCE, n_users - first)
        yield first, weight_of[random.integers(0, len(weight_of), (n_block, N_RESAMPLES), np.uint16)]


def _poisson_by_place() -> Float64s:
    """Weights of 2^16 equally likely places, by inversion: mean 1, variance 1 but for 3e-5.

    Looking a weight up takes a fifth of the time of drawing it, which is most of the time of a verdict.
    """
    n_places = 2**16
    density = [math.exp(-1) / math.factorial(count) for count in range(12)]
    places = (np.arange(n_places) + 0.5) / n_places
    return np.searchsorted(np.cumsum(density), places).astype(np.float64)
