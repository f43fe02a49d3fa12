"""Products of the columns of a sparse matrix with each other, item by item, compiled."""

from collections.abc import Callable, Iterator

import numba
import numpy as np
import numpy.typing as npt
import scipy.sparse
from scipy.linalg import blas

from worker.ranking.scorers import Float64s

Floats = npt.NDArray[np.floating]
UInt32s = npt.NDArray[np.uint32]
UInt64s = npt.NDArray[np.uint64]
# Ratings between two looks at whether to stop: well below a second.
_RATINGS_AT_ONCE = 2**16
# Rows with many entries in the first columns are multiplied there as dense ones: BLAS makes about so many
# products in the time of one that the sparse loop makes. MovieLens 1M takes a quarter less time with them,
# for any share of the columns from a quarter to a half.
_DENSE_PRODUCTS = 100
_DENSE_SHARE = 3 / 8
_DENSE_ROWS = 512


def lower_gram(
    matrix: scipy.sparse.csr_matrix, dtype: npt.DTypeLike, check_stop: Callable[[], None]
) -> Floats:
    """The lower triangle of matrixᵀ matrix, (n, n), zeros above; it is made and summed in `dtype`.

    Quickest when the first columns have the most entries: sums are then mostly in a small part of the result.
    """
    columns = matrix.tocsc()
    n_dense = int(_DENSE_SHARE * matrix.shape[1])
    is_dense = _are_dense(columns, n_dense)
    row_starts = matrix.indptr[:-1].astype(np.uint64)
    row_ends = row_starts.copy()
    columns_seen, values_seen = np.empty(matrix.nnz, np.uint32), np.empty(matrix.nnz, dtype)
    gram = np.zeros((matrix.shape[1], matrix.shape[1]), dtype)
    for first, stop in column_ranges(columns.indptr):
        check_stop()
        _add_columns(
            first, stop, columns.indptr.astype(np.uint64), columns.indices.astype(np.uint32),
            columns.data.astype(dtype, copy=False), n_dense, is_dense,
            row_starts, row_ends, columns_seen, values_seen, gram,
        )  # fmt: skip
    if is_dense.any():
        _add_dense(columns[:, :n_dense].tocsr()[np.flatnonzero(is_dense)], gram, check_stop)
    return gram


def co_occurrences(
    matrix: scipy.sparse.csr_matrix, n_rows_at_once: int
) -> Iterator[tuple[int, int, Float64s]]:
    """Some rows of matrixᵀ matrix after the other, as (first, stop, (stop - first, n) float64)."""
    columns = matrix.tocsc()
    n_columns = matrix.shape[1]
    for first in range(0, n_columns, n_rows_at_once):
        stop = min(first + n_rows_at_once, n_columns)
        sums = np.zeros((stop - first, n_columns))
        _multiply_columns(
            first, columns.indptr.astype(np.uint64), columns.indices.astype(np.uint32), columns.data,
            matrix.indptr.astype(np.uint64), matrix.indices.astype(np.uint32), matrix.data, sums,
        )  # fmt: skip
        yield first, stop, sums


def _are_dense(columns: scipy.sparse.csc_matrix, n_dense: int) -> npt.NDArray[np.bool_]:
    """(n_rows,): whether a row is quicker multiplied densely in the first columns.

    With m entries there it saves m²/2 products of the sparse loop.
    """
    counts = np.bincount(columns.indices[: columns.indptr[n_dense]], minlength=columns.shape[0])
    return np.asarray(counts.astype(np.float64) ** 2 / 2 > n_dense**2 / _DENSE_PRODUCTS)


def _add_dense(rows: scipy.sparse.csr_matrix, gram: Floats, check_stop: Callable[[], None]) -> None:
    """Add rowsᵀ rows to the lower triangle of the first columns."""
    n_dense = rows.shape[1]
    (multiply,) = blas.get_blas_funcs(("syrk",), (gram,))
    sums = np.zeros((n_dense, n_dense), gram.dtype, order="F")
    for first in range(0, rows.shape[0], _DENSE_ROWS):
        check_stop()
        some = rows[first : first + _DENSE_ROWS].toarray().astype(gram.dtype, copy=False)
        sums = multiply(1.0, some.T, beta=1.0, c=sums, lower=0, overwrite_c=1)
    # The upper triangle in columns is the lower one in rows; the other is 0.
    gram[:n_dense, :n_dense] += sums.T


def column_ranges(starts: npt.NDArray[np.integer]) -> Iterator[tuple[int, int]]:
    """Ranges of about `_RATINGS_AT_ONCE` entries, one column at least.

    starts: (n_columns + 1,), where the entries of a column begin, and the end
    """
    first, n_columns = 0, len(starts) - 1
    while first < n_columns:
        after = int(np.searchsorted(starts, starts[first] + _RATINGS_AT_ONCE, side="right")) - 1
        stop = min(max(after, first + 1), n_columns)
        yield first, stop
        first = stop


# Indices are unsigned: numba then leaves out the test for negative ones, a third of the time.
@numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _add_columns(  # noqa: PLR0917
    first: int,
    stop: int,
    starts: UInt64s,
    rows: UInt32s,
    values: Floats,
    n_dense: int,
    is_dense: npt.NDArray[np.bool_],
    row_starts: UInt64s,
    row_ends: UInt64s,
    columns_seen: UInt32s,
    values_seen: Floats,
    gram: Floats,
) -> None:
    """Rows first to stop - 1 of the lower triangle; `*_seen` keeps what every row had in earlier columns."""
    for column in range(first, stop):
        sums = gram[column]
        for place in range(starts[column], starts[column + 1]):
            row, value = rows[place], values[place]
            end = row_ends[row]
            columns_seen[end], values_seen[end] = column, value
            row_ends[row] = end + np.uint64(1)
            if column < n_dense and is_dense[row]:
                continue
            for seen in range(row_starts[row], row_ends[row]):
                sums[columns_seen[seen]] += value * values_seen[seen]


@numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _multiply_columns(  # noqa: PLR0917
    first: int,
    starts: UInt64s,
    rows: UInt32s,
    values: Floats,
    row_starts: UInt64s,
    row_columns: UInt32s,
    row_values: Floats,
    sums: Float64s,
) -> None:
    """Rows first, first + 1, … of the whole product."""
    for number in range(len(sums)):
        total = sums[number]
        column = first + number
        for place in range(starts[column], starts[column + 1]):
            row, value = rows[place], np.float64(values[place])
            for other in range(row_starts[row], row_starts[row + np.uint32(1)]):
                total[row_columns[other]] += value * row_values[other]
