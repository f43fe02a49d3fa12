"""One side of the ratings, users or items: its rows with ratings, and the features that explain them."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.sparse

from worker.families.bayesian_mf.kernels import Float32s, Int32s, Int64s, group_by_row

# Multiplications between two looks at whether to stop: a fraction of a second.
_WORK_AT_ONCE = 2e9


@dataclass(frozen=True, eq=False)
class Features:
    """A group of features of a side's rows with ratings, column by column.

    Feature j is not zero in rows[starts[j]:starts[j + 1]]. Its values stand beside them, or when `is_by_row`
    one value a row, the same for all of its features.
    without_ratings: (n_without_ratings, n_features), the features of the rows that have no ratings; one row
        when they share it
    precision: the prior precision of every coefficient
    """

    starts: Int64s
    rows: Int32s
    values: Float32s
    is_by_row: bool
    without_ratings: scipy.sparse.csr_matrix | Float32s
    precision: float

    def __len__(self) -> int:
        return len(self.starts) - 1


@dataclass(frozen=True, eq=False)
class Side:
    """Ratings grouped by the rows of one side. Rows without ratings take no part in sampling.

    n_rows: of the data set      rated: (n_rated,) rows of the data set with ratings, ascending
    starts, columns, ratings: row `rated[r]` has ratings[starts[r]:starts[r + 1]] of columns, which count the
        rated rows of the other side; ratings are standardised
    """

    n_rows: int
    rated: Int64s
    starts: Int64s
    columns: Int32s
    ratings: Float32s

    def __len__(self) -> int:
        return len(self.rated)

    @property
    def without_ratings(self) -> Int64s:
        """Rows of the data set without ratings, ascending."""
        return np.setdiff1d(np.arange(self.n_rows), self.rated, assume_unique=True)


def group_ratings(
    user_index: Int32s, item_index: Int32s, ratings: Float32s, n_users: int, n_items: int
) -> tuple[Side, Side]:
    """The same ratings by users and by items."""
    (rated_users, users), (rated_items, items) = (
        _renumber(user_index, n_users),
        _renumber(item_index, n_items),
    )
    return (
        Side(n_users, rated_users, *group_by_row(users, items, ratings, len(rated_users))),
        Side(n_items, rated_items, *group_by_row(items, users, ratings, len(rated_items))),
    )


def _renumber(index: Int32s, n_rows: int) -> tuple[Int64s, Int32s]:
    """The rows that occur, ascending, and the index counting them alone."""
    occurs = np.bincount(index, minlength=n_rows) > 0
    return np.flatnonzero(occurs), (np.cumsum(occurs, dtype=np.int32) - np.int32(1))[index]


def implicit_sum(side: Side, other: Side, precision: float) -> Features:
    """Which of the other side's rows each row has ratings of: 1 / √n for n ratings, as in SVD++ (Koren 2008).

    A row without ratings says nothing by that, so it gets the mean over those with ratings: what is not known
    of it, not the claim that it would rate nothing.
    """
    weight = (1 / np.sqrt(np.diff(side.starts))).astype(np.float32)
    mean = np.bincount(side.columns, np.repeat(weight, np.diff(side.starts)), len(other)) / len(side)
    return Features(other.starts, other.columns, weight, True, mean.astype(np.float32)[None], precision)


def side_information(side: Side, features: Float32s, precision: float) -> Features:
    """Features of the source: those of zeros and ones as they are, others with mean 0 and variance 1."""
    scaled = features.astype(np.float64)
    is_flag = ((scaled == 0) | (scaled == 1)).all(axis=0)
    deviation = scaled.std(axis=0)
    # A constant says nothing: zero everywhere.
    deviation[deviation == 0] = 1
    scaled = np.where(is_flag, scaled, (scaled - scaled.mean(axis=0)) / deviation).astype(np.float32)
    columns = scipy.sparse.csc_matrix(scaled[side.rated])
    columns.sort_indices()
    return Features(
        columns.indptr.astype(np.int64),
        columns.indices.astype(np.int32),
        columns.data,
        False,
        scipy.sparse.csr_matrix(scaled[side.without_ratings]),
        precision,
    )


def cut_work(work: npt.NDArray[np.floating]) -> Iterator[tuple[int, int]]:
    """Ranges of rows, (first, stop), each of bounded work; `work`[r] is that of the rows before r."""
    first = 0
    while first < len(work) - 1:
        stop = int(np.searchsorted(work, work[first] + _WORK_AT_ONCE, side="right")) - 1
        stop = max(stop, first + 1)
        yield first, stop
        first = stop
