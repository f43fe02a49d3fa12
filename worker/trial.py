"""One trial from data to result; no Celery, no SQL."""

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from shared.artifacts import read_artifact, write_artifact
from shared.datasets import Dataset, Split, n_item_rows, split_ratings
from shared.errors import TrialError
from shared.store import Claim, EpochRecord, TrialResult
from worker.families.baselines import fit_baseline
from worker.metrics.validation import validation_metrics
from worker.process.memory import peak_memory_bytes, reset_peak_memory
from worker.process.quiet import quiet_tensorflow
from worker.ranking.scorers import Scorer
from worker.ranking.top_k import predict_top_rated, recommend_all
from worker.trial_log import TrialLog

if TYPE_CHECKING:
    from worker.families.tower.training import TrainedModel


class ArtifactCheckpoint:
    """The checkpoint of one trial in the artifact store; any attempt on any machine finds it."""

    def __init__(self, url: str, log: TrialLog) -> None:
        self._url = url
        self._log = log

    def load(self) -> bytes | None:
        """The newest checkpoint, None when there is none."""
        try:
            return read_artifact(self._url)
        except FileNotFoundError:
            return None

    def save(self, content: bytes) -> None:
        """Replace the checkpoint, and save the log with it."""
        write_artifact(self._url, content)
        self._log.save()


def trial_folder(artifacts_url: str, claim: Claim) -> str:
    """Where all attempts of a trial leave their files; it goes with the folder of its sweep."""
    return f"{artifacts_url}/sweep-{claim.sweep_id}/{claim.label}"


def checkpoint_url(artifacts_url: str, claim: Claim) -> str:
    """Where the checkpoint of a trial lies, for every attempt; of no more use when its result is stored."""
    return f"{trial_folder(artifacts_url, claim)}/checkpoint.npz"


def attempt_folder(artifacts_url: str, claim: Claim) -> str:
    """Where one attempt leaves its model and its log."""
    return f"{trial_folder(artifacts_url, claim)}/attempt-{claim.attempt}"


def log_url(artifacts_url: str, claim: Claim) -> str:
    """Where the log of one attempt lies."""
    return f"{attempt_folder(artifacts_url, claim)}/trial.log"


def run_trial(
    claim: Claim,
    dataset: Dataset,
    artifacts_url: str,
    on_epoch: Callable[[EpochRecord], None],
    check_stop: Callable[[], None],
) -> TrialResult:
    """Train, evaluate and recommend; the model and the log are saved, nothing is in the database yet.

    Raises TrialError with its reason, and whatever `check_stop` raises.
    """
    reset_peak_memory()
    log = TrialLog(log_url(artifacts_url, claim))
    log.write(
        f"trial {claim.trial_id} {claim.label}, sweep {claim.sweep_id}, attempt {claim.attempt}, "
        f"data {claim.dataset_name} {claim.fingerprint}, {claim.protocol}"
    )
    try:
        # An attempt that is killed before its first epoch has a log too.
        log.save()
        split = split_ratings(dataset, claim.protocol)
        if claim.config.baseline is not None:
            fitted = _fit_baseline(claim.config.baseline, dataset, split)
        else:
            fitted = _train(claim, dataset, split, artifacts_url, log, on_epoch, check_stop)
        check_stop()
        return _evaluate(claim, dataset, split, fitted, log)
    except BaseException as error:
        log.write(f"ended without a result: {type(error).__name__}: {error}")
        raise
    finally:
        log.save()


@dataclass(frozen=True)
class _Fitted:
    scorer: Scorer
    n_parameters: int
    train_seconds: float
    trained: "TrainedModel | None" = None
    model_url: str | None = None


def _fit_baseline(baseline: Baseline, dataset: Dataset, split: Split) -> _Fitted:
    started = time.perf_counter()
    scorer, n_parameters = fit_baseline(baseline, dataset, split)
    return _Fitted(scorer, n_parameters, time.perf_counter() - started)


def _train(  # noqa: PLR0917  Its arguments are those of the trial, passed on once.
    claim: Claim,
    dataset: Dataset,
    split: Split,
    artifacts_url: str,
    log: TrialLog,
    on_epoch: Callable[[EpochRecord], None],
    check_stop: Callable[[], None],
) -> _Fitted:
    quiet_tensorflow()
    # They import it; a baseline does not need it.
    from worker.engine.batches import Ratings  # noqa: PLC0415
    from worker.families.tower.scorer import weights_scorer  # noqa: PLC0415
    from worker.families.tower.training import TrainingData, train  # noqa: PLC0415

    architecture, training = claim.config.architecture, claim.config.training
    if architecture is None or training is None:
        raise TrialError("error", f"trial {claim.trial_id} has neither an architecture nor a baseline")

    def take_part(positions: npt.NDArray[np.int64]) -> Ratings:
        return Ratings(
            dataset.user_index[positions], dataset.item_index[positions], dataset.ratings[positions]
        )

    def log_epoch(epoch: EpochRecord) -> None:
        log.write(
            f"epoch {epoch.epoch}/{training.max_epochs} - {epoch.seconds:.2f}s - loss: {epoch.loss:.4f} "
            f"- val_loss: {epoch.val_loss:.4f} - val_rmse: {epoch.val_rmse:.4f}"
        )
        on_epoch(epoch)

    started = time.perf_counter()
    data = TrainingData(
        n_users=dataset.n_users,
        n_item_rows=n_item_rows(dataset, claim.protocol),
        train=take_part(split.train),
        validation=take_part(split.validation),
    )
    trained = train(
        architecture,
        training,
        data,
        checkpoint=ArtifactCheckpoint(checkpoint_url(artifacts_url, claim), log),
        on_epoch=log_epoch,
        check_stop=check_stop,
    )
    train_seconds = time.perf_counter() - started
    log.write(f"smallest validation RMSE {trained.val_rmse:.4f} at epoch {trained.best_epoch}")
    log.write(trained.model.summary())
    model_url = f"{attempt_folder(artifacts_url, claim)}/{claim.label}.keras"
    with tempfile.TemporaryDirectory(prefix="recsweep-") as temporary:
        path = Path(temporary) / f"{claim.label}.keras"
        trained.model.save(path)
        write_artifact(model_url, path.read_bytes())
    scorer = weights_scorer(architecture, trained.model.weights(), dataset.n_items)
    return _Fitted(scorer, trained.model.n_parameters, train_seconds, trained, model_url)


def _evaluate(claim: Claim, dataset: Dataset, split: Split, fitted: _Fitted, log: TrialLog) -> TrialResult:
    rankings = recommend_all(fitted.scorer, dataset, split, claim.protocol)
    metrics = validation_metrics(fitted.scorer, dataset, split, claim.protocol, rankings)
    log.write(", ".join(f"{name} {value:.4f}" for name, value in metrics.items()))
    trained = fitted.trained
    return TrialResult(
        n_parameters=fitted.n_parameters,
        best_epoch=trained.best_epoch if trained else None,
        val_loss=trained.val_loss if trained else None,
        val_rmse=trained.val_rmse if trained else metrics["rmse"],
        metrics=metrics,
        epochs=trained.epochs if trained else (),
        recommendations=rankings.recommendations,
        rating_predictions=predict_top_rated(fitted.scorer, dataset, claim.protocol),
        model_url=fitted.model_url,
        log_url=log.url,
        train_seconds=fitted.train_seconds,
        peak_memory_bytes=peak_memory_bytes(),
    )
