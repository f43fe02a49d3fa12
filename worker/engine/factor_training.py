"""Trains on batches of ratings: the EpochTrainer of a model with a table of users and one of items."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy.typing as npt
import tensorflow as tf

from shared.domain.training import TrainingConfig
from worker.engine.adam import make_optimizer
from worker.engine.batches import shuffle_batches
from worker.engine.factor_epoch import FactorEpoch, FactorState, catch_up_state, factors_of, start_state
from worker.engine.fitting import Judgement, require_finite
from worker.engine.optimizers import Optimizer
from worker.engine.pace import Pace
from worker.observations import Observations
from worker.ranking.scorers import Float32s

NamedArrays = Mapping[str, npt.NDArray[Any]]


class FactorTrainer:
    """An EpochTrainer over ratings.

    compile_epoch: (optimizer, batch size) -> the compiled epoch, which `compile_factor_epoch` makes
    users, items: the initial tables, one row a user or item
    ridges: (n_users,) and (n_items,), what the squared length of a row costs for every rating of it
    name_weights: (users, items) -> the weights by name      judge: what they are worth on validation
    """

    def __init__(
        self,
        ratings: Observations,
        compile_epoch: Callable[[Optimizer, int], FactorEpoch],
        users: Float32s,
        items: Float32s,
        ridges: tuple[Float32s, Float32s],
        *,
        training: TrainingConfig,
        check_stop: Callable[[], None],
        name_weights: Callable[[Float32s, Float32s], NamedArrays],
        judge: Callable[[NamedArrays], Judgement],
    ) -> None:
        self._ratings, self._initial, self._training = ratings, (users, items), training
        self._ridges = tuple(map(tf.constant, ridges))
        self._name_weights, self._judge = name_weights, judge
        # A batch larger than the data would be padding only.
        self._batch_size = max(1, min(training.batch_size, len(ratings)))
        self._optimizer = make_optimizer(training)
        self._run_steps = compile_epoch(self._optimizer, self._batch_size)
        self._pace = Pace(check_stop)

    def initial_state(self) -> FactorState:
        """The initial tables, no moments, no step done."""
        return start_state(*self._initial, self._optimizer, self._batch_size)

    def train_epoch(self, state: FactorState, epoch: int) -> tuple[FactorState, float]:
        """Every rating once; the loss is the mean over them. Without any, nothing moves."""
        if not len(self._ratings):
            return state, 0.0
        training = self._training
        batches = shuffle_batches(self._ratings, self._batch_size, training.random_seed, epoch)
        rate_share = tf.constant(training.learning_rate_of(epoch) / training.learning_rate, tf.float32)
        loss_sum = tf.constant(0.0, tf.float64)
        for first, stop in self._pace.chunks(int(batches.rating.shape[0])):
            state, loss_sum = self._run_steps(
                batches, tf.constant(first), tf.constant(stop), state, rate_share, self._ridges, loss_sum
            )
            require_finite(float(loss_sum), "loss", epoch, training)
        state = catch_up_state(state, self._optimizer, rate_share)
        return state, float(loss_sum) / len(self._ratings)

    def judge(self, state: FactorState) -> Judgement:
        """Of the weights as they are now."""
        return self._judge(self.weights(state))

    def weights(self, state: FactorState) -> NamedArrays:
        """As `name_weights` names them."""
        return self._name_weights(*factors_of(state, self._optimizer))
