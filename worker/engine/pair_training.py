"""Trains a network that scores pairs: what an epoch is, and how good its weights are."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from shared.domain.training import TrainingConfig
from shared.errors import TrialError
from worker.engine.adam import make_optimizer
from worker.engine.batches import shuffle_batches
from worker.engine.epoch import Epoch, compile_epoch
from worker.engine.evaluation import Evaluation, evaluate, evaluate_with_negatives
from worker.engine.fitting import Judgement, require_finite
from worker.engine.negatives import draw_to_judge, known_items
from worker.engine.network import Network
from worker.engine.pace import Pace
from worker.engine.pair_steps import Surroundings, add_features
from worker.engine.state import TrainingState, Weights, catch_up_all, initial_state, weights_of
from worker.engine.tables import rows_of
from worker.families.contract import FitContext
from worker.observations import Observations
from worker.ranking.scorers import Scorer

# Entries of the first chunk of an epoch, of which nobody knows yet how long they take.
_FIRST_CHUNK_STEPS = 64
_FIRST_CHUNK_ENTRIES = 1 << 19


@dataclass(frozen=True, eq=False)
class PairData:
    """Ratings to learn from and ratings to judge by; every index is below its number of rows.

    The ratings are what they are worth to the loss. n_items: the rows from which unrated items are drawn,
    None for all. user_features: (n_users, n_features) float32      item_features: (n_item_rows, n_features)
    """

    n_users: int
    n_item_rows: int
    train: Observations
    validation: Observations
    n_items: int | None = None
    user_features: npt.NDArray[np.float32] | None = None
    item_features: npt.NDArray[np.float32] | None = None


class PairTrainer:
    """One network with its compiled epoch; what changes is passed through as `TrainingState`."""

    def __init__(
        self,
        network: Network,
        weights: Weights,
        training: TrainingConfig,
        data: PairData,
        context: FitContext,
        *,
        numbers_per_pair: int,
        make_scorer: Callable[[Weights], Scorer] | None = None,
    ) -> None:
        """`weights`: the initial ones. `numbers_per_pair`: size of the largest tensor that a pair needs.

        With `make_scorer`, epochs are judged by the sweep's objective where that judges lists.
        """
        if not len(data.train):
            raise TrialError(
                "dataset",
                "training needs a rating to learn from; none is left in the training part: choose another "
                "target or relevance_threshold, or a smaller share to hold out",
            )
        self._network = network
        self._weights = weights
        self._training = training
        self._data = data
        self._context = context
        self._numbers_per_pair = numbers_per_pair
        self._make_scorer = make_scorer
        # A batch larger than the data would be padding only.
        self._batch_size = min(training.batch_size, len(data.train))
        entries = self._batch_size * (1 + network.loss.n_negatives)
        first_chunk = max(1, min(_FIRST_CHUNK_STEPS, _FIRST_CHUNK_ENTRIES // entries))
        self._pace = Pace(context.check_stop, first_chunk)
        self._optimizer = make_optimizer(training)
        self._run_steps: Epoch = compile_epoch(network, self._optimizer, self._batch_size)
        self._surroundings = None if network.is_plain else self._look_around()
        self._judged = None
        if network.loss.n_negatives:
            self._judged = draw_to_judge(
                data.train,
                data.validation,
                data.n_items or data.n_item_rows,
                network.loss.n_negatives,
                training.random_seed,
            )

    def initial_state(self) -> TrainingState:
        """The initial weights, no moments."""
        return initial_state(self._network, self._weights, self._optimizer)

    def train_epoch(self, state: TrainingState, epoch: int) -> tuple[TrainingState, float]:
        """Every rating once."""
        batches = shuffle_batches(self._data.train, self._batch_size, self._training.random_seed, epoch)
        loss_sum = tf.constant(0.0, tf.float64)
        others = () if self._surroundings is None else (self._surroundings,)
        for first, stop in self._pace.chunks(int(batches.rating.shape[0])):
            state, loss_sum = self._run_steps(
                batches, tf.constant(first), tf.constant(stop), state, loss_sum, *others
            )
            require_finite(float(loss_sum), "loss", epoch, self._training)
        return catch_up_all(state, self._optimizer), float(loss_sum) / len(self._data.train)

    def judge(self, state: TrainingState) -> Judgement:
        """The loss on validation, the RMSE where scores are ratings, and the objective if it judges lists."""
        objective = None
        if self._make_scorer and self._context.objective_of and self._context.is_larger_better:
            objective = self._context.objective_of(self._make_scorer(self.weights(state)))
        if not len(self._data.validation):
            return Judgement(objective=objective)
        found = self._evaluate(state)
        return Judgement(val_loss=found.loss, val_rmse=found.rmse, objective=objective)

    def weights(self, state: TrainingState) -> Weights:
        """Copies of the trained numbers."""
        return weights_of(self._network, state, self._optimizer)

    def _look_around(self) -> Surroundings:
        data, network = self._data, self._network
        # 31 bits of any seed; it shares no stream with the shuffling, which is another generator.
        seed = int(np.random.SeedSequence(self._training.random_seed).generate_state(1)[0] >> 1)
        known: Any = ()
        if network.loss.n_negatives:
            known = known_items(data.train, data.n_users, data.n_items or data.n_item_rows)
        features = (data.user_features, data.item_features)
        user_features, item_features = (
            tf.constant(one) if has_features else ()
            for one, has_features in zip(features, network.featured, strict=True)
        )
        return Surroundings(tf.constant(seed, tf.int32), known, user_features, item_features)

    def _evaluate(self, state: TrainingState) -> Evaluation:
        dense = [slots[0] for slots in state.dense]
        rows = (rows_of(state.user_table, self._optimizer), rows_of(state.item_table, self._optimizer))
        if self._surroundings is not None:
            features = (self._surroundings.user_features, self._surroundings.item_features)
            rows = add_features(self._network, dense, rows, features)
        if self._judged is not None:
            return evaluate_with_negatives(self._network, dense, rows, self._judged, self._numbers_per_pair)
        head = dense[: self._network.n_head]
        return evaluate(self._network.forward, head, rows, self._data.validation, self._numbers_per_pair)
