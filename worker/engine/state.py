"""Everything that changes while a tower trains."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from worker.engine.network import Network
from worker.engine.optimizers import Optimizer, Slots
from worker.engine.tables import ParameterTable, catch_up_table, make_slots, make_table, rows_of

# Named arrays, float32: the parts of the rows, (n_rows, width) each, and the dense weights.
Weights = Mapping[str, npt.NDArray[np.float32]]


class TrainingState(NamedTuple):
    """Parameters, moments and step count.

    step: () int32, steps done since training began      dense: a `Slots` a weight, in the network's order
    """

    step: tf.Tensor
    user_table: ParameterTable
    item_table: ParameterTable
    dense: tuple[Slots, ...]


def initial_state(network: Network, weights: Weights, optimizer: Optimizer) -> TrainingState:
    """These weights, no moments, no step done."""

    def table(parts: Sequence[tuple[str, int]]) -> ParameterTable:
        return make_table(np.concatenate([weights[name] for name, _ in parts], axis=1), optimizer)

    return TrainingState(
        step=tf.constant(0, tf.int32),
        user_table=table(network.user_parts),
        item_table=table(network.item_parts),
        dense=tuple(make_slots(weights[name], optimizer) for name in network.dense),
    )


def catch_up_all(state: TrainingState, optimizer: Optimizer) -> TrainingState:
    """The state with every row as it stands after the last step."""
    return state._replace(
        user_table=catch_up_table(state.user_table, optimizer, state.step),
        item_table=catch_up_table(state.item_table, optimizer, state.step),
    )


def weights_of(network: Network, state: TrainingState, optimizer: Optimizer) -> Weights:
    """The trained numbers alone."""
    named: dict[str, npt.NDArray[np.float32]] = {}
    for parts, table in ((network.user_parts, state.user_table), (network.item_parts, state.item_table)):
        rows = rows_of(table, optimizer).numpy()
        first = 0
        for name, width in parts:
            named[name] = np.ascontiguousarray(rows[:, first : first + width])
            first += width
    return named | {name: slots[0].numpy() for name, slots in zip(network.dense, state.dense, strict=True)}
