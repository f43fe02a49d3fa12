"""The life of one attempt: claim, lease, end. Every write is fenced by the attempt.

The row of the trial is the truth. An attempt owns it while `status` is running and `attempt` is its own
number; whoever finds otherwise was superseded and writes nothing. Leases are set and judged by the clock of
the database alone.
"""

from typing import Any

from sqlalchemy import Connection, Engine, Row, text

from shared.architecture import parse_trial_config
from shared.database import transaction
from shared.errors import FailureReason
from shared.protocol import parse_protocol
from shared.store.records import Claim, LeaseState, Trial, TrialStatus
from shared.store.trials import OF_TRIALS, to_trial

# Sessions inside `finish_trial` go by this name, followed by trial/attempt.
FINISH_PREFIX = "recsweep finish "

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
        set status = 'queued', lease_expires_at = null, queued_at = now(), published_at = null
        where trial_id = :trial_id
    """),
}
_END_STALLED = text("""
    select pg_terminate_backend(sessions.pid, 5000)
    from trials
    join pg_stat_activity as sessions
        on sessions.application_name = :prefix || trials.trial_id || '/' || trials.attempt
        and sessions.datname = current_database() and sessions.usename = current_user
    where trials.status = 'running' and trials.lease_expires_at < clock_timestamp()
        and trials.trial_id = coalesce(:trial_id, trials.trial_id)
""")
_END_ATTEMPT = text("""
    update attempts
    set ended_at = clock_timestamp(), end_reason = :end_reason, error_message = :message,
        peak_memory_bytes = :peak_memory_bytes
    where trial_id = :trial_id and attempt = :attempt and ended_at is null
""")


def claim_trial(
    engine: Engine, trial_id: int, worker: str, lease_seconds: float, code_version: str
) -> Claim | None:
    """Begin the next attempt of a trial that is queued, or running with an expired lease.

    None when there is nothing to do: it is over, cancelled, held by another, or out of attempts.
    """
    with transaction(engine) as connection:
        _end_stalled_sessions(connection, trial_id)
        row = connection.execute(
            text("""
                update trials
                set status = 'running', attempt = attempt + 1, worker = :worker, started_at = now(),
                    finished_at = null, lease_expires_at = clock_timestamp() + make_interval(secs => :lease)
                where trial_id = :trial_id and attempt < attempts_allowed and cancel_requested_at is null
                    and (status = 'queued' or (status = 'running' and lease_expires_at < clock_timestamp()))
                returning attempt, sweep_id, label, config
            """),
            {"trial_id": trial_id, "worker": worker, "lease": lease_seconds},
        ).first()
        if row is None:
            return None
        # The previous attempt is still open only where its worker was lost.
        end_attempt(connection, trial_id, row.attempt - 1, "lost_worker", message="its lease expired")
        connection.execute(
            text("""
                insert into attempts (trial_id, attempt, worker, code_version)
                values (:trial_id, :attempt, :worker, :code_version)
            """),
            {"trial_id": trial_id, "attempt": row.attempt, "worker": worker, "code_version": code_version},
        )
        sweep = connection.execute(
            text("""
                select sweeps.protocol, datasets.name, datasets.fingerprint
                from sweeps
                join datasets using (dataset_id)
                where sweeps.sweep_id = :sweep_id
            """),
            {"sweep_id": row.sweep_id},
        ).one()
    return Claim(
        trial_id=trial_id,
        attempt=row.attempt,
        sweep_id=row.sweep_id,
        label=row.label,
        config=parse_trial_config(row.config),
        protocol=parse_protocol(sweep.protocol),
        dataset_name=sweep.name,
        fingerprint=sweep.fingerprint,
    )


def extend_lease(engine: Engine, trial_id: int, attempt: int, lease_seconds: float) -> LeaseState:
    """Hold the trial for another `lease_seconds` from now.

    "cancelled": the lease is extended, but the attempt was asked to stop. "superseded": the trial is
    somebody else's or over; stop without writing. An attempt that has just succeeded still gets "held".
    """
    extend = text("""
        update trials set lease_expires_at = clock_timestamp() + make_interval(secs => :lease)
        where trial_id = :trial_id and attempt = :attempt and status = 'running'
        returning cancel_requested_at is not null
    """)
    has_succeeded = text("""
        select exists (
            select from trials where trial_id = :trial_id and attempt = :attempt and status = 'succeeded'
        )
    """)
    key = {"trial_id": trial_id, "attempt": attempt}
    with transaction(engine) as connection:
        is_cancelled = connection.scalar(extend, {**key, "lease": lease_seconds})
        if is_cancelled is None:
            return "held" if connection.scalar(has_succeeded, key) else "superseded"
        return "cancelled" if is_cancelled else "held"


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


def recover_lost_trials(engine: Engine) -> list[Trial]:
    """Take trials whose lease has expired from their workers; gives those that are queued again.

    A trial out of attempts fails as "lost_worker"; one that was asked to stop is cancelled.
    """
    queued = []
    with transaction(engine) as connection:
        _end_stalled_sessions(connection)
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
        return [to_trial(row) for row in connection.execute(OF_TRIALS, {"trial_ids": queued})]


def end_attempt(
    connection: Connection,
    trial_id: int,
    attempt: int,
    end_reason: str,
    *,
    message: str | None = None,
    peak_memory_bytes: int | None = None,
) -> None:
    """Note how an attempt ended, unless that is noted already."""
    end = {"end_reason": end_reason, "message": message, "peak_memory_bytes": peak_memory_bytes}
    connection.execute(_END_ATTEMPT, {"trial_id": trial_id, "attempt": attempt, **end})


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


def _end_stalled_sessions(connection: Connection, trial_id: int | None = None) -> None:
    """Close the connections of attempts that lost their lease in the middle of `finish_trial`.

    A stopped process keeps its uncommitted rows and locks; the next attempt would wait for them for ever.
    """
    connection.execute(_END_STALLED, {"trial_id": trial_id, "prefix": FINISH_PREFIX})
