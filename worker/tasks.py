"""The one Celery task: claim, run, save. The only place of the worker that meets Celery.

TensorFlow is imported inside the task, so that the parent process and an idle worker stay small.
"""

import errno
import logging
import os
import signal
import threading
import time
from functools import cache, lru_cache
from types import FrameType

import billiard
from billiard.exceptions import SoftTimeLimitExceeded
from celery import Task
from celery.exceptions import Reject
from celery.signals import worker_process_init, worker_shutting_down
from sqlalchemy import Engine

from shared import store
from shared.artifacts import cached_artifact, delete_artifact
from shared.database import create_engine
from shared.datasets import Dataset, read_dataset
from shared.errors import DatasetError, FailureReason, StoreUnavailable, TrialError
from shared.queue import TASK_NAME, app
from shared.settings import load_settings
from shared.store import Claim, TrialResult
from shared.version import code_version
from worker.lease import LEASE_SECONDS, HandedBack, Lease, Superseded

SAVE_RETRY_SECONDS = 600.0
_HAND_BACK_SIGNAL = signal.SIGUSR2

logger = logging.getLogger(__name__)
_shutting_down = threading.Event()


@app.task(name=TASK_NAME, bind=True)  # type: ignore[untyped-decorator]  # Celery ships no types.
def train_architecture(self: Task, trial_id: int, label: str) -> str:
    """Train the trial of this id unless it is done or runs elsewhere; Flower shows the label."""
    if _shutting_down.is_set():
        raise Reject("the worker is shutting down", requeue=True)
    engine = _engine()
    claim = store.claim_trial(engine, trial_id, self.request.hostname, LEASE_SECONDS, code_version())
    if claim is None:
        return f"{label}: nothing to do, it is done or runs elsewhere"
    name = f"sweep {claim.sweep_id} trial {claim.trial_id} {claim.label} attempt {claim.attempt}"
    logger.info("%s: started", name)
    try:
        with Lease(engine, claim, _shutting_down.is_set) as lease:
            summary = _run(engine, claim, lease)
    except HandedBack as error:
        store.release_trial(engine, claim.trial_id, claim.attempt, "handed_back")
        logger.info("%s: handed back, the worker is shutting down", name)
        raise Reject("the worker is shutting down", requeue=True) from error
    except Superseded:
        logger.warning("%s: superseded by another attempt, nothing was stored", name)
        return f"{claim.label}: superseded"
    except Exception as error:
        reason, message = explain_failure(error)
        store.fail_trial(engine, claim.trial_id, claim.attempt, reason, message)
        logger.error("%s: failed, %s: %s", name, reason, message)  # noqa: TRY400  Celery logs the traceback.
        raise
    logger.info("%s: %s", name, summary)
    return summary


def _run(engine: Engine, claim: Claim, lease: Lease) -> str:
    from worker.trial import checkpoint_url, log_url, run_trial  # noqa: PLC0415  It imports TensorFlow.

    settings = load_settings()
    store.record_log(engine, claim.trial_id, claim.attempt, log_url(settings.artifacts, claim))
    dataset = _dataset(settings.artifacts, claim.fingerprint)
    result = run_trial(
        claim,
        dataset,
        settings.artifacts,
        on_epoch=lambda epoch: store.record_epoch(engine, claim.trial_id, claim.attempt, epoch),
        check_stop=lease.check,
    )
    _save(engine, claim, result, dataset)
    delete_artifact(checkpoint_url(settings.artifacts, claim.trial_id))
    return f"{claim.label}: RMSE {result.val_rmse:.4f} in {result.train_seconds:.1f} s"


def _save(engine: Engine, claim: Claim, result: TrialResult, dataset: Dataset) -> None:
    """Write the result; a database that is away is waited for, since the work is done."""
    deadline = time.monotonic() + SAVE_RETRY_SECONDS
    while True:
        try:
            if not store.finish_trial(engine, claim, result, dataset):
                raise Superseded
        except StoreUnavailable as error:
            if time.monotonic() > deadline:
                raise
            logger.warning("trial %d: result not written yet: %s", claim.trial_id, error)
            time.sleep(2.0)
        else:
            return


def explain_failure(error: BaseException) -> tuple[FailureReason, str]:
    """The reason to store and a message a person understands."""
    message = str(error) or type(error).__name__
    if isinstance(error, TrialError):
        return error.reason, message
    if isinstance(error, SoftTimeLimitExceeded):
        limit = load_settings().trial_soft_limit_seconds
        return "timeout", f"longer than TRIAL_SOFT_LIMIT_SECONDS = {limit}: raise it or shrink the trial"
    if isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError":
        return "out_of_memory", f"more memory than this worker may use: {message}"
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "disk_full", f"no space left: {message}"
    if isinstance(error, DatasetError | FileNotFoundError):
        return "dataset", message
    return "error", f"{type(error).__name__}: {message}"


@cache
def _engine() -> Engine:
    settings = load_settings()
    if settings.database_url is None:
        raise TrialError("error", "a worker needs DATABASE_URL in its environment")
    return create_engine(settings.database_url)


@lru_cache(maxsize=1)
def _dataset(artifacts_url: str, fingerprint: str) -> Dataset:
    """Loaded once per process and data set."""
    url = f"{artifacts_url}/datasets/{fingerprint}.npz"
    try:
        return read_dataset(cached_artifact(url, load_settings().cache_dir))
    except FileNotFoundError as error:
        raise TrialError(
            "dataset", f"the prepared data set {url} is gone: `make sweep` prepares it"
        ) from error


@worker_process_init.connect  # type: ignore[untyped-decorator]
def _listen_for_hand_back(**_: object) -> None:
    def hand_back(_signal: int, _frame: FrameType | None) -> None:
        _shutting_down.set()

    signal.signal(_HAND_BACK_SIGNAL, hand_back)


@worker_shutting_down.connect  # type: ignore[untyped-decorator]
def _hand_back_running_trials(**_: object) -> None:
    """In the parent: tell the task processes to stop at their next check instead of being killed."""
    for process in billiard.active_children():
        if process.pid is not None:
            os.kill(process.pid, _HAND_BACK_SIGNAL)
