"""One epoch over batches of ratings as one XLA program, for a table of users and one of items.

A batch that is large beside a table moves the whole table: a sum over segments and one pass over the table
cost less than its rows copied out and back, one entry after the other.
"""

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from worker.engine import tables as parameter_tables
from worker.engine.batches import Batches
from worker.engine.compiled import CompiledFunction
from worker.engine.epoch import sum_by_row
from worker.engine.optimizers import Optimizer, Slots
from worker.engine.tables import (
    ParameterTable,
    catch_up_table,
    gather_rows,
    make_slots,
    make_table,
    scatter_rows,
    take_share,
)
from worker.ranking.scorers import Float32s

# From so many entries a row on, the whole table is moved: an entry that is copied out and back costs as much
# as several rows of one pass.
_ENTRIES_PER_ROW = 1 / 3


class WholeTable(NamedTuple):
    """An embedding with its optimizer moments, (n_rows, width) each, that moves as a whole."""

    slots: Slots


class FactorState(NamedTuple):
    """Two tables and the step count, () int32: steps done since training began."""

    step: tf.Tensor
    user_table: WholeTable | ParameterTable
    item_table: WholeTable | ParameterTable


def start_state(users: Float32s, items: Float32s, optimizer: Optimizer, batch_size: int) -> FactorState:
    """These rows, (n_users, width) and (n_items, width), no moments, no step done."""
    tables = (
        WholeTable(make_slots(array, optimizer))
        if is_moved_whole(len(array), batch_size)
        else make_table(array, optimizer)
        for array in (users, items)
    )
    return FactorState(tf.constant(0, tf.int32), *tables)


def catch_up_state(state: FactorState, optimizer: Optimizer, rate_share: tf.Tensor) -> FactorState:
    """The state with every row as it stands after the last step."""

    def caught_up(table: WholeTable | ParameterTable) -> WholeTable | ParameterTable:
        if isinstance(table, WholeTable):
            return table
        return catch_up_table(table, optimizer, state.step, rate_share)

    return FactorState(state.step, caught_up(state.user_table), caught_up(state.item_table))


def factors_of(state: FactorState, optimizer: Optimizer) -> tuple[Float32s, Float32s]:
    """Copies of the rows of users and of items, without their moments."""
    users, items = (
        (
            table.slots[0] if isinstance(table, WholeTable) else parameter_tables.rows_of(table, optimizer)
        ).numpy()
        for table in (state.user_table, state.item_table)
    )
    return users, items


# (user rows, item rows, (batch, width) each; ratings, (batch,)) -> (batch,)
PairLoss = Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tf.Tensor]

# (batches, first step of the epoch, stop step, state, share of the learning rate, ridges, loss sum)
# -> (state, loss sum): the steps first <= step < stop. ridges: (n_users,) and (n_items,), what the squared
# length of a row costs for every rating of it. The loss sum, () float64, is over ratings, without that.
FactorEpoch = Callable[..., tuple[FactorState, tf.Tensor]]


class _Loop(NamedTuple):
    number: tf.Tensor
    state: FactorState
    loss_sum: tf.Tensor
    scratch: tuple[tf.Tensor, tf.Tensor]


def compile_factor_epoch(loss: PairLoss, optimizer: Optimizer, batch_size: int, identity: str) -> FactorEpoch:
    """The training steps as a function that compiles when it is first called.

    What is minimised is the mean over the ratings of a batch of loss and ridges. `identity` says which loss
    it is, with all its constants: see CompiledFunction.
    """

    def run_step(
        batches: Batches, rate_share: tf.Tensor, ridges: tuple[tf.Tensor, tf.Tensor], loop: _Loop
    ) -> _Loop:
        state, step = loop.state, loop.state.step + 1
        tables = (state.user_table, state.item_table)
        indices = (batches.user_index[loop.number], batches.item_index[loop.number])
        n_real = tf.minimum(batches.n_ratings - loop.number * batch_size, batch_size)
        rows = [
            rows_of(optimizer, table, index, state.step, rate_share)
            for table, index in zip(tables, indices, strict=True)
        ]
        with tf.GradientTape() as tape:
            tape.watch(rows)
            losses = loss(rows[0], rows[1], batches.rating[loop.number])
            penalties = tf.add_n(
                [
                    tf.gather(ridge, index) * tf.reduce_sum(tf.square(some), 1)
                    for ridge, index, some in zip(ridges, indices, rows, strict=True)
                ]
            )
            is_real = tf.range(batches.rating.shape[1]) < n_real
            value = tf.reduce_sum(tf.where(is_real, losses + penalties, 0.0)) / tf.cast(n_real, tf.float32)
        gradients = tape.gradient(value, rows)
        moved, scratch = zip(
            *(
                move_table(optimizer, table, index, gradient, kept, step, rate_share)
                for table, index, gradient, kept in zip(tables, indices, gradients, loop.scratch, strict=True)
            ),
            strict=True,
        )
        batch_sum = tf.reduce_sum(tf.where(is_real, losses, 0.0))
        return _Loop(
            loop.number + 1,
            FactorState(step, *moved),
            loop.loss_sum + tf.cast(batch_sum, tf.float64),
            (scratch[0], scratch[1]),
        )

    def run_steps(  # noqa: PLR0917  As FactorEpoch says.
        batches: Batches,
        first: tf.Tensor,
        stop: tf.Tensor,
        state: FactorState,
        rate_share: tf.Tensor,
        ridges: tuple[tf.Tensor, tf.Tensor],
        loss_sum: tf.Tensor,
    ) -> tuple[FactorState, tf.Tensor]:
        scratch = tuple(
            tf.zeros(n_rows_of(table), tf.int32) for table in (state.user_table, state.item_table)
        )
        end = tf.while_loop(
            lambda *loop: _Loop(*loop).number < stop,
            lambda *loop: run_step(batches, rate_share, ridges, _Loop(*loop)),
            _Loop(first, state, loss_sum, scratch),
        )
        return _Loop(*end).state, _Loop(*end).loss_sum

    return CompiledFunction(run_steps, f"pairs {identity} {optimizer} {batch_size}")


def is_moved_whole(n_rows: int, batch_size: int) -> bool:
    """Whether a table of so many rows is best moved as a whole."""
    return batch_size >= _ENTRIES_PER_ROW * n_rows


def n_rows_of(table: WholeTable | ParameterTable) -> int:
    """Rows of a table."""
    return int((table.slots[0] if isinstance(table, WholeTable) else table.rows).shape[0])


def rows_of(
    optimizer: Optimizer,
    table: WholeTable | ParameterTable,
    index: tf.Tensor,
    step: tf.Tensor,
    rate_share: tf.Tensor,
) -> tf.Tensor:
    """(batch, width): the parameters of these rows as they stand after `step`."""
    if isinstance(table, WholeTable):
        return tf.gather(table.slots[0], index)
    return gather_rows(optimizer, table, index, step, rate_share)[0]


def move_table(  # noqa: PLR0917  Of one table, all that a step needs.
    optimizer: Optimizer,
    table: WholeTable | ParameterTable,
    index: tf.Tensor,
    gradient: tf.Tensor,
    scratch: tf.Tensor,
    step: tf.Tensor,
    rate_share: tf.Tensor,
) -> tuple[WholeTable | ParameterTable, tf.Tensor]:
    """The table after step number `step`, either way the same but for rounding, and the used scratch."""
    if isinstance(table, ParameterTable):
        slots = gather_rows(optimizer, table, index, step - 1, rate_share)
        summed, scratch = sum_by_row(gradient, index, scratch)
        moved = take_share(slots, optimizer.update(slots, summed, step), rate_share)
        return scatter_rows(optimizer, table, index, moved, step), scratch
    slots, n_rows = table.slots, n_rows_of(table)
    summed = tf.math.unsorted_segment_sum(gradient, index, n_rows)
    moved = take_share(slots, optimizer.update(slots, summed, step), rate_share)
    if not optimizer.moves_idle_rows:
        is_ours = tf.scatter_nd(index[:, tf.newaxis], tf.ones_like(index), [n_rows])[:, tf.newaxis] > 0
        moved = tuple(tf.where(is_ours, new, old) for new, old in zip(moved, slots, strict=True))
    return WholeTable(moved), scratch
