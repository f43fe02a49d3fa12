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
# Rows with many entries in the last columns are multiplied there as dense ones: BLAS makes about so many
# products in the time of one that the sparse loop makes. MovieLens 1M takes a quarter less time with them,
# for any share of the columns from a quarter to a half.
_DENSE_PRODUCTS = 100
_DENSE_SHARE = 3 / 8
_DENSE_ROWS = 512


def upper_gram(
    matrix: scipy.sparse.csr_matrix, dtype: npt.DTypeLike, check_stop: Callable[[], None]
) -> Floats:
    """The upper triangle of matrixᵀ matrix, (n, n), zeros below; it is made and summed in `dtype`.

    Quickest when the last columns have the most entries: sums are then mostly in a small part of the result.
    """
    n_rows, n_columns = matrix.shape
    columns = matrix.tocsc()
    starts, rows = columns.indptr.astype(np.uint64), columns.indices.astype(np.uint32)
    values = columns.data.astype(dtype, copy=False)
    first_dense = n_columns - int(_DENSE_SHARE * n_columns)
    is_dense = _are_dense(np.bincount(rows[starts[first_dense] :], minlength=n_rows), n_columns - first_dense)
    row_starts = matrix.indptr[:-1].astype(np.uint64)
    row_ends = row_starts.copy()
    columns_seen, values_seen = np.empty(matrix.nnz, np.uint32), np.empty(matrix.nnz, dtype)
    gram = np.zeros((n_columns, n_columns), dtype)
    for first, stop in reversed(list(column_ranges(columns.indptr))):
        check_stop()
        _add_columns(
            first, stop, starts, rows, values, first_dense, is_dense,
            row_starts, row_ends, columns_seen, values_seen, gram,
        )  # fmt: skip
    (multiply,) = blas.get_blas_funcs(("syrk",), (gram,))
    dense_rows = np.flatnonzero(is_dense)
    some = np.empty((_DENSE_ROWS, n_columns - first_dense), dtype)
    sums = np.zeros((some.shape[1], some.shape[1]), dtype, order="F")
    for first in range(0, len(dense_rows), _DENSE_ROWS):
        check_stop()
        _fill_rows(
            dense_rows[first : first + _DENSE_ROWS], first_dense,
            row_starts, row_ends, columns_seen, values_seen, some,
        )  # fmt: skip
        sums = multiply(1.0, some.T, beta=1.0, c=sums, lower=1, overwrite_c=1)
    # The lower triangle in columns is the upper one in rows; the other is 0.
    gram[first_dense:, first_dense:] += sums.T
    return gram


def co_occurrences(
    matrix: scipy.sparse.csr_matrix, n_rows_at_once: int
) -> Iterator[tuple[int, int, Float64s]]:
    """Some rows of matrixᵀ matrix after the other, as (first, stop, (stop - first, n) float64)."""
    columns = matrix.tocsc()
    n_columns = matrix.shape[1]
    starts, rows = columns.indptr.astype(np.uint64), columns.indices.astype(np.uint32)
    row_starts, row_columns = matrix.indptr.astype(np.uint64), matrix.indices.astype(np.uint32)
    for first in range(0, n_columns, n_rows_at_once):
        stop = min(first + n_rows_at_once, n_columns)
        sums = np.zeros((stop - first, n_columns))
        _multiply_columns(
            first, starts, rows, columns.data, row_starts, row_columns, matrix.data, sums
        )  # fmt: skip
        yield first, stop, sums


def _are_dense(counts: npt.NDArray[np.integer], n_dense: int) -> npt.NDArray[np.bool_]:
    """(n_rows,): whether a row with so many entries in `n_dense` columns is quicker multiplied densely there.

    With m entries that saves m²/2 products of the sparse loop.
    """
    return np.asarray(counts.astype(np.float64) ** 2 / 2 > n_dense**2 / _DENSE_PRODUCTS)


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
    first_dense: int,
    is_dense: npt.NDArray[np.bool_],
    row_starts: UInt64s,
    row_ends: UInt64s,
    columns_seen: UInt32s,
    values_seen: Floats,
    gram: Floats,
) -> None:
    """Rows stop - 1 down to first of the upper triangle; `*_seen`: what every row had in later columns."""
    for column in range(stop - 1, first - 1, -1):
        sums = gram[column]
        for place in range(starts[column], starts[column + 1]):
            row, value = rows[place], values[place]
            end = row_ends[row]
            columns_seen[end], values_seen[end] = column, value
            row_ends[row] = end + np.uint64(1)
            if column >= first_dense and is_dense[row]:
                continue
            for seen in range(row_starts[row], row_ends[row]):
                sums[columns_seen[seen]] += value * values_seen[seen]


@numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _fill_rows(  # noqa: PLR0917
    rows: npt.NDArray[np.int64],
    first_column: int,
    row_starts: UInt64s,
    row_ends: UInt64s,
    columns_seen: UInt32s,
    values_seen: Floats,
    dense: Floats,
) -> None:
    """The entries of rows from `first_column` on; 0 in what is left of `dense`."""
    dense[:] = 0
    for number in range(len(rows)):
        for seen in range(row_starts[rows[number]], row_ends[rows[number]]):
            column = np.int64(columns_seen[seen]) - first_column
            if column < 0:
                break
            dense[number, column] = values_seen[seen]


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
