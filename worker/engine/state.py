"""Everything that changes while a tower trains."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from worker.engine.optimizers import Optimizer, Slots, join_slots, split_slots
from worker.families.tower.weights import Weights


class ParameterTable(NamedTuple):
    """One embedding with its optimizer moments.

    rows: (n_rows, n_slots * embedding_size) float32, slots side by side: the embedding, then its moments
    last_step: (n_rows,) int32, the step that updated the row last; kept only where idle rows move
    """

    rows: tf.Tensor
    last_step: tf.Tensor


class TrainingState(NamedTuple):
    """Parameters, moments and step count.

    step: () int32, steps done since training began      dense: a `Slots` a kernel or bias, in the order of
    the head's variables
    """

    step: tf.Tensor
    user_table: ParameterTable
    item_table: ParameterTable
    dense: tuple[Slots, ...]


def initial_state(weights: Weights, optimizer: Optimizer) -> TrainingState:
    """These weights, no moments, no step done."""

    def slots(array: npt.NDArray[np.float32]) -> Slots:
        parameter = tf.constant(array)
        return (parameter, *[tf.zeros_like(parameter)] * optimizer.n_moments)

    def table(array: npt.NDArray[np.float32]) -> ParameterTable:
        return ParameterTable(join_slots(slots(array)), tf.zeros(len(array), tf.int32))

    return TrainingState(
        step=tf.constant(0, tf.int32),
        user_table=table(weights.user_embedding),
        item_table=table(weights.item_embedding),
        dense=tuple(slots(array) for layer in weights.dense for array in layer),
    )


def catch_up_all(state: TrainingState, optimizer: Optimizer) -> TrainingState:
    """The state with every row as it stands after the last step."""
    if not optimizer.moves_idle_rows:
        return state

    def caught_up(table: ParameterTable) -> ParameterTable:
        slots = split_slots(table.rows, 1 + optimizer.n_moments)
        rows = join_slots(optimizer.catch_up(slots, table.last_step, state.step))
        return ParameterTable(rows, tf.fill(tf.shape(table.last_step), state.step))

    return state._replace(user_table=caught_up(state.user_table), item_table=caught_up(state.item_table))


def embedding_of(table: ParameterTable, optimizer: Optimizer) -> tf.Tensor:
    """(n_rows, embedding_size): the rows without their moments."""
    return split_slots(table.rows, 1 + optimizer.n_moments)[0]


def weights_of(state: TrainingState, optimizer: Optimizer) -> Weights:
    """The trained numbers alone."""
    dense = [slots[0].numpy() for slots in state.dense]
    return Weights(
        user_embedding=embedding_of(state.user_table, optimizer).numpy(),
        item_embedding=embedding_of(state.item_table, optimizer).numpy(),
        dense=tuple(zip(dense[0::2], dense[1::2], strict=True)),
    )
