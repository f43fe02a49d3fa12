"""The loops of the sampler, compiled. They run without the interpreter's lock, on one thread."""

from collections.abc import Callable
from typing import TypeVar, cast

import numba
import numpy as np
import numpy.typing as npt

Float32s = npt.NDArray[np.float32]
Float64s = npt.NDArray[np.float64]
Int32s = npt.NDArray[np.int32]
Int64s = npt.NDArray[np.int64]

_F = TypeVar("_F", bound=Callable[..., object])
# Ratings that one matrix product takes: in single precision sums stay this short, and in the caches.
_TILE = 256


def _compiled(function: _F) -> _F:
    """Sums may be reordered; NaN and infinity keep their meaning: a failed decomposition shows by them."""
    return cast(_F, numba.njit(nogil=True, cache=True, fastmath={"reassoc", "contract", "nsz"})(function))


@_compiled
def sample_rows(  # noqa: PLR0917  Compiled functions are called by place: names cost time a call.
    first: int,
    stop: int,
    starts: Int64s,
    columns: Int32s,
    ratings: Float32s,
    others: Float32s,
    prior_mean: Float32s,
    prior_precision: Float64s,
    noise_precision: float,
    noise: Float32s,
    samples: Float32s,
    means: Float32s,
) -> bool:
    """Draw rows first to stop - 1 of `samples`, and put their conditional means into `means`.

    Row r has the ratings[starts[r]:starts[r + 1]] of `columns`, rows of `others`; a row of either side is the
    factors, then the bias. With x = (factors of the other, 1) and y = rating - bias of the other, noise
    precision τ: precision A = Λ + τ Σ x xᵀ, mean A⁻¹ (Λ m + τ Σ x y) (Salakhutdinov, Mnih 2008, 3.3).
    A = C Cᵀ; the sample is the mean plus C⁻ᵀ times standard normal `noise`. False when some A is not positive
    definite.
    """
    n = others.shape[1]
    tile, gram = np.empty((_TILE, n + 1), np.float32), np.empty((n + 1, n + 1), np.float32)
    lower, inverse = np.empty((n, n)), np.empty(n)
    mean, sample = np.empty(n), np.empty(n)
    for row in range(first, stop):
        for a in range(n):
            total = 0.0
            for b in range(n):
                lower[a, b] = prior_precision[a, b]
                total += prior_precision[a, b] * prior_mean[row, b]
            mean[a] = total
        for at in range(starts[row], starts[row + 1], _TILE):
            n_tile = min(_TILE, starts[row + 1] - at)
            _gather(columns[at : at + n_tile], ratings[at : at + n_tile], others, tile)
            # One product gives Σ x xᵀ and, in its last row, Σ x y.
            np.dot(tile[:n_tile].T, tile[:n_tile], gram)
            for a in range(n):
                for b in range(a + 1):
                    lower[a, b] += noise_precision * gram[a, b]
                mean[a] += noise_precision * gram[n, a]
        if not _decompose(lower, inverse):
            return False
        for a in range(n):
            total = mean[a]
            for b in range(a):
                total -= lower[a, b] * mean[b]
            mean[a] = total * inverse[a]
            sample[a] = mean[a] + noise[row, a]
        for a in range(n - 1, -1, -1):
            mean[a] *= inverse[a]
            sample[a] *= inverse[a]
            for b in range(a):
                mean[b] -= lower[a, b] * mean[a]
                sample[b] -= lower[a, b] * sample[a]
        means[row], samples[row] = mean, sample
    return True


@_compiled
def _gather(columns: Int32s, ratings: Float32s, others: Float32s, tile: Float32s) -> None:
    """Rows of `tile`: x, then y, as in `sample_rows`."""
    n = others.shape[1]
    for k in range(len(columns)):
        other = columns[k]
        for a in range(n - 1):
            tile[k, a] = others[other, a]
        tile[k, n - 1] = 1
        tile[k, n] = ratings[k] - others[other, n - 1]


@_compiled
def _decompose(lower: Float64s, inverse: Float64s) -> bool:
    """Cholesky's decomposition of the lower triangle in place, and the inverse of its diagonal."""
    for a in range(len(lower)):
        for b in range(a):
            total = lower[a, b]
            for k in range(b):
                total -= lower[a, k] * lower[b, k]
            lower[a, b] = total * inverse[b]
        total = lower[a, a]
        for k in range(a):
            total -= lower[a, k] * lower[a, k]
        if not total > 0:
            return False
        lower[a, a] = np.sqrt(total)
        inverse[a] = 1 / lower[a, a]
    return True


@_compiled
def sample_coefficients(  # noqa: PLR0917  As above.
    first: int,
    stop: int,
    starts: Int64s,
    rows: Int32s,
    values: Float32s,
    is_by_row: bool,
    prior_precision: float,
    precisions: Float32s,
    noise: Float32s,
    residuals: Float32s,
    coefficients: Float32s,
) -> None:
    """Draw the coefficients of features first to stop - 1, each a block, and keep `residuals` in step.

    Feature j is not zero in `rows`[starts[j]:starts[j + 1]]; its value x is there in `values`, or in
    `values`[row] when `is_by_row`. Residuals have a diagonal precision Λ (`precisions`: their basis is that
    of its eigenvectors). Given the other coefficients, with t = Σ x (residual + x β) over its rows, β has
    precision P = Λ Σ x² + `prior_precision` and mean Λ t / P: as in Macau (Simm et al. 2015), with a prior
    that does not scale with Λ, and one feature after the other instead of a system of them all.
    """
    n = residuals.shape[1]
    step = np.empty(n, np.float32)
    for feature in range(first, stop):
        squares = np.float32(0)
        for a in range(n):
            step[a] = 0
        for k in range(starts[feature], starts[feature + 1]):
            row = rows[k]
            value = values[row] if is_by_row else values[k]
            squares += value * value
            for a in range(n):
                step[a] += value * residuals[row, a]
        for a in range(n):
            old = coefficients[feature, a]
            precision = squares * precisions[a] + prior_precision
            mean = precisions[a] * (step[a] + squares * old) / precision
            new = np.float32(mean + noise[feature, a] / np.sqrt(precision))
            coefficients[feature, a] = new
            step[a] = new - old
        for k in range(starts[feature], starts[feature + 1]):
            row = rows[k]
            value = values[row] if is_by_row else values[k]
            for a in range(n):
                residuals[row, a] -= value * step[a]


@_compiled
def group_by_row(
    rows: Int32s, columns: Int32s, values: Float32s, n_rows: int
) -> tuple[Int64s, Int32s, Float32s]:
    """Starts, columns and values of each row, in the order given: a counting sort, duplicates are kept."""
    starts = np.zeros(n_rows + 1, np.int64)
    for row in rows:
        starts[row + 1] += 1
    for row in range(n_rows):
        starts[row + 1] += starts[row]
    ends = starts[:-1].copy()
    grouped_columns, grouped_values = np.empty_like(columns), np.empty_like(values)
    for k in range(len(rows)):
        place = ends[rows[k]]
        grouped_columns[place], grouped_values[place] = columns[k], values[k]
        ends[rows[k]] += 1
    return starts, grouped_columns, grouped_values


@_compiled
def sum_squared_errors(
    starts: Int64s, columns: Int32s, ratings: Float32s, samples: Float32s, others: Float32s
) -> float:
    """Σ (rating - prediction)² over the ratings of one side's rows."""
    n = samples.shape[1] - 1
    result = 0.0
    for row in range(len(starts) - 1):
        for k in range(starts[row], starts[row + 1]):
            other = columns[k]
            error = ratings[k] - samples[row, n] - others[other, n]
            for a in range(n):
                error -= samples[row, a] * others[other, a]
            result += np.float64(error) * error
    return result


@_compiled
def predict_pairs(user_index: Int32s, item_index: Int32s, users: Float32s, items: Float32s) -> Float64s:
    """Predictions of n pairs, (n,), standardised."""
    n = users.shape[1] - 1
    result = np.empty(len(user_index))
    for k in range(len(user_index)):
        user, item = user_index[k], item_index[k]
        total = np.float32(users[user, n] + items[item, n])
        for a in range(n):
            total += users[user, a] * items[item, a]
        result[k] = total
    return result
