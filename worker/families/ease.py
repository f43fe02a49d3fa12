"""EASE, in closed form: one inverse of the items' Gram matrix.

Steck 2019, Embarrassingly shallow autoencoders for sparse data, eq. 8; with dropout, Steck 2020, Autoencoders
that don't overfit towards the identity (EDLAE), eq. 6.
"""

import numpy as np
import scipy.sparse
from scipy.linalg import lapack

from shared.domain.families.ease import Ease
from shared.domain.training import TrainingConfig
from shared.errors import TrialError
from worker.families.contract import FitContext, FitData, Fitted, Weights
from worker.families.history import input_matrix
from worker.process.memory import available_memory_bytes
from worker.ranking.item_item import ItemItemScorer
from worker.ranking.scorers import Float32s, Float64s, Scorer

# The Gram matrix, which becomes the inverse, and the weights made of it, float32; room for copies beside.
_MATRICES = 3


def fit(architecture: Ease, training: TrainingConfig | None, data: FitData, context: FitContext) -> Fitted:
    """Weights minimising Σ users (activity^-user_weight |x - x B|²) + l2 |B|² with a zero diagonal.

    Items without training ratings have no weights: they score 0. Raises TrialError "out_of_memory" with the
    number of bytes when items squared do not fit.
    """
    del training
    require_memory(data.n_items)
    history = input_matrix(data, architecture.input)
    activity = np.diff(history.indptr).astype(np.float64)
    popularity = np.bincount(history.indices, minlength=data.n_items).astype(np.float64)
    rows = _share_of_mean(activity) ** (-architecture.user_weight / 2)
    scale = _share_of_mean(popularity) ** architecture.item_scaling
    scaled = scipy.sparse.diags(rows) @ history @ scipy.sparse.diags(1 / scale)
    scaled = scaled.tocsr().astype(np.float32)
    context.check_stop()
    gram = (scaled.T @ scaled).toarray(order="F")
    context.check_stop()
    diagonal = np.diag_indices(data.n_items)
    dropout = np.float32(architecture.dropout / (1 - architecture.dropout))
    gram[diagonal] += architecture.l2 + dropout * gram[diagonal]
    inverse = _invert(gram, data.n_items)
    context.check_stop()
    weights = inverse
    weights /= -np.diag(inverse).copy()
    weights[diagonal] = 0.0
    weights *= scale.astype(np.float32)
    weights /= scale.astype(np.float32)[:, None]
    return Fitted({"item_item": np.ascontiguousarray(weights)}, data.n_items * (data.n_items - 1))


def make_scorer(architecture: Ease, weights: Weights, data: FitData) -> Scorer:
    """What a user rated, times the weights."""
    return ItemItemScorer(input_matrix(data, architecture.input), weights["item_item"])


def require_memory(n_items: int) -> None:
    """Raise TrialError unless so many items squared fit into the memory that this process may still use."""
    needed = _MATRICES * 4 * n_items**2
    available = available_memory_bytes()
    if needed > available:
        raise TrialError(
            "out_of_memory",
            f"ease needs items squared: {n_items:,} items take {needed / 2**30:.1f} GiB, and this worker may "
            f"use {available / 2**30:.1f} GiB more; give it more memory, or take another family",
        )


def _invert(gram: Float32s, n_items: int) -> Float32s:
    """The inverse of a positive definite matrix, in its place: half the cost of a general one."""
    factor, problem = lapack.spotrf(gram, lower=1, overwrite_a=1)
    if problem == 0:
        inverse, problem = lapack.spotri(factor, lower=1, overwrite_c=1)
    if problem != 0:
        raise TrialError("not_finite_loss", "the Gram matrix of the items cannot be inverted: raise l2")
    # Only the lower triangle is right.
    rows, columns = np.tril_indices(n_items, -1)
    inverse[columns, rows] = inverse[rows, columns]
    return np.asarray(inverse)


def _share_of_mean(counts: Float64s) -> Float64s:
    """Counts by their mean; those of 0 count as 1, so that every power is finite."""
    positive = np.maximum(counts, 1.0)
    return np.asarray(positive / positive.mean())
