"""The one Celery task: claim, run, save. The only place of the worker that meets Celery.

A trial that trains a network imports TensorFlow: the parent process and an idle worker stay small.
"""

import errno
import logging
import os
import time
from collections.abc import Callable
from functools import lru_cache
from typing import TypeVar

from celery import Task
from celery.exceptions import Reject, SoftTimeLimitExceeded
from sqlalchemy import Engine

from shared import store
from shared.artifacts import cached_artifact, delete_artifact
from shared.datasets import Dataset, read_dataset
from shared.errors import DatasetError, FailureReason, StoreUnavailable, TrialError
from shared.queue import TASK_NAME, app
from shared.settings import load_settings
from shared.store import Claim, EpochRecord, TrialResult
from shared.version import code_version
from worker.process.compiled_programs import keep_compiled_programs
from worker.process.database import database_engine
from worker.process.lease import LEASE_SECONDS, HandedBack, Lease, Superseded
from worker.process.log_context import log_context
from worker.process.lost_process import process_name
from worker.process.memory import peak_memory_bytes, return_memory
from worker.process.shutdown import is_shutting_down, wait_for_shutdown
from worker.trial import checkpoint_url, log_url, run_trial

STORE_RETRY_SECONDS = 600.0

T = TypeVar("T")
logger = logging.getLogger(__name__)


@app.task(  # type: ignore[untyped-decorator]  # Celery ships no types.
    name=TASK_NAME, bind=True, Request="worker.process.lost_process:TrialRequest"
)
def train_architecture(self: Task, trial_id: int, label: str) -> str:
    """Train the trial of this id unless it is done or runs elsewhere; Flower shows the label."""
    engine = database_engine()
    try:
        claim = _claim(engine, trial_id, process_name(self.request.hostname, os.getpid()))
    except HandedBack as error:
        raise Reject("the worker is shutting down", requeue=True) from error
    if claim is None:
        return f"{label}: nothing to do, it is done or runs elsewhere"
    with log_context(f"sweep {claim.sweep_id} trial {trial_id} {claim.label} attempt {claim.attempt}"):
        try:
            return _attempt(engine, claim)
        finally:
            return_memory()


def _claim(engine: Engine, trial_id: int, worker: str) -> Claim | None:
    if is_shutting_down():
        raise HandedBack
    return _patiently(
        lambda: store.claim_trial(engine, trial_id, worker, LEASE_SECONDS, code_version()),
        f"claim trial {trial_id}",
    )


def _attempt(engine: Engine, claim: Claim) -> str:
    """Run a claimed trial to one of its ends, and say which in the database and in the log."""
    key = (claim.trial_id, claim.attempt)
    logger.info("started")
    try:
        with Lease(engine, claim, is_shutting_down) as lease:
            summary = _run(engine, claim, lease)
    except HandedBack as error:
        # Not patient: the worker has seconds. Where this fails, the lease runs out.
        store.release_trial(engine, *key, "handed_back")
        logger.info("handed back, the worker is shutting down")
        raise Reject("the worker is shutting down", requeue=True) from error
    except Superseded:
        logger.warning("superseded by another attempt, nothing was stored")
        return f"{claim.label}: superseded"
    except Exception as error:
        reason, message = explain_failure(error)
        peak = peak_memory_bytes()
        # A result that waited in vain for the database is made again from the last checkpoint.
        retry = reason == "out_of_memory" or isinstance(error, StoreUnavailable)
        _patiently(
            lambda: store.fail_trial(engine, *key, reason, message, peak_memory_bytes=peak, retry=retry),
            "note the failure",
        )
        logger.error("failed, %s: %s", reason, message)  # noqa: TRY400  Celery logs the traceback.
        if isinstance(error, TrialError):
            raise
        # Celery pickles the exception, and takes a MemoryError of a task for one of its own.
        raise TrialError(reason, message) from error
    logger.info("%s", summary)
    return summary


def _run(engine: Engine, claim: Claim, lease: Lease) -> str:
    settings = load_settings()
    url = log_url(settings.artifacts, claim)
    _patiently(lambda: store.record_log(engine, claim.trial_id, claim.attempt, url), "note where the log is")
    keep_compiled_programs(settings.cache_dir)
    dataset = _dataset(settings.artifacts, claim.fingerprint)
    result = run_trial(
        claim,
        dataset,
        settings.artifacts,
        on_epoch=lambda epoch: _record_epoch(engine, claim, epoch),
        check_stop=lease.check,
    )
    _save(engine, claim, result, dataset)
    delete_artifact(checkpoint_url(settings.artifacts, claim.trial_id))
    return f"{claim.label}: RMSE {result.val_rmse:.4f} in {result.train_seconds:.1f} s"


def _record_epoch(engine: Engine, claim: Claim, epoch: EpochRecord) -> None:
    """Show an epoch; while the database is away the training goes on, and the result has all epochs."""
    try:
        store.record_epoch(engine, claim.trial_id, claim.attempt, epoch)
    except StoreUnavailable as error:
        logger.warning("epoch %d is not shown: %s", epoch.epoch, error)


def _save(engine: Engine, claim: Claim, result: TrialResult, dataset: Dataset) -> None:
    """Write the result; a database that is away is waited for, since the work is done."""
    if not _patiently(lambda: store.finish_trial(engine, claim, result, dataset), "write the result"):
        raise Superseded


def _patiently(call: Callable[[], T], purpose: str) -> T:
    """What the call gives, as soon as the database is there.

    Raises StoreUnavailable after a while, and HandedBack when the worker is told to stop meanwhile.
    """
    deadline = time.monotonic() + STORE_RETRY_SECONDS
    while True:
        try:
            return call()
        except StoreUnavailable as error:
            if time.monotonic() > deadline:
                raise
            logger.warning("waiting to %s: %s", purpose, error)
        if wait_for_shutdown(2.0):
            raise HandedBack


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
