"""One epoch as one XLA program: a loop over the batches that touches only the rows of each batch."""

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import tensorflow as tf

from worker.engine.batches import Batches
from worker.engine.compiled import CompiledFunction
from worker.engine.network import Network
from worker.engine.optimizers import Optimizer, Slots, join_slots, split_slots
from worker.engine.pair_steps import Pairs, Surroundings, draw_pairs, losses_and_penalties
from worker.engine.state import TrainingState
from worker.engine.tables import ParameterTable, gather_rows, scatter_rows

# TensorFlow never gives the memory of a compiled function back (about 7 MB each): do not compile twice.
_CACHE_SIZE = 4

# (batches, first step of the epoch, stop step, state, loss sum, surroundings) -> (state, loss sum): does the
# steps first <= step < stop. The loss sum, () float64, is over ratings, so that the chunks of an epoch add
# up; penalties are no part of it. A plain network needs no surroundings.
Epoch = Callable[..., tuple[TrainingState, tf.Tensor]]


class _Loop(NamedTuple):
    """What the loop carries. `scratch`: (n_rows,) int32 for each table, see `sum_by_row`."""

    number: tf.Tensor
    state: TrainingState
    loss_sum: tf.Tensor
    scratch: tuple[tf.Tensor, tf.Tensor]


@lru_cache(maxsize=_CACHE_SIZE)
def compile_epoch(network: Network, optimizer: Optimizer, batch_size: int) -> Epoch:
    """The training steps as a function that compiles when it is first called.

    What is minimised is the mean over the ratings of the batch. Trials that differ in random seed alone share
    one compiled function.
    """

    def run_step(batches: Batches, surroundings: Surroundings | None, loop: _Loop) -> _Loop:
        state, number = loop.state, loop.number
        rated = Pairs(batches.user_index[number], batches.item_index[number], batches.rating[number])
        pairs = draw_pairs(network, rated, surroundings, state.step)
        indices = (pairs.user_index, pairs.item_index)
        tables = (state.user_table, state.item_table)
        n_real = tf.minimum(batches.n_ratings - number * batch_size, batch_size)

        user_rows, item_rows = (
            _gather(optimizer, *pair, state.step) for pair in zip(tables, indices, strict=True)
        )
        sources = [user_rows[0], item_rows[0], *(slots[0] for slots in state.dense)]
        with tf.GradientTape() as tape:
            tape.watch(sources)
            losses, penalties = losses_and_penalties(
                network,
                sources[2:],
                (sources[0], sources[1]),
                pairs,
                surroundings=surroundings,
                step=state.step,
            )
            is_real = tf.range(batches.rating.shape[1]) < n_real
            batch_sum = tf.reduce_sum(tf.where(is_real, losses, 0.0))
            minimised = batch_sum
            if network.l2:
                minimised += tf.reduce_sum(tf.where(is_real, penalties, 0.0))
            loss = minimised / tf.cast(n_real, tf.float32)
        user_gradient, item_gradient, *dense_gradients = tape.gradient(loss, sources)

        step = state.step + 1
        new_tables, new_scratch = [], []
        for table, index, rows, gradient, scratch in zip(
            tables, indices, (user_rows, item_rows), (user_gradient, item_gradient), loop.scratch, strict=True
        ):
            if _is_dense(table, index):
                new_scratch.append(scratch)
                new_tables.append(_update_table(optimizer, table, index, gradient, step))
                continue
            summed, kept = sum_by_row(gradient, index, scratch)
            new_scratch.append(kept)
            new_tables.append(
                scatter_rows(optimizer, table, index, optimizer.update(rows, summed, step), step)
            )
        dense = tuple(
            optimizer.update(slots, gradient, step)
            for slots, gradient in zip(state.dense, dense_gradients, strict=True)
        )
        return _Loop(
            number=number + 1,
            state=TrainingState(step, new_tables[0], new_tables[1], dense),
            loss_sum=loop.loss_sum + tf.cast(batch_sum, tf.float64),
            scratch=(new_scratch[0], new_scratch[1]),
        )

    def run_steps(  # noqa: PLR0917  See `Epoch`.
        batches: Batches,
        first: tf.Tensor,
        stop: tf.Tensor,
        state: TrainingState,
        loss_sum: tf.Tensor,
        surroundings: Surroundings | None = None,
    ) -> tuple[TrainingState, tf.Tensor]:
        def scratch(table: ParameterTable) -> tf.Tensor:
            return tf.zeros(tf.shape(table.rows)[0], tf.int32)

        def go_on(*loop: tf.Tensor) -> tf.Tensor:
            return _Loop(*loop).number < stop

        def body(*loop: tf.Tensor) -> _Loop:
            return run_step(batches, surroundings, _Loop(*loop))

        start = _Loop(first, state, loss_sum, (scratch(state.user_table), scratch(state.item_table)))
        end = _Loop(*tf.while_loop(go_on, body, start))
        return end.state, end.loss_sum

    return CompiledFunction(run_steps, f"epoch {network} {optimizer} {batch_size}")


def _is_dense(table: ParameterTable, index: tf.Tensor) -> bool:
    """Whether a step names more entries than the table has rows: then moving every row is cheaper."""
    return int(index.shape[0]) > int(table.rows.shape[0])


def _gather(optimizer: Optimizer, table: ParameterTable, index: tf.Tensor, step: tf.Tensor) -> Slots:
    if _is_dense(table, index):
        # No row is ever behind, and the moments are needed for whole tables only.
        width = table.rows.shape[1] // (1 + optimizer.n_moments)
        return (tf.gather(table.rows[:, :width], index),)
    return gather_rows(optimizer, table, index, step)


def _update_table(
    optimizer: Optimizer, table: ParameterTable, index: tf.Tensor, gradient: tf.Tensor, step: tf.Tensor
) -> ParameterTable:
    """One step of every row: where idle rows stay, of those with an entry in the batch."""
    n_rows = table.rows.shape[0]
    summed = tf.math.unsorted_segment_sum(gradient, index, n_rows)
    slots = split_slots(table.rows, 1 + optimizer.n_moments)
    moved = optimizer.update(slots, summed, step)
    if optimizer.moves_idle_rows:
        return ParameterTable(join_slots(moved), tf.fill(tf.shape(table.last_step), step))
    is_used = tf.math.unsorted_segment_max(tf.ones_like(index), index, n_rows) > 0
    kept = [tf.where(is_used[:, tf.newaxis], new, old) for new, old in zip(moved, slots, strict=True)]
    return ParameterTable(join_slots(kept), table.last_step)


def sum_by_row(gradient: tf.Tensor, index: tf.Tensor, scratch: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """(batch, width): each entry's gradient summed over all entries of the same row, and the used scratch.

    Every row of the batch notes in `scratch` the position of one of its entries, which collects the sum.
    What earlier batches left there is never read.
    """
    n_entries = gradient.shape[0]
    scratch = tf.tensor_scatter_nd_update(scratch, index[:, tf.newaxis], tf.range(n_entries))
    collector = tf.gather(scratch, index)
    sums = tf.math.unsorted_segment_sum(gradient, collector, n_entries)
    return tf.gather(sums, collector), scratch
