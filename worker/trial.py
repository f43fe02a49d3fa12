"""One trial from data to result; no Celery, no SQL."""

import time
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from shared.artifacts import read_artifact, write_artifact, write_large_artifact
from shared.datasets import Dataset, Split, n_item_rows, refit_split, split_ratings
from shared.domain.protocol import Protocol
from shared.store import Claim, EpochRecord, TrialResult
from worker.blend_parts import read_parts
from worker.families.contract import FitContext, FitData, Fitted
from worker.families.registry import family_of, file_suffix, write_model
from worker.memory_need import require_memory
from worker.metrics import Evaluation, evaluate
from worker.metrics.objective import objective_on_validation
from worker.observations import Observations
from worker.process.memory import peak_memory_bytes, reset_peak_memory
from worker.ranking.scorers import Scorer
from worker.ranking.top_k import predict_top_rated, recommend_all
from worker.trial_log import TrialLog


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
    if claim.refit_of is not None:
        log.write(f"refit of trial {claim.refit_of}: it learns from all {dataset.n_ratings:,} ratings")
    if claim.refreshed_from is not None:
        log.write(
            f"rehearsal after trial {claim.refreshed_from}: the newest ratings judge it at its end alone"
        )
    try:
        # An attempt that is killed before its first epoch has a log too.
        log.save()
        architecture, training = claim.config.architecture, claim.config.training
        require_memory(architecture, dataset)
        split = split_of(claim.refit_of, dataset, claim.protocol)
        # What judges a rehearsal beside the lists that are served must not choose its epochs.
        fitted_by = split if claim.refreshed_from is None else Split(split.train, split.validation[:0])
        data = fit_data(dataset, fitted_by, claim.protocol)
        family = family_of(architecture)
        n_epochs = claim.n_epochs or (training.max_epochs if training else None)
        started = time.perf_counter()
        objective_of = objective_on_validation(
            dataset, fitted_by, claim.protocol, predicts_ratings=architecture.predicts_ratings
        )
        if n_epochs is not None and objective_of is None:
            log.write(f"{claim.protocol.objective} cannot be measured here: training does not stop by it")
        context = FitContext(
            check_stop=check_stop,
            on_epoch=lambda epoch: _show(epoch, n_epochs, log, on_epoch),
            objective_of=objective_of,
            checkpoint=ArtifactCheckpoint(checkpoint_url(artifacts_url, claim), log),
            is_larger_better=claim.protocol.is_larger_better,
            n_epochs=claim.n_epochs,
            parts=read_parts(claim),
        )
        fitted = family.fit(architecture, training, data, context)
        train_seconds = time.perf_counter() - started
        log.write(f"fitted in {train_seconds:.2f} s, {fitted.n_parameters:,} numbers learned")
        if fitted.best_epoch is not None:
            best = fitted.epochs[fitted.best_epoch - 1]
            log.write(f"best epoch {best.epoch}{_measured(best)}")
        if fitted.summary:
            log.write(fitted.summary)
        # A baseline is fitted anew in less time than it takes to read it.
        model_url = None
        if not claim.config.is_baseline:
            model_url = f"{attempt_folder(artifacts_url, claim)}/{claim.label}{file_suffix(family)}"
            write_large_artifact(model_url, lambda file: write_model(family, fitted, file))
        scorer = family.make_scorer(architecture, fitted.weights, data)
        check_stop()
        return _evaluate(claim, dataset, split, fitted, scorer, log, train_seconds, model_url)
    except BaseException as error:
        log.write(f"ended without a result: {type(error).__name__}: {error}")
        raise
    finally:
        log.save()


def _show(
    epoch: EpochRecord, n_epochs: int | None, log: TrialLog, on_epoch: Callable[[EpochRecord], None]
) -> None:
    of_all = "" if n_epochs is None else f"/{n_epochs}"
    log.write(
        f"epoch {epoch.epoch}{of_all} - {epoch.seconds:.2f}s - loss: {epoch.loss:.4f}{_measured(epoch)}"
    )
    on_epoch(epoch)


def split_of(refit_of: int | None, dataset: Dataset, protocol: Protocol) -> Split:
    """The split that a trial learns and is judged by; a refit, of the trial `refit_of`, learns from all."""
    return split_ratings(dataset, protocol) if refit_of is None else refit_split(dataset)


def _measured(epoch: EpochRecord) -> str:
    """What was measured on validation after an epoch, as a log of Keras shows it."""
    values = {"val_loss": epoch.val_loss, "val_rmse": epoch.val_rmse, "objective": epoch.objective}
    return "".join(f" - {name}: {value:.4f}" for name, value in values.items() if value is not None)


def fit_data(dataset: Dataset, split: Split, protocol: Protocol) -> FitData:
    """What a family may learn from."""

    def part(rows: npt.NDArray[np.int64]) -> Observations:
        return Observations(dataset.user_index[rows], dataset.item_index[rows], dataset.ratings[rows])

    threshold = protocol.relevance_threshold
    return FitData(
        n_users=dataset.n_users,
        n_items=dataset.n_items,
        n_item_rows=n_item_rows(dataset, protocol),
        train=part(split.train),
        validation=part(split.validation),
        rating_range=dataset.rating_range,
        relevance_threshold=dataset.rating_range[0] if threshold == "none" else threshold,
        item_features=_one_hot(dataset.genres),
        user_features=None if dataset.user_traits is None else _one_hot(dataset.user_traits),
    )


def _one_hot(texts: npt.NDArray[np.str_]) -> npt.NDArray[np.float32] | None:
    """(n, n_names): 1 where the text of a row, joined by "|", has a name; None where none has any."""
    of_rows = [text.split("|") if text else [] for text in texts.tolist()]
    names = sorted({name for of_row in of_rows for name in of_row})
    if not names:
        return None
    columns = {name: column for column, name in enumerate(names)}
    features = np.zeros((len(of_rows), len(names)), np.float32)
    for row, of_row in enumerate(of_rows):
        features[row, [columns[name] for name in of_row]] = 1.0
    return features


def _evaluate(  # noqa: PLR0917  What a trial was asked, on what, and what it learned.
    claim: Claim,
    dataset: Dataset,
    split: Split,
    fitted: Fitted,
    scorer: Scorer,
    log: TrialLog,
    train_seconds: float,
    model_url: str | None,
) -> TrialResult:
    protocol, predicts = claim.protocol, claim.config.architecture.predicts_ratings
    rankings = recommend_all(scorer, dataset, split, protocol)
    # A refit holds no rating out: nothing judges it.
    evaluation = Evaluation({}, {})
    if claim.refit_of is None:
        evaluation = evaluate(scorer, dataset, split, protocol, rankings, predicts_ratings=predicts)
    metrics = evaluation.metrics
    for part, values in metrics.items():
        log.write(f"{part}: " + ", ".join(f"{name} {value:.4f}" for name, value in values.items()))
    rmse = metrics.get("validation", {}).get("rmse")
    return TrialResult(
        n_parameters=fitted.n_parameters,
        best_epoch=fitted.best_epoch,
        val_loss=fitted.val_loss,
        val_rmse=fitted.val_rmse if fitted.val_rmse is not None else rmse,
        metrics=metrics,
        epochs=fitted.epochs,
        recommendations=rankings.recommendations,
        rating_predictions=predict_top_rated(scorer, dataset, protocol, predicts_ratings=predicts),
        model_url=model_url,
        log_url=log.url,
        # What a blend cost is what its parts did, and its own time.
        train_seconds=train_seconds + sum(part.train_seconds or 0 for part in claim.parts),
        peak_memory_bytes=peak_memory_bytes(),
        user_results=evaluation.user_results,
        part_weights=fitted.part_weights,
    )
