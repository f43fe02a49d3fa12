"""Trains a model over batches of rows: the EpochTrainer of every family that learns from whole rows."""

from collections.abc import Callable, Collection, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse
import tensorflow as tf

from shared.domain.training import TrainingConfig
from worker.engine.adam import make_optimizer
from worker.engine.fitting import Judgement, require_finite
from worker.engine.optimizers import Optimizer
from worker.engine.pace import Pace
from worker.engine.row_batches import fitting_batch_size, rated_rows, shuffle_rows
from worker.engine.row_epoch import RowEpoch, RowState, Tensors
from worker.engine.tables import catch_up_table, make_slots, make_table, rows_of
from worker.ranking.scorers import Float32s

NamedArrays = Mapping[str, npt.NDArray[Any]]

# Batches of rows take milliseconds where batches of ratings take microseconds.
_FIRST_CHUNK_STEPS = 4


class RowTrainer:
    """An EpochTrainer over the rows of a matrix that have entries.

    matrix: (n_rows, n_columns), of which the entries are used and not the data
    channels_of: the values of the entries, (nnz,) float32 each, in an epoch counted from 1: what is dropped
    or drawn for an entry is decided there
    compile_epoch: (optimizer, batch size) -> the compiled epoch, which `compile_row_epoch` makes
    initial: every parameter by its name, float32; of those in `tables` a batch sees the rows of its own
    fixed: arrays that the loss reads and that stay as they are
    judge: what weights are worth on validation
    """

    def __init__(
        self,
        matrix: scipy.sparse.csr_matrix,
        channels_of: Callable[[int], tuple[Float32s, ...]],
        compile_epoch: Callable[[Optimizer, int], RowEpoch],
        initial: Mapping[str, Float32s],
        *,
        training: TrainingConfig,
        check_stop: Callable[[], None],
        judge: Callable[[NamedArrays], Judgement],
        tables: Collection[str] = (),
        fixed: Mapping[str, Float32s] | None = None,
    ) -> None:
        self._matrix, self._channels_of, self._judge = matrix, channels_of, judge
        self._training, self._initial, self._tables = training, initial, tables
        self._batch_size = fitting_batch_size(training.batch_size, matrix)
        self._n_rows = len(rated_rows(matrix))
        self._optimizer = make_optimizer(training)
        self._run_steps = compile_epoch(self._optimizer, self._batch_size)
        self._pace = Pace(check_stop, _FIRST_CHUNK_STEPS)
        self._fixed: Tensors = {name: tf.constant(array) for name, array in (fixed or {}).items()}

    def initial_state(self) -> RowState:
        """The initial parameters, no moments, no step done."""
        return RowState(
            step=tf.constant(0, tf.int32),
            dense={
                name: make_slots(array, self._optimizer)
                for name, array in self._initial.items()
                if name not in self._tables
            },
            tables={name: make_table(self._initial[name], self._optimizer) for name in self._tables},
        )

    def train_epoch(self, state: RowState, epoch: int) -> tuple[RowState, float]:
        """Every row with entries once; the loss is the mean over them. Without any, nothing moves."""
        if not self._n_rows:
            return state, 0.0
        training = self._training
        batches = shuffle_rows(
            self._matrix, self._channels_of(epoch), self._batch_size, training.random_seed, epoch
        )
        rate_share = tf.constant(training.learning_rate_of(epoch) / training.learning_rate, tf.float32)
        loss_sum = tf.constant(0.0, tf.float64)
        for first, stop in self._pace.chunks(int(batches.row_index.shape[0])):
            state, loss_sum = self._run_steps(
                batches, tf.constant(first), tf.constant(stop), state, rate_share, self._fixed, loss_sum
            )
            require_finite(float(loss_sum), "loss", epoch, training)
        tables = {
            name: catch_up_table(table, self._optimizer, state.step, rate_share)
            for name, table in state.tables.items()
        }
        return state._replace(tables=tables), float(loss_sum) / self._n_rows

    def judge(self, state: RowState) -> Judgement:
        """Of the weights as they are now."""
        return self._judge(self.weights(state))

    def weights(self, state: RowState) -> dict[str, npt.NDArray[np.float32]]:
        """Every parameter by its name."""
        return {
            **{name: slots[0].numpy() for name, slots in state.dense.items()},
            **{name: rows_of(table, self._optimizer).numpy() for name, table in state.tables.items()},
        }
