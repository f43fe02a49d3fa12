"""Everything that changes while a tower trains."""

from typing import NamedTuple

import tensorflow as tf

from worker.engine.optimizers import Optimizer, Slots
from worker.engine.tables import ParameterTable, catch_up_table, embedding_of, make_slots, make_table
from worker.families.tower.weights import Weights


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
    return TrainingState(
        step=tf.constant(0, tf.int32),
        user_table=make_table(weights.user_embedding, optimizer),
        item_table=make_table(weights.item_embedding, optimizer),
        dense=tuple(make_slots(array, optimizer) for layer in weights.dense for array in layer),
    )


def catch_up_all(state: TrainingState, optimizer: Optimizer) -> TrainingState:
    """The state with every row as it stands after the last step."""
    return state._replace(
        user_table=catch_up_table(state.user_table, optimizer, state.step),
        item_table=catch_up_table(state.item_table, optimizer, state.step),
    )


def weights_of(state: TrainingState, optimizer: Optimizer) -> Weights:
    """The trained numbers alone."""
    dense = [slots[0].numpy() for slots in state.dense]
    return Weights(
        user_embedding=embedding_of(state.user_table, optimizer).numpy(),
        item_embedding=embedding_of(state.item_table, optimizer).numpy(),
        dense=tuple(zip(dense[0::2], dense[1::2], strict=True)),
    )
