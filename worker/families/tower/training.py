"""Trains one architecture: epochs, early stopping, best weights, checkpoint and resume."""

from collections.abc import Callable
from dataclasses import asdict, dataclass

import keras
import tensorflow as tf

from shared.domain.families.tower import Tower
from shared.domain.results import EpochRecord
from shared.domain.training import TrainingConfig
from worker.engine.adam import make_optimizer
from worker.engine.batches import shuffle_batches
from worker.engine.checkpoint import identify
from worker.engine.epoch import Epoch, compile_epoch
from worker.engine.evaluation import evaluate
from worker.engine.fitting import Judgement, fit_in_epochs, require_finite
from worker.engine.forward import Forward, make_forward
from worker.engine.optimizers import Optimizer
from worker.engine.pace import Pace
from worker.engine.state import TrainingState, catch_up_all, initial_state, weights_of
from worker.engine.tables import embedding_of
from worker.families.contract import CheckpointStore, FitContext
from worker.families.tower.model import RatingModel, build_model
from worker.families.tower.weights import Array, from_named
from worker.observations import Observations

# The source that a trained model depends on: a checkpoint of another is not resumed.
_CODE_OF_RESULTS = ("worker/engine", "worker/families/tower")


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

    @property
    def val_loss(self) -> float | None:
        """Mean squared error over all outputs."""
        return self.epochs[self.best_epoch - 1].val_loss

    @property
    def val_rmse(self) -> float | None:
        """RMSE of the served prediction."""
        return self.epochs[self.best_epoch - 1].val_rmse


def train(
    architecture: Tower,
    training: TrainingConfig,
    data: TrainingData,
    *,
    checkpoint: CheckpointStore | None,
    on_epoch: Callable[[EpochRecord], None],
    check_stop: Callable[[], None],
    n_epochs: int | None = None,
) -> TrainedModel:
    """Train until `max_epochs`, or until `patience` epochs in a row brought no lower val_loss.

    The result depends on the arguments alone, bit for bit on one kind of machine, whether or not training
    was stopped and resumed from `checkpoint`, which is saved after every epoch. `on_epoch` gets the epochs
    trained here, not those resumed. `check_stop` is called about every second and stops by raising.
    `n_epochs`: of a refit, exactly so many; nothing judges them. Raises TrialError "not_finite_loss" when a
    loss is NaN or infinite.
    """
    trainer = _Trainer(architecture, training, data, check_stop)
    progress = fit_in_epochs(
        trainer,
        training,
        FitContext(check_stop=check_stop, on_epoch=on_epoch, checkpoint=checkpoint, n_epochs=n_epochs),
        lambda: _identify(architecture, training, data),
    )
    model = trainer.model
    model.set_weights(from_named(progress.best))
    return TrainedModel(model, progress.epochs, progress.best_epoch)


class _Trainer:
    """One model with its compiled epoch; what changes is passed through as `TrainingState`."""

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
        self._pace = Pace(check_stop)
        # A batch larger than the data would be padding only.
        self._batch_size = min(training.batch_size, len(data.train))
        self._optimizer: Optimizer = make_optimizer(training)
        self._forward: Forward = make_forward(architecture)
        self._run_steps: Epoch = compile_epoch(architecture, self._optimizer, self._batch_size)
        # A linear head never makes more of a rating than its two rows; others pass every output through
        # every layer.
        widest = max(2 * architecture.embedding_size, *architecture.dense_layers)
        self._numbers_per_rating = widest * (1 if architecture.is_linear else self.model.n_outputs)

    def initial_state(self) -> TrainingState:
        return initial_state(self.model.weights(), self._optimizer)

    def train_epoch(self, state: TrainingState, epoch: int) -> tuple[TrainingState, float]:
        batches = shuffle_batches(self._data.train, self._batch_size, self._training.random_seed, epoch)
        loss_sum = tf.constant(0.0, tf.float64)
        for first, stop in self._pace.chunks(int(batches.rating.shape[0])):
            state, loss_sum = self._run_steps(batches, tf.constant(first), tf.constant(stop), state, loss_sum)
            require_finite(float(loss_sum), "loss", epoch, self._training)
        return catch_up_all(state, self._optimizer), float(loss_sum) / len(self._data.train)

    def judge(self, state: TrainingState) -> Judgement:
        if not len(self._data.validation):
            return Judgement()
        evaluation = evaluate(
            self._forward,
            [slots[0] for slots in state.dense],
            (
                embedding_of(state.user_table, self._optimizer),
                embedding_of(state.item_table, self._optimizer),
            ),
            self._data.validation,
            self._numbers_per_rating,
        )
        return Judgement(val_loss=evaluation.loss, val_rmse=evaluation.rmse)

    def weights(self, state: TrainingState) -> dict[str, Array]:
        return weights_of(state, self._optimizer).named()


def _identify(architecture: Tower, training: TrainingConfig, data: TrainingData) -> str:
    settings = {
        "keras": keras.__version__,
        "architecture": asdict(architecture),
        "training": asdict(training),
        "rows": [data.n_users, data.n_item_rows],
    }
    parts = (data.train, data.validation)
    arrays = [array for part in parts for array in (part.user_index, part.item_index, part.rating)]
    return identify(_CODE_OF_RESULTS, settings, arrays)
