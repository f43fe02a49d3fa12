"""Batches of whole rows of the rating matrix: users with all their ratings, or items with all of theirs."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import scipy.sparse
import tensorflow as tf

from worker.ranking.scorers import Float32s

# Entries are made dense so many at a time; what is behind the last batch is padding of this length.
CHUNK_ENTRIES = 4096
_MAX_NUMBERS = 2**31 - 1


class RowBatches(NamedTuple):
    """All batches of one epoch as tensors; the entries of one batch stand together.

    row_index: (n_steps, batch_size) int32, rows of the matrix; behind the last one rows of the first batch
    are padding      n_rows: () int32, without the padding
    starts: (n_steps + 1,) int32, where the entries of a batch begin
    places: (n_entries + CHUNK_ENTRIES,) int32, row in the batch * n_columns + column
    channels: (n_entries + CHUNK_ENTRIES,) float32 each, the values of the entries
    seed: () int32, for what is drawn within the epoch, with the step
    """

    row_index: tf.Tensor
    n_rows: tf.Tensor
    starts: tf.Tensor
    places: tf.Tensor
    channels: tuple[tf.Tensor, ...]
    seed: tf.Tensor


def rated_rows(matrix: scipy.sparse.csr_matrix) -> npt.NDArray[np.int64]:
    """Rows that have entries: nothing is learned from the others."""
    return np.flatnonzero(np.diff(matrix.indptr))


def shuffle_rows(
    matrix: scipy.sparse.csr_matrix,
    channels: Sequence[Float32s],
    batch_size: int,
    random_seed: int,
    epoch: int,
) -> RowBatches:
    """Every row with entries once, in an order that depends on seed and epoch alone; epochs count from 1.

    channels: values of the entries of `matrix`, (nnz,) each. batch_size: at most the number of such rows.
    """
    rows = rated_rows(matrix)
    order = rows[np.random.default_rng((random_seed, epoch)).permutation(len(rows))]
    lengths = np.diff(matrix.indptr)[order]
    n_steps = -(-len(order) // batch_size)
    ends = np.cumsum(lengths)
    # From an entry in the new order to its place in the matrix. Numbers are as small as they can be: there
    # is one for every rating.
    kind = matrix.indptr.dtype
    source = np.repeat((matrix.indptr[order] - (ends - lengths)).astype(kind), lengths)
    source += np.arange(matrix.nnz, dtype=kind)
    first_places = np.arange(len(order)) % batch_size * matrix.shape[1]
    places = np.zeros(matrix.nnz + CHUNK_ENTRIES, np.int32)
    places[: matrix.nnz] = matrix.indices[source]
    places[: matrix.nnz] += np.repeat(first_places.astype(np.int32), lengths)
    padded = np.concatenate([order, order[: n_steps * batch_size - len(order)]])
    batch_ends = np.minimum(np.arange(1, n_steps + 1) * batch_size, len(order)) - 1
    return RowBatches(
        row_index=tf.constant(padded.reshape(n_steps, batch_size), tf.int32),
        n_rows=tf.constant(len(order), tf.int32),
        starts=tf.constant(np.concatenate([[0], ends[batch_ends]]), tf.int32),
        places=tf.constant(places),
        channels=tuple(
            tf.constant(np.concatenate([values[source], np.zeros(CHUNK_ENTRIES, np.float32)]))
            for values in channels
        ),
        seed=tf.constant(random_seed % _MAX_NUMBERS, tf.int32),
    )


def fitting_batch_size(wanted: int, matrix: scipy.sparse.csr_matrix) -> int:
    """`wanted`, or less where there are fewer rows with entries; at least 1.

    Raises ValueError where a batch would have more numbers than can be counted.
    """
    batch_size = max(1, min(wanted, len(rated_rows(matrix))))
    if batch_size * matrix.shape[1] > _MAX_NUMBERS:
        raise ValueError(
            f"batch_size times {matrix.shape[1]:,} columns must be at most {_MAX_NUMBERS:,}; got batch_size "
            f"{batch_size}: lower it"
        )
    return batch_size
