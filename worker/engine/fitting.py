"""Trains in epochs: judges each, keeps the best weights, stops early, goes on from a checkpoint.

What an epoch is, a family says with an `EpochTrainer`; everything around it is here, the same for all.
"""

import logging
import math
import time
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from shared.domain.results import EpochRecord
from shared.domain.training import TrainingConfig
from shared.errors import TrialError
from worker.engine.checkpoint import TrainingProgress, pack_progress, unpack_progress
from worker.families.contract import FitContext, Fitted
from worker.observations import Observations
from worker.process.memory import keep_imports, return_memory
from worker.ranking.scorers import Scorer

logger = logging.getLogger(__name__)

State = TypeVar("State")


@dataclass(frozen=True)
class Judgement:
    """What the weights of an epoch are worth on validation, as in EpochRecord; None is what there is not."""

    val_loss: float | None = None
    val_rmse: float | None = None
    objective: float | None = None


class EpochTrainer(typing.Protocol[State]):
    """What one family does in an epoch. What changes is passed through as `state`, tensors in any nest."""

    def initial_state(self) -> State:
        """Before the first epoch; it depends on configuration and data alone."""

    def train_epoch(self, state: State, epoch: int) -> tuple[State, float]:
        """The state after epoch number `epoch`, from 1, and the mean training loss during it.

        It depends on its arguments alone, and asks about every second whether to stop: see `Pace`.
        """

    def judge(self, state: State) -> Judgement:
        """How good the weights are on validation; `judge_scorer` for families that have nothing cheaper."""

    def weights(self, state: State) -> Mapping[str, npt.NDArray[Any]]:
        """Copies of the trained numbers: what `make_scorer` takes."""


def fit_in_epochs(
    trainer: EpochTrainer[State],
    training: TrainingConfig,
    context: FitContext,
    belongs_to: Callable[[], str],
) -> TrainingProgress[State]:
    """Train until `max_epochs`, or until `patience` epochs in a row were no better than the best before.

    A refit has exactly `context.n_epochs`: nothing judges them, and the last one is kept.

    The result is the same bit for bit on one kind of machine, whether or not training was stopped and resumed
    from `context.checkpoint`, which is saved after every epoch. `belongs_to` gives what identifies the
    training (`identify`). `context.on_epoch` gets the epochs trained here, not those resumed.
    Raises TrialError "not_finite_loss" when a loss or a judgement is NaN or infinite.
    """
    keep_imports()
    state = trainer.initial_state()
    progress = fresh = TrainingProgress(
        state, trainer.weights(state), is_larger_better=context.is_larger_better
    )
    key = ""
    if context.checkpoint is not None:
        key = belongs_to()
        content = context.checkpoint.load()
        if content is not None:
            progress = unpack_progress(content, key, fresh)
            logger.info("checkpoint read: %d epochs are done", len(progress.epochs))
    # The initial state is as large as the one that replaces it.
    del fresh, state
    while not progress.is_over(context.n_epochs or training.max_epochs, training.patience):
        progress = _train_epoch(trainer, training, progress)
        try:
            context.on_epoch(progress.epochs[-1])
        finally:
            # Where it ends the training too: whoever goes on later need not train this epoch again.
            if context.checkpoint is not None:
                context.checkpoint.save(pack_progress(progress, key))
    return_memory()
    return progress


def _train_epoch(
    trainer: EpochTrainer[State], training: TrainingConfig, progress: TrainingProgress[State]
) -> TrainingProgress[State]:
    started = time.perf_counter()
    epoch = len(progress.epochs) + 1
    state, loss = trainer.train_epoch(progress.state, epoch)
    if epoch == 1:
        # The compiler needed as much as the training does; it is done.
        return_memory()
    require_finite(loss, "loss", epoch, training)
    judged = trainer.judge(state)
    for name in ("val_loss", "val_rmse", "objective"):
        value = getattr(judged, name)
        if value is not None:
            require_finite(value, name, epoch, training)
    record = EpochRecord(
        epoch,
        loss,
        judged.val_loss,
        judged.val_rmse,
        time.perf_counter() - started,
        judged.objective,
    )
    logger.debug("%s", record)
    progress = replace(progress, state=state, epochs=(*progress.epochs, record))
    if progress.best_epoch == epoch:
        progress = replace(progress, best=trainer.weights(state))
    return progress


def require_finite(loss: float, name: str, epoch: int, training: TrainingConfig) -> None:
    """Raise TrialError "not_finite_loss" for NaN and infinity."""
    if not math.isfinite(loss):
        raise TrialError(
            "not_finite_loss",
            f"{name} must stay finite; it became {loss} in epoch {epoch}: lower the learning rate, now "
            f"{training.learning_rate}, or check the ratings",
        )


def judge_scorer(scorer: Scorer, validation: Observations, context: FitContext) -> Judgement:
    """The RMSE of predicted ratings where there are any, and the objective where the context gives one."""
    val_rmse = None
    if scorer.predicts_ratings and len(validation):
        predicted = scorer.predict_ratings(validation.user_index, validation.item_index)
        val_rmse = float(np.sqrt(np.mean((predicted - validation.rating) ** 2)))
    objective = None
    if context.objective_of is not None:
        value = context.objective_of(scorer)
        objective = value if context.is_larger_better else -value
    return Judgement(val_rmse=val_rmse, objective=objective)


def fitted_of(progress: TrainingProgress[Any], n_parameters: int, summary: str = "") -> Fitted:
    """What a family returns: the weights of the best epoch."""
    best = progress.epochs[progress.best_epoch - 1]
    return Fitted(
        progress.best,
        n_parameters,
        epochs=progress.epochs,
        best_epoch=best.epoch,
        val_loss=best.val_loss,
        val_rmse=best.val_rmse,
        summary=summary,
    )
