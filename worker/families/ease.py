"""EASE: an item-item matrix in closed form.

Steck 2019, Embarrassingly shallow autoencoders for sparse data, with `dropout` as in Steck 2020, Autoencoders
that don't overfit towards the identity (EDLAE).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numba
import numpy as np
import numpy.typing as npt
import scipy.sparse

from shared.domain.families.ease import Ease
from shared.errors import TrialError
from worker.families.contract import FitContext, FitData, Fitted, Weights
from worker.families.gram import Floats, upper_gram
from worker.families.inputs import InputRule
from worker.families.positive_definite import BLOCK_ROWS, invert_in_place
from worker.process.memory_room import memory_room_bytes
from worker.ranking.item_item import DenseItems, ItemItemScorer
from worker.ranking.scorers import UNIT_ROUNDOFF_32, Float64s

# Above this bound of the relative error the inverse is made in float64. The bound is reached where items were
# always rated together; on MovieLens 1M, where it is 1e-4 with l2 = 300 and 3e-2 with l2 = 1, the weights
# made in float32 differ by 4e-6 and 1e-5 from those in float64.
_LARGEST_ERROR = 1e-2
_TILE = 32


def fit(architecture: Ease, training: None, data: FitData, context: FitContext) -> Fitted:
    """Minimise Σ_u w_u |y_u - y_u C|² + Σ_ji (λ + p/(1-p) G_jj) C_ji² with C_ii = 0; weights B = S^-b C S^b.

    y: the input of a user divided by S^b; w_u: activity^-user_weight; S: popularity. Activity and popularity
    are numbers of inputs, as multiples of their mean; G = Σ_u w_u y_u y_uᵀ, λ = l2, p = dropout, b =
    item_scaling. Then C_ji = -P_ji / P_ii with P = (G + Λ)⁻¹.

    Items without input in training have no part in the matrix: they score 0. Raises TrialError
    "out_of_memory" before anything is made where the matrix cannot fit.
    """
    rated = InputRule.of(architecture.input, data).matrix(data.by_user)
    problem = _weigh(architecture, rated)
    dtype = _dtype(problem.matrix, architecture.l2)
    check_room(len(problem.items), rated.nnz, dtype, memory_room_bytes())
    gram = upper_gram(problem.matrix, dtype, context.check_stop)
    diagonal = gram.diagonal()
    gram[np.diag_indices_from(gram)] += (
        architecture.l2 + architecture.dropout / (1 - architecture.dropout) * diagonal
    )
    _invert(gram, context.check_stop)
    largest_ratios = -problem.scale / gram.diagonal()
    _finish(gram, (1 / problem.scale).astype(dtype), largest_ratios.astype(dtype))
    n_items = len(problem.items)
    weights = {"items": problem.items, "item_item": gram.astype(np.float32, copy=False)}
    return Fitted(weights, n_parameters=n_items * (n_items - 1))


def make_scorer(architecture: Ease, weights: Weights, data: FitData) -> ItemItemScorer:
    """Scores are the input of a user times the weights."""
    item_item = DenseItems(weights["item_item"].astype(np.float32, copy=False))
    return ItemItemScorer.of(
        InputRule.of(architecture.input, data),
        data.by_user,
        weights["items"].astype(np.int32, copy=False),
        item_item,
    )


def fit_bytes(n_items: int, n_inputs: int, dtype: npt.DTypeLike) -> int:
    """Peak memory of a fit beside its data: n_items² numbers, in float64 also their copy in float32, then the
    inputs in three orders and some blocks of rows."""
    size = np.dtype(dtype).itemsize
    squares = n_items**2 * (size if size == 4 else size + 4)
    return squares + n_inputs * 2 * (12 + size) + 4 * BLOCK_ROWS * n_items * size


def check_room(n_items: int, n_inputs: int, dtype: npt.DTypeLike, room_bytes: int) -> None:
    """Raise TrialError "out_of_memory" where a fit needs more than `room_bytes`."""
    needed = fit_bytes(n_items, n_inputs, dtype)
    if needed > room_bytes:
        raise TrialError(
            "out_of_memory",
            f"EASE keeps a number for every pair of items: {n_items:,} items with ratings need "
            f"{needed / 1e9:.1f} GB, this process may take {room_bytes / 1e9:.1f} GB more. Run fewer trials "
            "at once, give the worker more memory, or use item_knn or weighted_als, which need far less",
        )


@dataclass(frozen=True, eq=False)
class _Problem:
    """matrix: (n_users, n) float32, columns by popularity ascending; the square root of w_u times y_u.

    items: (n,) int32, the item of each column      scale: (n,) float64, S^b of each column
    """

    matrix: scipy.sparse.csr_matrix
    items: npt.NDArray[np.int32]
    scale: Float64s


def _weigh(architecture: Ease, rated: scipy.sparse.csr_matrix) -> _Problem:
    support = np.bincount(rated.indices, minlength=rated.shape[1])
    items = np.argsort(support, kind="stable")[len(support) - np.count_nonzero(support) :]
    place = np.zeros(rated.shape[1], rated.indices.dtype)
    place[items] = np.arange(len(items))
    activity = np.diff(rated.indptr)
    scale = _relative(support[items]) ** architecture.item_scaling
    user_weight = _relative(activity) ** (-architecture.user_weight / 2)
    columns = place[rated.indices]
    values = rated.data
    if architecture.item_scaling:
        values = values / scale.astype(np.float32)[columns]
    if architecture.user_weight:
        values = values * np.repeat(user_weight.astype(np.float32), activity)
    matrix = scipy.sparse.csr_matrix((values, columns, rated.indptr), (rated.shape[0], len(items)))
    return _Problem(matrix, items.astype(np.int32), scale)


def _relative(counts: npt.NDArray[np.integer]) -> Float64s:
    """As multiples of the mean of those that are not 0; 0 as 1, whatever it is a count of has no ratings."""
    n = np.maximum(counts, 1)
    return np.asarray(n / counts[counts > 0].mean()) if counts.any() else np.ones(len(counts))


def _dtype(matrix: scipy.sparse.csr_matrix, l2: float) -> npt.DTypeLike:
    """float32 where its error is small enough.

    The error grows with the largest over the smallest eigenvalue: at most 1 + |G| / l2, and |G| is at most
    the trace, and at most the largest sum of a row.
    """
    largest = float(np.vdot(matrix.data, matrix.data))
    if UNIT_ROUNDOFF_32 * (1 + largest / l2) > _LARGEST_ERROR:
        sizes = abs(matrix)
        largest = (sizes.T @ (sizes @ np.ones(matrix.shape[1]))).max()
    return np.float32 if UNIT_ROUNDOFF_32 * (1 + largest / l2) <= _LARGEST_ERROR else np.float64


def _invert(gram: Floats, check_stop: Callable[[], None]) -> None:
    try:
        invert_in_place(gram, check_stop)
    except np.linalg.LinAlgError as error:
        raise TrialError(
            "error", "EASE's matrix cannot be inverted: l2 is too small for these ratings; raise it"
        ) from error


@numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _finish(inverse: Floats, left: Floats, right: Floats) -> None:
    """P_ji · left_j · right_i off the diagonal and 0 on it, from the upper triangle of P, in tiles."""
    n = len(inverse)
    for top in range(0, n, _TILE):
        for beside in range(top, n, _TILE):
            for row in range(top, min(top + _TILE, n)):
                for column in range(max(beside, row + 1), min(beside + _TILE, n)):
                    entry = inverse[row, column]
                    inverse[row, column] = entry * left[row] * right[column]
                    inverse[column, row] = entry * left[column] * right[row]
    for row in range(n):
        inverse[row, row] = 0
