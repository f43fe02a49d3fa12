"""What item-item models and weighted least squares see of a rating."""

import numpy as np
import numpy.typing as npt
import scipy.sparse

from shared.domain.families.ease import Input
from worker.families.contract import FitData


def input_matrix(data: FitData, kind: Input) -> scipy.sparse.csr_matrix:
    """(n_users, n_items) CSR float32: the training ratings as input values; those of 0 are left out."""
    matrix = data.by_user.copy()
    matrix.data = input_values(matrix.data, data, kind)
    matrix.eliminate_zeros()
    return matrix


def input_values(ratings: npt.NDArray[np.float32], data: FitData, kind: Input) -> npt.NDArray[np.float32]:
    """ "stars": shares of the largest rating, on a scale from 0 where ratings may be 0 or less; "ones": 1;
    "from_threshold": 1 for those that count as liked, else 0.
    """
    smallest, largest = data.rating_range
    if kind == "ones":
        return np.ones(len(ratings), np.float32)
    if kind == "from_threshold":
        return (ratings >= data.relevance_threshold).astype(np.float32)
    if smallest > 0:
        return (ratings / np.float32(largest)).astype(np.float32)
    # The least liked still was chosen: it keeps a small share.
    width = max(largest - smallest, 1e-30)
    return ((ratings - smallest + 0.25 * width) / (1.25 * width)).astype(np.float32)
