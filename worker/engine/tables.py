"""Parameters with a row a user or an item: only the rows of a batch are read and written."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from worker.engine.optimizers import Optimizer, Slots, join_slots, split_slots


class ParameterTable(NamedTuple):
    """Rows of all users, or of all items, with their optimizer moments.

    rows: (n_rows, n_slots * width) float32, slots side by side: the row, which is its parts side by side
    (embedding, bias), then its moments
    last_step: (n_rows,) int32, the step that updated the row last; kept only where idle rows move
    """

    rows: tf.Tensor
    last_step: tf.Tensor


def make_slots(array: npt.NDArray[np.float32], optimizer: Optimizer) -> Slots:
    """A parameter without moments."""
    parameter = tf.constant(array)
    return (parameter, *[tf.zeros_like(parameter)] * optimizer.n_moments)


def make_table(array: npt.NDArray[np.float32], optimizer: Optimizer) -> ParameterTable:
    """Rows, (n_rows, width), without moments."""
    return ParameterTable(join_slots(make_slots(array, optimizer)), tf.zeros(len(array), tf.int32))


def gather_rows(
    optimizer: Optimizer,
    table: ParameterTable,
    index: tf.Tensor,
    step: tf.Tensor,
    rate_share: tf.Tensor | None = None,
) -> Slots:
    """The rows of these indices as they stand after `step`; `rate_share` as in `take_share`."""
    slots = split_slots(tf.gather(table.rows, index), 1 + optimizer.n_moments)
    if optimizer.moves_idle_rows:
        moved = optimizer.catch_up(slots, tf.gather(table.last_step, index), step)
        slots = take_share(slots, moved, rate_share)
    return slots


def take_share(slots: Slots, moved: Slots, rate_share: tf.Tensor | None) -> Slots:
    """`moved`, the parameter by this share of the way alone: a share of the learning rate; None: all of it.

    Every step between two that touch a row must have the same share, so tables are caught up before it
    changes.
    """
    if rate_share is None:
        return moved
    return (slots[0] + rate_share * (moved[0] - slots[0]), *moved[1:])


def scatter_rows(
    optimizer: Optimizer, table: ParameterTable, index: tf.Tensor, slots: Slots, step: tf.Tensor
) -> ParameterTable:
    """The table with these rows as of `step`. A row that occurs twice must come with the same values."""
    where = index[:, tf.newaxis]
    rows = tf.tensor_scatter_nd_update(table.rows, where, join_slots(slots))
    last_step = table.last_step
    if optimizer.moves_idle_rows:
        last_step = tf.tensor_scatter_nd_update(last_step, where, tf.fill(tf.shape(index), step))
    return ParameterTable(rows, last_step)


def catch_up_table(
    table: ParameterTable, optimizer: Optimizer, step: tf.Tensor, rate_share: tf.Tensor | None = None
) -> ParameterTable:
    """The table with every row as it stands after `step`; `rate_share` as in `take_share`."""
    if not optimizer.moves_idle_rows:
        return table
    slots = split_slots(table.rows, 1 + optimizer.n_moments)
    rows = join_slots(take_share(slots, optimizer.catch_up(slots, table.last_step, step), rate_share))
    return ParameterTable(rows, tf.fill(tf.shape(table.last_step), step))


def rows_of(table: ParameterTable, optimizer: Optimizer) -> tf.Tensor:
    """(n_rows, width): the rows without their moments."""
    return split_slots(table.rows, 1 + optimizer.n_moments)[0]
