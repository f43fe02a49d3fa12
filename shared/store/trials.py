"""Trials as the scheduler sees them: add, list, queue again, cancel."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from sqlalchemy import Connection, Engine, Row, bindparam, text
from sqlalchemy.dialects.postgresql import JSONB

from shared.domain.families.tower import Tower
from shared.domain.records import AskedBy, QueuedTrial, Trial
from shared.domain.trial import TrialConfig, parse_trial_config
from shared.errors import StoreError
from shared.store.blends import add_parts
from shared.store.database import transaction
from shared.store.verdicts import forget_verdicts

SELECT_TRIALS = """
    select
        trials.trial_id, trials.sweep_id, trials.label, trials.config, trials.config_hash, trials.status,
        trials.attempt, trials.attempts_allowed, trials.worker, latest.epoch,
        coalesce(trials.val_rmse, latest.val_rmse) as val_rmse,
        trials.error_reason, trials.error_message, trials.queued_at, trials.started_at, trials.finished_at,
        coalesce(measured.value, latest.objective) as objective, trials.best_epoch, trials.model_url,
        trials.asked_by, trials.stopped_epoch, trials.stopped_value, trials.stopped_against,
        trials.stopped_by,
        trials.refit_of, trials.refreshed_from, trials.lists_removed_at is null as has_lists,
        coalesce(chosen.best_epoch, cast(trials.config -> 'training' ->> 'max_epochs' as integer)) as n_epochs
    from trials
    left join trials as chosen on chosen.trial_id = coalesce(trials.refit_of, trials.refreshed_from)
    join sweeps on sweeps.sweep_id = trials.sweep_id
    left join metrics as measured
        on measured.trial_id = trials.trial_id and measured.split = 'validation'
        and measured.name = coalesce(sweeps.protocol ->> 'objective', 'rmse')
    left join lateral (
        select epochs.epoch, epochs.val_rmse, epochs.objective
        from epochs
        where epochs.trial_id = trials.trial_id
        order by epochs.epoch desc
        limit 1
    ) as latest on true
"""
_OF_SWEEP = text(
    SELECT_TRIALS + "where trials.sweep_id = :sweep_id and trials.refit_of is null order by trials.trial_id"
)
_OF_NAME = text(
    SELECT_TRIALS
    + """
    where trials.sweep_id = :sweep_id and (trials.label = :name or cast(trials.trial_id as text) = :name)
    order by trials.label = :name desc
    limit 1
"""
)
_OF_ID = text(SELECT_TRIALS + "where trials.trial_id = :trial_id")
_SELECT_QUEUED = """
    select trial_id, sweep_id, label, config, attempt, worker, queued_at
    from trials
    where status = 'queued'
"""
_QUEUED = text(_SELECT_QUEUED + "order by trial_id")
QUEUED_OF = text(_SELECT_QUEUED + "and trial_id = any(:trial_ids) order by trial_id")
INSERT_TRIAL = """
    insert into trials (
        sweep_id, label, family, config, config_hash, is_baseline, merge, embedding_size, dense_layers,
        random_seed, status, max_attempts, attempts_allowed, refit_of, refreshed_from,
        asked_by
    )
    values (
        :sweep_id, :label, :family, :config, :config_hash, :is_baseline, :merge, :embedding_size,
        :dense_layers, :random_seed, 'queued', :max_attempts, :max_attempts, :refit_of, :refreshed_from,
        :asked_by
    )
"""
_ADD = text(
    INSERT_TRIAL + "on conflict (sweep_id, config_hash) where refit_of is null do nothing"
).bindparams(bindparam("config", type_=JSONB))


def add_trials(engine: Engine, sweep_id: int, configs: Sequence[TrialConfig], max_attempts: int = 3) -> None:
    """Queue the configurations that the sweep does not have yet; the others stay as they are."""
    with transaction(engine) as connection:
        insert_trials(connection, sweep_id, configs, max_attempts=max_attempts)


def insert_trials(
    connection: Connection,
    sweep_id: int,
    configs: Sequence[TrialConfig],
    *,
    asked_by: AskedBy = "file",
    max_attempts: int = 3,
) -> None:
    """The same, within the transaction of the caller."""
    rows = [{**trial_row(sweep_id, config, max_attempts), "asked_by": asked_by} for config in configs]
    if rows:
        connection.execute(_ADD, rows)
        add_parts(connection, sweep_id)
        forget_verdicts(connection, [sweep_id])


def trial_row(sweep_id: int, config: TrialConfig, max_attempts: int) -> dict[str, Any]:
    """The columns of a trial of a sweep that is to be queued."""
    tower = config.architecture if isinstance(config.architecture, Tower) else None
    return {
        "sweep_id": sweep_id,
        "label": config.label,
        "family": config.family,
        "config": config.canonical,
        "config_hash": config.config_hash,
        "is_baseline": config.is_baseline,
        "merge": tower.merge if tower else None,
        "embedding_size": tower.embedding_size if tower else None,
        "dense_layers": list(tower.dense_layers) if tower else None,
        "random_seed": config.random_seed,
        "max_attempts": max_attempts,
        "refit_of": None,
        "refreshed_from": None,
        "asked_by": "file",
    }


def sweep_trials(engine: Engine, sweep_id: int) -> list[Trial]:
    """The trials of a sweep in the order in which they were added, without refits.

    Raises StoreError when one has a configuration that this version cannot read.
    """
    with transaction(engine) as connection:
        return read_trials(connection, sweep_id)


def read_trials(connection: Connection, sweep_id: int) -> list[Trial]:
    """The same, within the transaction of the caller."""
    return [to_trial(row) for row in connection.execute(_OF_SWEEP, {"sweep_id": sweep_id})]


def find_trial(engine: Engine, sweep_id: int, label_or_id: str | int) -> Trial | None:
    """The trial or refit of this label, else of this id, in a sweep."""
    with transaction(engine) as connection:
        row = connection.execute(_OF_NAME, {"sweep_id": sweep_id, "name": str(label_or_id)}).first()
    return None if row is None else to_trial(row)


def get_trial(engine: Engine, trial_id: int) -> Trial:
    """The trial or refit of this id; raises StoreError when there is none."""
    with transaction(engine) as connection:
        row = connection.execute(_OF_ID, {"trial_id": trial_id}).first()
    if row is None:
        raise StoreError(f"there is no trial {trial_id} in the database: see `make leaderboard`")
    return to_trial(row)


def queued_trials(engine: Engine) -> list[QueuedTrial]:
    """The queued trials of all sweeps in the order in which they were added."""
    with transaction(engine) as connection:
        return [to_queued_trial(row) for row in connection.execute(_QUEUED)]


def requeue_trials(engine: Engine, trial_ids: Sequence[int]) -> None:
    """Queue failed, cancelled and stopped trials again, with all their attempts.

    A running trial that was asked to stop is no longer asked.
    """
    again = text("""
        update trials
        set status = 'queued', queued_at = now(), finished_at = null,
            attempts_allowed = attempt + max_attempts, cancel_requested_at = null,
            error_reason = null, error_message = null,
            stopped_epoch = null, stopped_value = null, stopped_against = null, stopped_by = null
        where trial_id = any(:trial_ids) and status in ('failed', 'cancelled', 'stopped')
    """)
    withdraw = text("""
        update trials set cancel_requested_at = null
        where trial_id = any(:trial_ids) and status = 'running' and cancel_requested_at is not null
    """)
    sweeps = text("select distinct sweep_id from trials where trial_id = any(:trial_ids)")
    with transaction(engine) as connection:
        connection.execute(again, {"trial_ids": list(trial_ids)})
        connection.execute(withdraw, {"trial_ids": list(trial_ids)})
        sweep_ids = connection.scalars(sweeps, {"trial_ids": list(trial_ids)}).all()
        forget_verdicts(connection, sweep_ids)


def cancel_sweep(engine: Engine, sweep_id: int) -> tuple[int, int]:
    """Cancel queued trials at once, ask running ones to stop, add no more; gives how many of each."""
    # One statement: a trial claimed or released meanwhile is judged by the state it has then.
    cancel = text("""
        update trials
        set status = case status when 'queued' then 'cancelled' else status end,
            finished_at = case status when 'queued' then now() end,
            cancel_requested_at = case status when 'running' then now() end
        where sweep_id = :sweep_id and status in ('queued', 'running')
        returning status
    """)
    stop_growing = text("update sweeps set growing_since = null where sweep_id = :sweep_id")
    with transaction(engine) as connection:
        # Before the trials: whoever adds some holds this row.
        connection.execute(stop_growing, {"sweep_id": sweep_id})
        statuses = connection.scalars(cancel, {"sweep_id": sweep_id}).all()
    return statuses.count("cancelled"), statuses.count("running")


def record_log(engine: Engine, trial_id: int, attempt: int, log_url: str) -> None:
    """Note where the log of a running attempt is, so that it is found however the attempt ends."""
    statement = text("""
        update trials set log_url = :log_url
        where trial_id = :trial_id and attempt = :attempt and status = 'running'
    """)
    with transaction(engine) as connection:
        connection.execute(statement, {"trial_id": trial_id, "attempt": attempt, "log_url": log_url})


def attempt_logs(engine: Engine, label: str) -> list[tuple[str, str]]:
    """What every attempt of the trial of this label was and the URL of its log, in order.

    Of the latest sweep in which the trial has a log; empty when there is none.
    """
    statement = text("""
        with latest as (
            select trial_id, log_url from trials
            where label = :label and log_url is not null
            order by sweep_id desc
            limit 1
        )
        select
            concat('attempt ', attempts.attempt, ' by ', attempts.worker, ': ',
                coalesce(attempts.end_reason, 'running'), ', ' || attempts.error_message),
            -- The log of an attempt lies in a folder of its own beside those of the others.
            regexp_replace(latest.log_url, '/attempt-\\d+/', '/attempt-' || attempts.attempt || '/')
        from latest
        join attempts using (trial_id)
        order by attempts.attempt
    """)
    with transaction(engine) as connection:
        return [(title, url) for title, url in connection.execute(statement, {"label": label})]


def to_queued_trial(row: Row[Any]) -> QueuedTrial:
    """The record of a row of the queries of queued trials; never fails for what is stored in it."""
    config = None
    with suppress(ValueError):
        config = parse_trial_config(row.config)
    return QueuedTrial(**{**row._asdict(), "config": config})


def to_trial(row: Row[Any]) -> Trial:
    """The record of a row of SELECT_TRIALS."""
    try:
        config = parse_trial_config(row.config)
    except ValueError as error:
        raise StoreError(
            f"trial {row.trial_id} {row.label}: this version cannot read its configuration: "
            f"{error}; use the version that stored it, or a newer one"
        ) from error
    return Trial(**{**row._asdict(), "config": config})
