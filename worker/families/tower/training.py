"""Trains one architecture: epochs, early stopping, best weights, checkpoint and resume."""

from collections.abc import Callable
from dataclasses import asdict, dataclass

import keras

from shared.domain.families.tower import Tower
from shared.domain.results import EpochRecord
from shared.domain.training import TrainingConfig
from worker.engine.checkpoint import identify
from worker.engine.fitting import fit_in_epochs
from worker.engine.pair_training import PairData, PairTrainer
from worker.engine.state import Weights
from worker.families.contract import CheckpointStore, FitContext
from worker.families.tower.model import RatingModel, build_model
from worker.families.tower.network import tower_network
from worker.families.tower.weights import from_named
from worker.ranking.scorers import Scorer

# The source that a trained model depends on: a checkpoint of another is not resumed.
_CODE_OF_RESULTS = ("worker/engine", "worker/families/tower")

TrainingData = PairData


@dataclass(frozen=True, eq=False)
class TrainedModel:
    """The model with the weights of its best epoch; `val_loss` and `val_rmse` are of that epoch."""

    model: RatingModel
    epochs: tuple[EpochRecord, ...]
    best_epoch: int

    @property
    def val_loss(self) -> float | None:
        """What training minimises, on validation."""
        return self.epochs[self.best_epoch - 1].val_loss

    @property
    def val_rmse(self) -> float | None:
        """RMSE of the served prediction, None where it is no rating."""
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
    """As `fit_tower`, judged by val_loss alone. `n_epochs`: of a refit, exactly so many."""
    context = FitContext(check_stop=check_stop, on_epoch=on_epoch, checkpoint=checkpoint, n_epochs=n_epochs)
    return fit_tower(architecture, training, data, context)


def fit_tower(
    architecture: Tower,
    training: TrainingConfig,
    data: TrainingData,
    context: FitContext,
    make_scorer: Callable[[Weights], Scorer] | None = None,
) -> TrainedModel:
    """Train until `max_epochs`, or until `patience` epochs in a row brought nothing better.

    Epochs are judged by the sweep's objective where that judges lists and `make_scorer` is given, else by
    val_loss. The result depends on the arguments alone, bit for bit on one kind of machine, whether or not
    training was stopped and resumed from the checkpoint, which is saved after every epoch. `on_epoch` gets
    the epochs trained here, not those resumed. `check_stop` is called about every second and stops by
    raising. Raises TrialError "not_finite_loss" when a loss is NaN or infinite.
    """
    model = build_model(architecture, data.n_users, data.n_item_rows, training.random_seed)
    if architecture.biases and architecture.predicts_ratings and len(data.train):
        model.start_at(float(data.train.rating.mean(dtype="float64")))
    network = tower_network(architecture)
    # A linear head never makes more of a rating than its two rows; others pass every output through every
    # layer.
    widest = max(2 * architecture.embedding_size, *architecture.dense_layers)
    trainer = PairTrainer(
        network,
        model.weights().named(),
        training,
        data,
        context,
        numbers_per_pair=widest * (1 if architecture.is_linear else model.n_outputs),
        make_scorer=make_scorer,
    )
    progress = fit_in_epochs(trainer, training, context, lambda: _identify(architecture, training, data))
    model.set_weights(from_named(progress.best))
    return TrainedModel(model, progress.epochs, progress.best_epoch)


def _identify(architecture: Tower, training: TrainingConfig, data: TrainingData) -> str:
    settings = {
        "keras": keras.__version__,
        "architecture": asdict(architecture),
        "training": asdict(training),
        "rows": [data.n_users, data.n_item_rows, data.n_items],
    }
    parts = (data.train, data.validation)
    arrays = [array for part in parts for array in (part.user_index, part.item_index, part.rating)]
    return identify(_CODE_OF_RESULTS, settings, arrays)
