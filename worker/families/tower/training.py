"""Trains one architecture: epochs, early stopping, best weights, checkpoint and resume."""

import hashlib
import json
import logging
import math
import time
import typing
from collections.abc import Callable
from dataclasses import asdict, dataclass

import keras
import numpy as np
import tensorflow as tf

from shared.domain.families.tower import Tower
from shared.domain.records import EpochRecord
from shared.domain.training import TrainingConfig
from shared.errors import TrialError
from shared.version import source_fingerprint
from worker.engine.adam import Adam
from worker.engine.batches import Batches, shuffle_batches
from worker.engine.checkpoint import TrainingProgress, pack_progress, unpack_progress
from worker.engine.epoch import Epoch, compile_epoch
from worker.engine.evaluation import Evaluation, evaluate
from worker.engine.forward import Forward, make_forward
from worker.engine.optimizers import Adamax, Optimizer, Sgd
from worker.engine.state import TrainingState, catch_up_all, embedding_of, initial_state, weights_of
from worker.families.tower.model import RatingModel, build_model
from worker.observations import Observations
from worker.process.memory import keep_imports, return_memory

logger = logging.getLogger(__name__)

# The source that a trained model depends on: a checkpoint of another is not resumed.
_CODE_OF_RESULTS = ("worker/engine", "worker/families/tower")
_CHUNK_SECONDS = 1.0
_FIRST_CHUNK_STEPS = 64
_MAX_CHUNK_GROWTH = 16


@dataclass(frozen=True, eq=False)
class TrainingData:
    """Ratings to learn from and ratings to judge by; every index is below its number of rows."""

    n_users: int
    n_item_rows: int
    train: Observations
    validation: Observations


@dataclass(frozen=True, eq=False)
class TrainedModel:
    """The model with the weights of its best epoch; `val_loss` and `val_rmse` are of that epoch."""

    model: RatingModel
    epochs: tuple[EpochRecord, ...]
    best_epoch: int
    val_loss: float
    val_rmse: float


class CheckpointStore(typing.Protocol):
    """Where the one checkpoint of a trial is kept."""

    def load(self) -> bytes | None:
        """The last content saved, None when there is none."""

    def save(self, content: bytes) -> None:
        """Replace the content, wholly or not at all."""


def train(
    architecture: Tower,
    training: TrainingConfig,
    data: TrainingData,
    *,
    checkpoint: CheckpointStore | None,
    on_epoch: Callable[[EpochRecord], None],
    check_stop: Callable[[], None],
) -> TrainedModel:
    """Train until `max_epochs`, or until `patience` epochs in a row brought no lower val_loss.

    The result depends on the arguments alone, bit for bit on one kind of machine, whether or not training
    was stopped and resumed from `checkpoint`, which is saved after every epoch. `on_epoch` gets the epochs
    trained here, not those resumed. `check_stop` is called about every second and stops by raising.
    Raises TrialError "not_finite_loss" when a loss is NaN or infinite.
    """
    keep_imports()
    trainer = _Trainer(architecture, training, data, check_stop)
    fresh = TrainingProgress(trainer.initial_state(), trainer.model.weights())
    progress = fresh
    if checkpoint is not None:
        belongs_to = _digest(architecture, training, data)
        content = checkpoint.load()
        if content is not None:
            progress = unpack_progress(content, belongs_to, fresh)
            logger.info("checkpoint read: %d epochs are done", len(progress.epochs))
    del fresh
    while not progress.is_over(training.max_epochs, training.patience):
        progress = trainer.train_epoch(progress)
        on_epoch(progress.epochs[-1])
        if checkpoint is not None:
            checkpoint.save(pack_progress(progress, belongs_to))
    model = trainer.model
    model.set_weights(progress.best)
    del trainer
    return_memory()
    best = progress.epochs[progress.best_epoch - 1]
    return TrainedModel(model, progress.epochs, best.epoch, best.val_loss, best.val_rmse)


class _Trainer:
    """One model with its compiled epoch; what changes is passed through as `TrainingProgress`."""

    def __init__(
        self,
        architecture: Tower,
        training: TrainingConfig,
        data: TrainingData,
        check_stop: Callable[[], None],
    ) -> None:
        self.model = build_model(architecture, data.n_users, data.n_item_rows, training.random_seed)
        self._training = training
        self._data = data
        self._check_stop = check_stop
        # A batch larger than the data would be padding only.
        self._batch_size = min(training.batch_size, len(data.train))
        self._optimizer: Optimizer = _make_optimizer(training)
        self._forward: Forward = make_forward(architecture)
        self._run_steps: Epoch = compile_epoch(architecture, self._optimizer, self._batch_size)
        self._chunk_steps = _FIRST_CHUNK_STEPS
        # A linear head never makes more of a rating than its two rows; others pass every output through
        # every layer.
        widest = max(2 * architecture.embedding_size, *architecture.dense_layers)
        self._numbers_per_rating = widest * (1 if architecture.is_linear else self.model.n_outputs)

    def initial_state(self) -> TrainingState:
        return initial_state(self.model.weights(), self._optimizer)

    def train_epoch(self, progress: TrainingProgress) -> TrainingProgress:
        started = time.perf_counter()
        epoch = len(progress.epochs) + 1
        batches = shuffle_batches(self._data.train, self._batch_size, self._training.random_seed, epoch)
        state, loss = self._run_batches(batches, progress.state, epoch)
        if epoch == 1:
            # The compiler needed as much as the training does; it is done.
            return_memory()
        state = catch_up_all(state, self._optimizer)
        evaluation = self._evaluate(state)
        _require_finite(evaluation.loss, "val_loss", epoch, self._training)
        record = EpochRecord(epoch, loss, evaluation.loss, evaluation.rmse, time.perf_counter() - started)
        logger.debug("epoch %d: loss %.4f, val_loss %.4f", epoch, record.loss, record.val_loss)
        progress = TrainingProgress(state, progress.best, (*progress.epochs, record))
        if progress.best_epoch == epoch:
            progress = TrainingProgress(state, weights_of(state, self._optimizer), progress.epochs)
        return progress

    def _run_batches(self, batches: Batches, state: TrainingState, epoch: int) -> tuple[TrainingState, float]:
        n_steps = int(batches.rating.shape[0])
        loss_sum = tf.constant(0.0, tf.float64)
        first = 0
        while first < n_steps:
            self._check_stop()
            stop = min(first + self._chunk_steps, n_steps)
            started = time.perf_counter()
            state, loss_sum = self._run_steps(batches, tf.constant(first), tf.constant(stop), state, loss_sum)
            _require_finite(float(loss_sum), "loss", epoch, self._training)
            self._adapt_chunk(stop - first, time.perf_counter() - started)
            first = stop
        return state, float(loss_sum) / len(self._data.train)

    def _adapt_chunk(self, n_steps: int, seconds: float) -> None:
        # How an epoch is cut into chunks has no effect on its result, only on how often stop is checked.
        wanted = int(n_steps * _CHUNK_SECONDS / max(seconds, 1e-6))
        self._chunk_steps = max(1, min(wanted, self._chunk_steps * _MAX_CHUNK_GROWTH))

    def _evaluate(self, state: TrainingState) -> Evaluation:
        return evaluate(
            self._forward,
            [slots[0] for slots in state.dense],
            (
                embedding_of(state.user_table, self._optimizer),
                embedding_of(state.item_table, self._optimizer),
            ),
            self._data.validation,
            self._numbers_per_rating,
        )


def _make_optimizer(training: TrainingConfig) -> Optimizer:
    match training.optimizer:
        case "adamax":
            return Adamax(training.learning_rate)
        case "adam":
            return Adam(training.learning_rate)
        case "sgd":
            return Sgd(training.learning_rate)


def _require_finite(loss: float, name: str, epoch: int, training: TrainingConfig) -> None:
    if not math.isfinite(loss):
        raise TrialError(
            "not_finite_loss",
            f"{name} must stay finite; it became {loss} in epoch {epoch}: lower the learning rate, now "
            f"{training.learning_rate}, or check the ratings",
        )


def _digest(architecture: Tower, training: TrainingConfig, data: TrainingData) -> str:
    """64 hex digits of all that a result depends on."""
    parts = {
        "code": source_fingerprint(*_CODE_OF_RESULTS),
        "libraries": [tf.__version__, keras.__version__, np.__version__],
        "architecture": asdict(architecture),
        "training": asdict(training),
        "rows": [data.n_users, data.n_item_rows],
    }
    digest = hashlib.sha256(json.dumps(parts, sort_keys=True).encode())
    for ratings in (data.train, data.validation):
        digest.update(str(len(ratings)).encode())
        for array in (ratings.user_index, ratings.item_index, ratings.rating):
            digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()
