"""One epoch over batches of rows as one XLA program: each batch is made dense within it."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import tensorflow as tf

from worker.engine.compiled import CompiledFunction
from worker.engine.optimizers import Optimizer, Slots
from worker.engine.row_batches import CHUNK_ENTRIES, RowBatches
from worker.engine.tables import ParameterTable, gather_rows, scatter_rows, take_share

Tensors = Mapping[str, tf.Tensor]


class RowBatch(NamedTuple):
    """One batch of rows, dense.

    row_index: (batch,) int32      is_real: (batch,) float32, 0 for padding, which has no entries
    channels: (batch, n_columns) float32 each, 0 where a row has no entry
    step: () int32, from 1      seed: () int32
    fixed: what the training was given and does not change
    """

    row_index: tf.Tensor
    is_real: tf.Tensor
    channels: tuple[tf.Tensor, ...]
    step: tf.Tensor
    seed: tf.Tensor
    fixed: Tensors

    def mean(self, row_losses: tf.Tensor) -> tf.Tensor:
        """Mean over the real rows of a value a row, (batch,)."""
        return tf.reduce_sum(row_losses * self.is_real) / tf.reduce_sum(self.is_real)


class RowState(NamedTuple):
    """Parameters, moments and step count, by the names of the parameters.

    step: () int32, steps done since training began      tables: those with one row a row of the matrix, of
    which a batch sees only its own      dense: the others
    """

    step: tf.Tensor
    dense: dict[str, Slots]
    tables: dict[str, ParameterTable]


# (parameters by name: of a table the rows of the batch, (batch, width); batch) -> () float32, what is
# minimised: a mean over rows, and penalties.
RowLoss = Callable[[Tensors, RowBatch], tf.Tensor]

# (batches, first step of the epoch, stop step, state, share of the learning rate, fixed, loss sum)
# -> (state, loss sum): the steps first <= step < stop. The loss sum, () float64, is over rows.
RowEpoch = Callable[..., tuple[RowState, tf.Tensor]]


class _Loop(NamedTuple):
    number: tf.Tensor
    state: RowState
    loss_sum: tf.Tensor


def compile_row_epoch(
    loss: RowLoss, optimizer: Optimizer, batch_size: int, n_columns: int, identity: str
) -> RowEpoch:
    """The training steps as a function that compiles when it is first called.

    `identity` says which loss it is, with all its constants: see CompiledFunction. Who calls it keeps what it
    gives for trials that differ in random seed alone: TensorFlow never gives a program's memory back.
    """

    def run_step(batches: RowBatches, rate_share: tf.Tensor, fixed: Tensors, loop: _Loop) -> _Loop:
        state, step = loop.state, loop.state.step + 1
        n_real = tf.minimum(batches.n_rows - loop.number * batch_size, batch_size)
        batch = RowBatch(
            row_index=batches.row_index[loop.number],
            is_real=tf.cast(tf.range(batch_size) < n_real, tf.float32),
            channels=_densify(batches, loop.number, batch_size, n_columns),
            step=step,
            seed=batches.seed,
            fixed=fixed,
        )
        rows = {
            name: gather_rows(optimizer, table, batch.row_index, state.step, rate_share)
            for name, table in state.tables.items()
        }
        slots = {**state.dense, **rows}
        parameters = {name: one[0] for name, one in slots.items()}
        with tf.GradientTape() as tape:
            tape.watch(parameters)
            value = loss(parameters, batch)
        gradients = tape.gradient(value, parameters, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        moved = {
            name: take_share(
                one, optimizer.update(one, tf.convert_to_tensor(gradients[name]), step), rate_share
            )
            for name, one in slots.items()
        }
        is_real = batch.is_real[:, tf.newaxis] > 0
        return _Loop(
            number=loop.number + 1,
            state=RowState(
                step=step,
                dense={name: moved[name] for name in state.dense},
                tables={
                    # A row of padding is one of the first batch: it is caught up with, and not moved.
                    name: scatter_rows(
                        optimizer,
                        table,
                        batch.row_index,
                        tuple(
                            tf.where(is_real, new, old)
                            for new, old in zip(
                                moved[name], _idle(optimizer, rows[name], step, rate_share), strict=True
                            )
                        ),
                        step,
                    )
                    for name, table in state.tables.items()
                },
            ),
            loss_sum=loop.loss_sum + tf.cast(value, tf.float64) * tf.cast(n_real, tf.float64),
        )

    def run_steps(  # noqa: PLR0917  As RowEpoch says.
        batches: RowBatches,
        first: tf.Tensor,
        stop: tf.Tensor,
        state: RowState,
        rate_share: tf.Tensor,
        fixed: Tensors,
        loss_sum: tf.Tensor,
    ) -> tuple[RowState, tf.Tensor]:
        end = tf.while_loop(
            lambda *loop: _Loop(*loop).number < stop,
            lambda *loop: run_step(batches, rate_share, fixed, _Loop(*loop)),
            _Loop(first, state, loss_sum),
        )
        return _Loop(*end).state, _Loop(*end).loss_sum

    return CompiledFunction(run_steps, f"rows {identity} {optimizer} {batch_size} {n_columns}")


def _idle(optimizer: Optimizer, slots: Slots, step: tf.Tensor, rate_share: tf.Tensor) -> Slots:
    """Rows after a step without a gradient."""
    if not optimizer.moves_idle_rows:
        return slots
    moved = optimizer.catch_up(slots, tf.fill(tf.shape(slots[0])[:1], step - 1), step)
    return take_share(slots, moved, rate_share)


def _densify(
    batches: RowBatches, number: tf.Tensor, batch_size: int, n_columns: int
) -> tuple[tf.Tensor, ...]:
    """(batch, n_columns) for each channel; some entries at a time, however many a batch has."""
    start, end = batches.starts[number], batches.starts[number + 1]

    def add_some(first: tf.Tensor, *dense: tf.Tensor) -> tuple[tf.Tensor, ...]:
        places = tf.slice(batches.places, [first], [CHUNK_ENTRIES])[:, tf.newaxis]
        # What follows belongs to the next batch: it adds 0 here.
        is_ours = first + tf.range(CHUNK_ENTRIES) < end
        values = (
            tf.where(is_ours, tf.slice(channel, [first], [CHUNK_ENTRIES]), 0.0)
            for channel in batches.channels
        )
        added = (tf.tensor_scatter_nd_add(one, places, some) for one, some in zip(dense, values, strict=True))
        return (first + CHUNK_ENTRIES, *added)

    empty = [tf.zeros(batch_size * n_columns) for _ in batches.channels]
    _, *dense = tf.while_loop(lambda first, *_: first < end, add_some, (start, *empty))
    return tuple(tf.reshape(one, (batch_size, n_columns)) for one in dense)
