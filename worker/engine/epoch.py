"""One epoch as one XLA program: a loop over the batches that touches only the rows of each batch."""

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import tensorflow as tf

from shared.domain.families.tower import Tower
from worker.engine.batches import Batches
from worker.engine.compiled import CompiledFunction
from worker.engine.forward import make_forward
from worker.engine.optimizers import Optimizer
from worker.engine.state import TrainingState
from worker.engine.tables import ParameterTable, gather_rows, scatter_rows

# TensorFlow never gives the memory of a compiled function back (about 7 MB each): do not compile twice.
_CACHE_SIZE = 4

# (batches, first step of the epoch, stop step, state, loss sum) -> (state, loss sum): does the steps
# first <= step < stop. The loss sum, () float64, is over ratings, so that the chunks of an epoch add up.
Epoch = Callable[[Batches, tf.Tensor, tf.Tensor, TrainingState, tf.Tensor], tuple[TrainingState, tf.Tensor]]


class _Loop(NamedTuple):
    """What the loop carries. `scratch`: (n_rows,) int32 for each table, see `sum_by_row`."""

    number: tf.Tensor
    state: TrainingState
    loss_sum: tf.Tensor
    scratch: tuple[tf.Tensor, tf.Tensor]


@lru_cache(maxsize=_CACHE_SIZE)
def compile_epoch(architecture: Tower, optimizer: Optimizer, batch_size: int) -> Epoch:
    """The training steps as a function that compiles when it is first called.

    The loss is the mean squared error over all outputs of all ratings of the batch. Trials that differ in
    random seed alone share one compiled function.
    """
    forward = make_forward(architecture)

    def run_step(batches: Batches, loop: _Loop) -> _Loop:
        state = loop.state
        indices = (batches.user_index[loop.number], batches.item_index[loop.number])
        tables = (state.user_table, state.item_table)
        n_real = tf.minimum(batches.n_ratings - loop.number * batch_size, batch_size)

        user_rows, item_rows = (
            gather_rows(optimizer, *pair, state.step) for pair in zip(tables, indices, strict=True)
        )
        sources = [user_rows[0], item_rows[0], *(slots[0] for slots in state.dense)]
        with tf.GradientTape() as tape:
            tape.watch(sources)
            outputs = forward(sources[2:], sources[0], sources[1])
            losses = tf.reduce_mean(tf.square(outputs - batches.rating[loop.number][:, tf.newaxis]), axis=1)
            batch_sum = tf.reduce_sum(tf.where(tf.range(batches.rating.shape[1]) < n_real, losses, 0.0))
            loss = batch_sum / tf.cast(n_real, tf.float32)
        user_gradient, item_gradient, *dense_gradients = tape.gradient(loss, sources)

        step = state.step + 1
        new_tables, new_scratch = [], []
        for table, index, rows, gradient, scratch in zip(
            tables, indices, (user_rows, item_rows), (user_gradient, item_gradient), loop.scratch, strict=True
        ):
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
            number=loop.number + 1,
            state=TrainingState(step, new_tables[0], new_tables[1], dense),
            loss_sum=loop.loss_sum + tf.cast(batch_sum, tf.float64),
            scratch=(new_scratch[0], new_scratch[1]),
        )

    def run_steps(
        batches: Batches, first: tf.Tensor, stop: tf.Tensor, state: TrainingState, loss_sum: tf.Tensor
    ) -> tuple[TrainingState, tf.Tensor]:
        def scratch(table: ParameterTable) -> tf.Tensor:
            return tf.zeros(tf.shape(table.rows)[0], tf.int32)

        def go_on(*loop: tf.Tensor) -> tf.Tensor:
            return _Loop(*loop).number < stop

        def body(*loop: tf.Tensor) -> _Loop:
            return run_step(batches, _Loop(*loop))

        start = _Loop(first, state, loss_sum, (scratch(state.user_table), scratch(state.item_table)))
        end = _Loop(*tf.while_loop(go_on, body, start))
        return end.state, end.loss_sum

    return CompiledFunction(run_steps, f"epoch {architecture} {optimizer} {batch_size}")


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
