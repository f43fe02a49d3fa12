"""The training of SVD++: blocks of steps on ratings, and the implicit vectors between them."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import scipy.sparse
import tensorflow as tf

from shared.domain.families.svd_plus_plus import SvdPlusPlus
from shared.domain.training import TrainingConfig
from worker.engine.adam import make_optimizer
from worker.engine.batches import Batches, shuffle_batches
from worker.engine.checkpoint import identify
from worker.engine.factor_epoch import FactorState, catch_up_state, factors_of, start_state
from worker.engine.fitting import Judgement, fit_in_epochs, fitted_of, judge_scorer, require_finite
from worker.engine.optimizers import Slots
from worker.engine.pace import Pace
from worker.engine.tables import make_slots, take_share
from worker.families.contract import FitContext, FitData, Fitted
from worker.families.matrix_factorization.scorer import factor_scorer
from worker.families.svd_plus_plus.epoch import BlockSums, Implicit, compile_block
from worker.observations import Observations

# The source that a trained model depends on: a checkpoint of another is not resumed.
_CODE_OF_RESULTS = ("worker/engine", "worker/families/matrix_factorization", "worker/families/svd_plus_plus")
# The implicit vectors move so often an epoch, and so much faster than what moves with every batch.
_BLOCKS = 8
_IMPLICIT_RATE = 4.0
_START_SCALE = 0.05


class _State(NamedTuple):
    """pairs: the tables that move with every batch      implicit: (n_items, size), with its moments"""

    pairs: FactorState
    implicit: Slots
    n_blocks: tf.Tensor


def train(architecture: SvdPlusPlus, training: TrainingConfig, data: FitData, context: FitContext) -> Fitted:
    """Train with early stopping."""
    trainer = _Trainer(architecture, training, data, context)
    progress = fit_in_epochs(trainer, training, context, lambda: _identify(architecture, training, data))
    n_parameters = sum(array.size for name, array in progress.best.items() if name != "mean")
    # The implicit vectors are in the sums of the user vectors.
    n_parameters += data.n_items * architecture.size if architecture.implicit else 0
    return fitted_of(progress, n_parameters)


class _Trainer:
    """An EpochTrainer."""

    def __init__(
        self, architecture: SvdPlusPlus, training: TrainingConfig, data: FitData, context: FitContext
    ) -> None:
        self._architecture, self._training, self._data, self._context = architecture, training, data, context
        train = data.train
        self._mean = np.float32(train.rating.mean(dtype=np.float64)) if len(train) else np.float32(0)
        self._ratings = Observations(train.user_index, train.item_index, train.rating - self._mean)
        matrix = data.by_user
        n_rated = np.diff(matrix.indptr)
        self._scales = (1 / np.sqrt(np.maximum(n_rated, 1))).astype(np.float32)
        # Row u times the implicit vectors is the user's sum.
        self._sums_of = scipy.sparse.csr_matrix(
            (np.repeat(self._scales, n_rated), matrix.indices, matrix.indptr), matrix.shape
        )
        self._gradients_of = self._sums_of.T.tocsr()
        n_raters = np.bincount(train.item_index, minlength=data.n_items)
        self._share_of_ratings = (n_raters / max(1, len(train))).astype(np.float32)[:, np.newaxis]
        self._is_known = (n_rated > 0, n_raters > 0)
        self._batch_size = max(1, min(training.batch_size, len(train)))
        self._optimizer = make_optimizer(training)
        self._implicit_optimizer = make_optimizer(
            replace(training, learning_rate=training.learning_rate * _IMPLICIT_RATE)
        )
        self._run_steps = compile_block(architecture.size, self._optimizer, self._batch_size)
        self._l2 = tf.constant([architecture.user_l2, architecture.item_l2], tf.float32)
        self._pace = Pace(context.check_stop)

    def initial_state(self) -> _State:
        """Small random vectors; zero for whoever has no ratings, for biases and for implicit vectors."""
        rng = np.random.default_rng(self._training.random_seed)
        size = self._architecture.size
        users, items = (
            np.pad(
                rng.normal(scale=_START_SCALE, size=(len(is_known), size)) * is_known[:, np.newaxis],
                ((0, 0), (0, 1)),
            ).astype(np.float32)
            for is_known in self._is_known
        )
        pairs = start_state(users, items, self._optimizer, self._batch_size)
        implicit = make_slots(np.zeros((self._data.n_items, size), np.float32), self._implicit_optimizer)
        return _State(pairs, implicit, tf.constant(0, tf.int32))

    def train_epoch(self, state: _State, epoch: int) -> tuple[_State, float]:
        """Every rating once, in blocks; the loss is the mean squared error. Without any, nothing moves."""
        if not len(self._ratings):
            return state, 0.0
        training = self._training
        batches = shuffle_batches(self._ratings, self._batch_size, training.random_seed, epoch)
        rate_share = tf.constant(training.learning_rate_of(epoch) / training.learning_rate, tf.float32)
        n_steps, loss = int(batches.rating.shape[0]), 0.0
        ends = sorted({round(n_steps * block / _BLOCKS) for block in range(_BLOCKS + 1)})
        for first, stop in pairwise(ends):
            state, block_loss = self._run_block(state, batches, first, stop, rate_share)
            loss += block_loss
            require_finite(loss, "loss", epoch, training)
        pairs = catch_up_state(state.pairs, self._optimizer, rate_share)
        return state._replace(pairs=pairs), loss / len(self._ratings)

    def judge(self, state: _State) -> Judgement:
        """Of the weights as they are now."""
        scorer = factor_scorer(self.weights(state), predicts_ratings=True)
        return judge_scorer(scorer, self._data.validation, self._context)

    def weights(self, state: _State) -> Mapping[str, npt.NDArray[Any]]:
        """Factors and biases; the sums are in the user vectors."""
        size = self._architecture.size
        users, items = factors_of(state.pairs, self._optimizer)
        return {
            "user_vectors": users[:, :size] + self._sums_of @ state.implicit[0].numpy(),
            "item_vectors": items[:, :size].copy(),
            "user_biases": users[:, size].copy(),
            "item_biases": items[:, size].copy(),
            "mean": np.array(self._mean),
        }

    def _run_block(
        self, state: _State, batches: Batches, first: int, stop: int, rate_share: tf.Tensor
    ) -> tuple[_State, float]:
        vectors, size = state.implicit[0].numpy(), self._architecture.size
        implicit = Implicit(
            tf.constant(self._sums_of @ vectors), tf.constant(self._scales), tf.constant(vectors)
        )
        sums = BlockSums(
            tf.zeros((self._data.n_users, size)),
            tf.zeros((self._data.n_items, size)),
            tf.constant(0.0, tf.float64),
        )
        pairs = state.pairs
        for start, end in self._pace.chunks(stop - first):
            pairs, sums = self._run_steps(
                batches,
                tf.constant(first + start),
                tf.constant(first + end),
                pairs,
                rate_share,
                self._l2,
                implicit,
                sums,
            )
        state = state._replace(pairs=pairs, n_blocks=state.n_blocks + 1)
        if self._architecture.implicit:
            n_ratings = min(stop * self._batch_size, len(self._ratings)) - first * self._batch_size
            gradient = (self._gradients_of @ sums.by_user.numpy() + sums.by_item.numpy()) / n_ratings
            gradient += 2 * self._architecture.implicit_l2 * self._share_of_ratings * vectors
            moved = self._implicit_optimizer.update(
                state.implicit, tf.constant(gradient, tf.float32), state.n_blocks
            )
            state = state._replace(implicit=take_share(state.implicit, moved, rate_share))
        return state, float(sums.loss)


def _identify(architecture: SvdPlusPlus, training: TrainingConfig, data: FitData) -> str:
    return identify(
        _CODE_OF_RESULTS,
        {
            "architecture": asdict(architecture),
            "training": asdict(training),
            "rows": [data.n_users, data.n_items],
        },
        [
            array
            for part in (data.train, data.validation)
            for array in (part.user_index, part.item_index, part.rating)
        ],
    )
