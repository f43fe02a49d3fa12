"""The one Celery task: claim, run, save. The only place of the worker that meets Celery.

A trial that trains a network imports TensorFlow: the parent process and an idle worker stay small.
"""

import errno
import logging
import os
from collections.abc import Callable
from functools import lru_cache
from typing import TypeVar

from celery import Task
from celery.exceptions import Reject, SoftTimeLimitExceeded
from sqlalchemy import Engine

from shared import store
from shared.artifacts import delete_artifact
from shared.datasets import Dataset, load_prepared
from shared.datasets.prepared import remove_copies
from shared.errors import DatasetError, FailureReason, StoreError, StoreUnavailable, TrialError
from shared.queue import TASK_NAME, app
from shared.settings import load_settings
from shared.store import Claim, TrialResult
from shared.version import code_version
from worker.process.compiled_programs import keep_compiled_programs
from worker.process.database import database_engine
from worker.process.hopeless import Hopeless, record_epoch
from worker.process.lease import LEASE_SECONDS, HandedBack, Lease, Superseded
from worker.process.log_context import log_context
from worker.process.lost_process import process_name
from worker.process.memory import peak_memory_bytes, return_memory
from worker.process.patience import patiently
from worker.process.shutdown import is_shutting_down, wait_for_shutdown
from worker.trial import checkpoint_url, log_url, run_trial

# Longer than a restart of Postgres; then the message goes back, so that no task seems to run for hours.
_STORE_PATIENCE_SECONDS = 600.0

T = TypeVar("T")
logger = logging.getLogger(__name__)


@app.task(  # type: ignore[untyped-decorator]  # Celery ships no types.
    name=TASK_NAME, bind=True, Request="worker.process.lost_process:TrialRequest"
)
def train_architecture(self: Task, trial_id: int, label: str, queued_at: str = "") -> str:
    """Train the trial of this id unless it is done or runs elsewhere; Flower shows the label.

    `queued_at` is for those who look into the queue: here the row alone decides what there is to do.
    """
    engine = database_engine()
    try:
        claim = _claim(engine, trial_id, process_name(self.request.hostname, os.getpid()))
    except (HandedBack, StoreUnavailable) as error:
        raise Reject(str(error), requeue=True) from error
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
    logger.info("started")
    try:
        with Lease(engine, claim, is_shutting_down) as lease:
            summary = _run(engine, claim, lease)
        _remove_checkpoint(engine, claim)
    except (HandedBack, StoreUnavailable) as error:
        # A result that waited in vain for the database is made again from the last checkpoint.
        _hand_back(engine, claim, str(error))
        raise Reject(str(error), requeue=True) from error
    except Superseded:
        return _say_superseded(claim)
    except Hopeless as stop:
        # Its checkpoint stays, so that it can go on.
        logger.info("%s", stop)
        return f"{claim.label}: {stop}"
    except Exception as error:
        return _fail(engine, claim, error)
    logger.info("%s", summary)
    return summary


def _hand_back(engine: Engine, claim: Claim, cause: str) -> None:
    """Not patient: the worker may have seconds. Where this fails, the lease runs out."""
    try:
        store.release_trial(engine, claim.trial_id, claim.attempt, "handed_back")
    except StoreError as error:
        logger.warning("%s; not noted, the lease runs out: %s", cause, error)
    else:
        logger.info("handed back: %s", cause)


def _fail(engine: Engine, claim: Claim, error: Exception) -> str:
    """Note that an attempt failed, and raise; an attempt that had succeeded by then stays succeeded."""
    key = (claim.trial_id, claim.attempt)
    reason, message = explain_failure(error)
    is_final = isinstance(error, TrialError) and error.is_final
    peak, retry = peak_memory_bytes(), reason == "out_of_memory" and not is_final
    is_noted = _patiently(
        lambda: store.fail_trial(engine, *key, reason, message, peak_memory_bytes=peak, retry=retry),
        "note the failure",
    )
    if is_noted:
        logger.error("failed, %s: %s", reason, message)
        if isinstance(error, TrialError):
            raise error
        # Celery pickles the exception, and takes a MemoryError of a task for one of its own.
        raise TrialError(reason, message) from error
    # The trial was no longer this attempt's to fail. Only one that has succeeded still "holds" it.
    state = _patiently(lambda: store.extend_lease(engine, *key, LEASE_SECONDS), "ask how the trial ended")
    if state != "held":
        return _say_superseded(claim)
    logger.warning("succeeded; what came after its result was stored failed: %s", message)
    return f"{claim.label}: succeeded"


def _say_superseded(claim: Claim) -> str:
    logger.warning("superseded by another attempt, nothing was stored")
    return f"{claim.label}: superseded"


def _run(engine: Engine, claim: Claim, lease: Lease) -> str:
    artifact_root = _artifact_root(engine)
    url = log_url(artifact_root, claim)
    _patiently(lambda: store.record_log(engine, claim.trial_id, claim.attempt, url), "note where the log is")
    keep_compiled_programs(load_settings().cache_dir)
    _drop_forgotten(engine)
    dataset = _dataset(artifact_root, claim.fingerprint)
    result = run_trial(
        claim,
        dataset,
        artifact_root,
        on_epoch=lambda epoch: record_epoch(engine, claim, epoch),
        check_stop=lease.check,
    )
    _save(engine, claim, result, dataset)
    objective = claim.protocol.objective
    value = result.metrics.get("validation", {}).get(objective)
    judged = "" if value is None else f"{objective} {value:.4f} "
    return f"{claim.label}: {judged}in {result.train_seconds:.1f} s"


def _remove_checkpoint(engine: Engine, claim: Claim) -> None:
    """The result is stored, so nothing here may fail the task; what stays goes when the sweep is pruned."""
    url = checkpoint_url(_artifact_root(engine), claim)
    try:
        delete_artifact(url)
    except (TrialError, OSError) as error:
        logger.warning("the checkpoint %s is left behind: %s", url, error)


def _save(engine: Engine, claim: Claim, result: TrialResult, dataset: Dataset) -> None:
    """Write the result; a database that is away is waited for as long as the trial may run.

    The work is done and the lease is kept meanwhile. Where somebody else can reach the database and this
    worker cannot, the lease runs out and another attempt takes over.
    """
    try:
        is_ours = patiently(
            lambda: store.finish_trial(engine, claim, result, dataset), "write the result", sleep=_sleep
        )
    except SoftTimeLimitExceeded as error:
        limit = load_settings().trial_soft_limit_seconds
        raise StoreUnavailable(
            f"the result could not be written within TRIAL_SOFT_LIMIT_SECONDS = {limit}"
        ) from error
    if not is_ours:
        raise Superseded


def _patiently(call: Callable[[], T], purpose: str) -> T:
    return patiently(call, purpose, limit_seconds=_STORE_PATIENCE_SECONDS, sleep=_sleep)


def _sleep(seconds: float) -> None:
    """Raises HandedBack when the worker is told to stop meanwhile."""
    if wait_for_shutdown(seconds):
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


def _drop_forgotten(engine: Engine) -> None:
    """Remove copies of prepared data sets that still hold somebody who was forgotten since."""
    cache_dir = load_settings().cache_dir
    for fingerprint, at in _patiently(lambda: store.forgotten_at(engine), "ask who was forgotten").items():
        remove_copies(fingerprint, cache_dir, older_than=at.timestamp())


@lru_cache(maxsize=1)
def _artifact_root(engine: Engine) -> str:
    """Asked once per process, so that after the result was stored it is known without the database."""
    return store.artifact_root(engine, load_settings().artifacts)


@lru_cache(maxsize=1)
def _dataset(artifact_root: str, fingerprint: str) -> Dataset:
    """Loaded once per process and data set."""
    return load_prepared(artifact_root, fingerprint, load_settings().cache_dir)
