"""Claim a trial and hold it.

The row of the trial is the truth. An attempt owns it while `status` is running and `attempt` is its own
number; whoever finds otherwise was superseded and writes nothing. Leases are set and judged by the clock of
the database alone.
"""

from sqlalchemy import Engine, text

from shared.domain.protocol import parse_protocol
from shared.domain.records import Claim, LeaseState
from shared.domain.stopping import parse_stopping
from shared.domain.trial import parse_trial_config
from shared.errors import TrialError
from shared.store.attempts import end_attempt, end_stalled_sessions
from shared.store.blends import read_parts
from shared.store.database import transaction
from shared.store.ends import fail_trial


def claim_trial(
    engine: Engine, trial_id: int, worker: str, lease_seconds: float, code_version: str
) -> Claim | None:
    """Begin the next attempt of a trial that is queued, or running with an expired lease.

    None when there is nothing to do: it is over, cancelled, held by another, or out of attempts.
    Raises TrialError, and the trial has failed, when this version cannot read what is stored of it.
    """
    with transaction(engine) as connection:
        end_stalled_sessions(connection, trial_id)
        row = connection.execute(
            text("""
                update trials
                set status = 'running', attempt = attempt + 1, worker = :worker, started_at = now(),
                    finished_at = null, lease_expires_at = clock_timestamp() + make_interval(secs => :lease)
                where trial_id = :trial_id and attempt < attempts_allowed and cancel_requested_at is null
                    and (status = 'queued' or (status = 'running' and lease_expires_at < clock_timestamp()))
                returning attempt, sweep_id, label, config, refit_of, refreshed_from, asked_by
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
                select
                    sweeps.protocol, sweeps.spec -> 'stopping' as stopping, datasets.name,
                    datasets.fingerprint,
                    (select best_epoch from trials where trial_id = :made_after) as n_epochs
                from sweeps
                join datasets using (dataset_id)
                where sweeps.sweep_id = :sweep_id
            """),
            {"sweep_id": row.sweep_id, "made_after": row.refit_of or row.refreshed_from},
        ).one()
        parts = read_parts(connection, trial_id)
    may_be_stopped = row.refit_of is None and row.refreshed_from is None and row.asked_by != "repeats"
    try:
        return Claim(
            trial_id=trial_id,
            attempt=row.attempt,
            sweep_id=row.sweep_id,
            label=row.label,
            config=parse_trial_config(row.config),
            protocol=parse_protocol(sweep.protocol),
            dataset_name=sweep.name,
            fingerprint=sweep.fingerprint,
            refit_of=row.refit_of,
            refreshed_from=row.refreshed_from,
            n_epochs=sweep.n_epochs,
            parts=parts,
            stopping=parse_stopping(sweep.stopping) if may_be_stopped else None,
        )
    except ValueError as error:
        # Left queued, it would be published and refused again for ever.
        message = (
            f"this worker, code version {code_version}, cannot read the trial's configuration or protocol: "
            f"{error}; run workers and scheduler of one version"
        )
        fail_trial(engine, trial_id, row.attempt, "error", message)
        raise TrialError("error", message) from error


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
