"""Everything that changes while a tower trains."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from worker.engine.network import Network
from worker.engine.optimizers import Optimizer, Slots, join_slots, split_slots

# Named arrays, float32: the parts of the rows, (n_rows, width) each, and the dense weights.
Weights = Mapping[str, npt.NDArray[np.float32]]


class ParameterTable(NamedTuple):
    """The rows of all users, or of all items, with their optimizer moments.

    rows: (n_rows, n_slots * width) float32, slots side by side: the row, which is its parts side by side
    (embedding, bias), then its moments
    last_step: (n_rows,) int32, the step that updated the row last; kept only where idle rows move
    """

    rows: tf.Tensor
    last_step: tf.Tensor


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

    def slots(array: npt.NDArray[np.float32]) -> Slots:
        parameter = tf.constant(array)
        return (parameter, *[tf.zeros_like(parameter)] * optimizer.n_moments)

    def table(parts: Sequence[tuple[str, int]]) -> ParameterTable:
        rows = np.concatenate([weights[name] for name, _ in parts], axis=1)
        return ParameterTable(join_slots(slots(rows)), tf.zeros(len(rows), tf.int32))

    return TrainingState(
        step=tf.constant(0, tf.int32),
        user_table=table(network.user_parts),
        item_table=table(network.item_parts),
        dense=tuple(slots(weights[name]) for name in network.dense),
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


def rows_of(table: ParameterTable, optimizer: Optimizer) -> tf.Tensor:
    """(n_rows, width): the rows without their moments."""
    return split_slots(table.rows, 1 + optimizer.n_moments)[0]


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
