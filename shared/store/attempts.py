"""What the beginning and the end of an attempt share."""

from sqlalchemy import Connection, text

# Sessions inside `finish_trial` go by this name, followed by trial/attempt.
FINISH_PREFIX = "recsweep finish "

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


def end_stalled_sessions(connection: Connection, trial_id: int | None = None) -> None:
    """Close the connections of attempts that lost their lease in the middle of `finish_trial`.

    A stopped process keeps its uncommitted rows and locks; the next attempt would wait for them for ever.
    """
    connection.execute(_END_STALLED, {"trial_id": trial_id, "prefix": FINISH_PREFIX})
