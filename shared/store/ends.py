"""How an attempt ends without a result: it fails, hands the trial back, or is lost."""

from typing import Any

from sqlalchemy import Connection, Engine, Row, text

from shared.domain.records import QueuedTrial, TrialStatus
from shared.errors import FailureReason
from shared.store.attempts import end_attempt, end_stalled_sessions
from shared.store.database import transaction
from shared.store.trials import QUEUED_OF, to_queued_trial

_LOCK_OWNED = text("""
    select trial_id, attempt, attempts_allowed, cancel_requested_at is not null as is_cancelled
    from trials
    where trial_id = :trial_id and attempt = :attempt and status = 'running'
    for update
""")
_LOCK_EXPIRED = text("""
    select
        trial_id, attempt, attempts_allowed, worker, lease_expires_at,
        cancel_requested_at is not null as is_cancelled,
        (select max(epoch) from epochs where epochs.trial_id = trials.trial_id) as epoch
    from trials
    where status = 'running' and lease_expires_at < clock_timestamp()
    order by trial_id
    for update skip locked
""")
_LOCK_HELD = text("""
    select
        trial_id, attempt, attempts_allowed, cancel_requested_at is not null as is_cancelled,
        (select max(epoch) from epochs where epochs.trial_id = trials.trial_id) as epoch
    from trials
    where trial_id = :trial_id and worker = :worker and status = 'running'
    for update
""")
_LEAVE = {
    "failed": text("""
        update trials
        set status = 'failed', lease_expires_at = null, cancel_requested_at = null, finished_at = now(),
            error_reason = :reason, error_message = :message, peak_memory_bytes = :peak
        where trial_id = :trial_id
    """),
    "cancelled": text("""
        update trials
        set status = 'cancelled', lease_expires_at = null, cancel_requested_at = null, finished_at = now()
        where trial_id = :trial_id
    """),
    "queued": text("""
        update trials
        set status = 'queued', lease_expires_at = null, queued_at = now()
        where trial_id = :trial_id
    """),
}


def fail_trial(
    engine: Engine,
    trial_id: int,
    attempt: int,
    reason: FailureReason,
    message: str,
    *,
    peak_memory_bytes: int | None = None,
    retry: bool = False,
) -> bool:
    """End an attempt without a result; False, and nothing written, when it was superseded.

    The trial is failed; or queued, when `retry` is asked and attempts remain; or cancelled, when that was
    asked for. An attempt that stopped for a cancel that was withdrawn meanwhile is tried again.
    """
    with transaction(engine) as connection:
        row = connection.execute(_LOCK_OWNED, {"trial_id": trial_id, "attempt": attempt}).first()
        if row is None:
            return False
        status: TrialStatus
        may_retry = (retry or reason == "cancelled") and attempt < row.attempts_allowed
        if row.is_cancelled and (may_retry or reason == "cancelled"):
            status = "cancelled"
        elif may_retry:
            status = "queued"
        else:
            status = "cancelled" if reason == "cancelled" else "failed"
        _leave(connection, row, status, reason=reason, message=message, peak_memory_bytes=peak_memory_bytes)
    return True


def release_trial(engine: Engine, trial_id: int, attempt: int, end_reason: str) -> bool:
    """Hand a trial back to the queue, as at a shutdown; the attempt does not count against the limit.

    False, and nothing written, when it was superseded. A trial that was asked to stop is cancelled.
    """
    grant = text("update trials set attempts_allowed = attempts_allowed + 1 where trial_id = :trial_id")
    with transaction(engine) as connection:
        row = connection.execute(_LOCK_OWNED, {"trial_id": trial_id, "attempt": attempt}).first()
        if row is None:
            return False
        connection.execute(grant, {"trial_id": trial_id})
        status: TrialStatus = "cancelled" if row.is_cancelled else "queued"
        _leave(connection, row, status, reason=end_reason, message=None)
    return True


def end_lost_attempt(
    engine: Engine,
    trial_id: int,
    worker: str,
    reason: FailureReason,
    cause: str,
    *,
    peak_memory_bytes: int | None = None,
    retry: bool = True,
) -> TrialStatus | None:
    """End the attempt that this worker process ran, after its parent saw it die; gives the trial's state.

    The trial is queued while attempts remain, else failed. None, and nothing written, when the process
    held no attempt of this trial.
    """
    with transaction(engine) as connection:
        row = connection.execute(_LOCK_HELD, {"trial_id": trial_id, "worker": worker}).first()
        if row is None:
            return None
        status: TrialStatus
        if row.is_cancelled:
            status = "cancelled"
        else:
            status = "queued" if retry and row.attempt < row.attempts_allowed else "failed"
        message = f"attempt {row.attempt} of {row.attempts_allowed}: {cause} {_in_epoch(row.epoch)}"
        _leave(connection, row, status, reason=reason, message=message, peak_memory_bytes=peak_memory_bytes)
    return status


def recover_lost_trials(engine: Engine) -> list[QueuedTrial]:
    """Take trials whose lease has expired from their workers; gives those that are queued again.

    A trial out of attempts fails as "lost_worker"; one that was asked to stop is cancelled.
    """
    queued = []
    with transaction(engine) as connection:
        end_stalled_sessions(connection)
        for row in connection.execute(_LOCK_EXPIRED).all():
            message = (
                f"attempt {row.attempt} of {row.attempts_allowed} was lost: worker {row.worker} stopped"
                f" answering {_in_epoch(row.epoch)}; its lease ended at"
                f" {row.lease_expires_at:%Y-%m-%d %H:%M:%S %Z}"
            )
            status: TrialStatus
            if row.is_cancelled:
                status = "cancelled"
            else:
                status = "queued" if row.attempt < row.attempts_allowed else "failed"
            _leave(connection, row, status, reason="lost_worker", message=message)
            if status == "queued":
                queued.append(row.trial_id)
        return [to_queued_trial(row) for row in connection.execute(QUEUED_OF, {"trial_ids": queued})]


def _leave(
    connection: Connection,
    row: Row[Any],
    status: TrialStatus,
    *,
    reason: str,
    message: str | None,
    peak_memory_bytes: int | None = None,
) -> None:
    """Bring a locked, running trial to another state and close its attempt."""
    parameters = {"trial_id": row.trial_id, "reason": reason, "message": message, "peak": peak_memory_bytes}
    connection.execute(_LEAVE[status], parameters)
    end_attempt(
        connection,
        row.trial_id,
        row.attempt,
        reason,
        message=message,
        peak_memory_bytes=peak_memory_bytes,
    )


def _in_epoch(latest: int | None) -> str:
    return "before the first epoch was finished" if latest is None else f"after epoch {latest}"
