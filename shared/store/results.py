"""What a trial leaves in the database: epochs as they end, everything else in one transaction."""

from dataclasses import asdict

import numpy as np
from psycopg2 import errors
from sqlalchemy import Connection, Engine, text

from shared.datasets.dataset import Dataset
from shared.domain.records import Claim
from shared.domain.results import EpochRecord, RankedItems, RatedItems, TrialResult
from shared.errors import StoreError
from shared.store.attempts import FINISH_PREFIX, end_attempt
from shared.store.blends import store_weights
from shared.store.copying import Column, Ids, copy_rows
from shared.store.database import transaction
from shared.store.partitions import attach_list_table, has_partitions_of_trials, make_list_table
from shared.store.user_results import write_user_results

_RECORD_EPOCH = text("""
    with owned as (
        select trial_id, attempt
        from trials
        where trial_id = :trial_id and attempt = :attempt and status = 'running'
        for share
    ), forgotten as (
        -- An earlier attempt may have come further than the checkpoint that this one resumed from.
        delete from epochs using owned
        where epochs.trial_id = owned.trial_id and epochs.epoch > :epoch
    )
    insert into epochs (trial_id, epoch, attempt, loss, val_loss, val_rmse, objective, seconds)
    select trial_id, :epoch, attempt, :loss, :val_loss, :val_rmse, :objective, :seconds from owned
    on conflict (trial_id, epoch) do update
    set attempt = excluded.attempt, loss = excluded.loss, val_loss = excluded.val_loss,
        val_rmse = excluded.val_rmse, objective = excluded.objective, seconds = excluded.seconds,
        recorded_at = now()
""")
_FORGET_EPOCHS = text("delete from epochs where trial_id = :trial_id and epoch > :n_epochs")
# An epoch stays with the attempt that computed it.
_INSERT_EPOCH = text("""
    insert into epochs (trial_id, epoch, attempt, loss, val_loss, val_rmse, objective, seconds)
    values (:trial_id, :epoch, :attempt, :loss, :val_loss, :val_rmse, :objective, :seconds)
    on conflict (trial_id, epoch) do update
    set loss = excluded.loss, val_loss = excluded.val_loss, val_rmse = excluded.val_rmse,
        objective = excluded.objective, seconds = excluded.seconds
""")
_INSERT_METRIC = text("""
    insert into metrics (trial_id, split, name, value) values (:trial_id, :split, :name, :value)
""")
_STATE = text("select status, attempt from trials where trial_id = :trial_id")
_SUCCEED = text("""
    update trials
    set status = 'succeeded', lease_expires_at = null, cancel_requested_at = null, finished_at = now(),
        n_parameters = :n_parameters, best_epoch = :best_epoch, val_loss = :val_loss, val_rmse = :val_rmse,
        model_url = :model_url, log_url = :log_url, train_seconds = :train_seconds,
        peak_memory_bytes = :peak_memory_bytes, error_message = null
    where trial_id = :trial_id and attempt = :attempt and status = 'running'
""")


class _SupersededError(Exception):
    """Leaves the transaction of `finish_trial` so that it is rolled back."""


def record_epoch(engine: Engine, trial_id: int, attempt: int, epoch: EpochRecord) -> None:
    """Store one finished epoch; nothing when the attempt was superseded."""
    with transaction(engine) as connection:
        connection.execute(_RECORD_EPOCH, {"trial_id": trial_id, "attempt": attempt, **asdict(epoch)})


def finish_trial(engine: Engine, claim: Claim, result: TrialResult, dataset: Dataset) -> bool:
    """Store a result whole, in one transaction; False, and nothing written, when it was superseded.

    True as well when this attempt has succeeded already: after a connection lost during the commit, the
    same call may be repeated. The row of the trial is locked only at the end, so that the lease can be
    extended while rows are copied.
    """
    try:
        with transaction(engine) as connection:
            if _has_succeeded(connection, claim):
                return True
            _name_session(connection, claim)
            write_user_results(connection, claim, result.user_results, dataset)
            _write_measures(connection, claim, result)
            _write_lists(connection, claim, result, dataset)
            store_weights(connection, claim.trial_id, result.part_weights)
            _succeed(connection, claim, result)
    except _SupersededError:
        return False
    except StoreError as error:
        # Rows of this trial were committed between our look at it and our copy: by whom?
        cause = getattr(error.__cause__, "orig", error.__cause__)
        if not isinstance(cause, errors.UniqueViolation | errors.DuplicateTable):
            raise
        try:
            with transaction(engine) as connection:
                if _has_succeeded(connection, claim):
                    return True
        except _SupersededError:
            return False
        # By nobody: the trial still is ours, and holds rows that no attempt of it has written.
        raise
    return True


def _has_succeeded(connection: Connection, claim: Claim) -> bool:
    """Whether this attempt has; raises _SupersededError if it is not the one that runs."""
    row = connection.execute(_STATE, {"trial_id": claim.trial_id}).first()
    if row is None or row.attempt != claim.attempt or row.status not in ("running", "succeeded"):
        raise _SupersededError
    return bool(row.status == "succeeded")


def _name_session(connection: Connection, claim: Claim) -> None:
    session_name = f"{FINISH_PREFIX}{claim.trial_id}/{claim.attempt}"
    connection.execute(text("select set_config('application_name', :name, true)"), {"name": session_name})


def _write_lists(connection: Connection, claim: Claim, result: TrialResult, dataset: Dataset) -> None:
    """Last of all rows: attached tables keep others who finish a trial of the sweep waiting until the end."""
    recommended, rated = result.recommendations, result.rating_predictions
    predictions: dict[str, Column] = {"rating": rated.rating.astype(np.float32)}
    if rated.prediction is not None:
        predictions["prediction"] = rated.prediction.astype(np.float32)
    rows: dict[str, dict[str, Column]] = {
        "recommendations": {
            **_columns(claim, recommended, dataset),
            "score": recommended.score.astype(np.float32),
        },
        "rating_predictions": {**_columns(claim, rated, dataset), **predictions},
    }
    if not has_partitions_of_trials(connection, claim.sweep_id):
        for table, columns in rows.items():
            copy_rows(connection, table, columns)
        return
    for table, columns in rows.items():
        name = make_list_table(connection, table, claim.trial_id)
        copy_rows(connection, name, columns, is_new_table=True)
    for table in rows:
        attach_list_table(connection, table, claim.sweep_id, claim.trial_id)


def _write_measures(connection: Connection, claim: Claim, result: TrialResult) -> None:
    key = {"trial_id": claim.trial_id}
    connection.execute(_FORGET_EPOCHS, {**key, "n_epochs": len(result.epochs)})
    if result.epochs:
        rows = [{**key, "attempt": claim.attempt, **asdict(epoch)} for epoch in result.epochs]
        connection.execute(_INSERT_EPOCH, rows)
    values = [
        {**key, "split": split, "name": name, "value": float(value)}
        for split, metrics in result.metrics.items()
        for name, value in metrics.items()
    ]
    if values:
        connection.execute(_INSERT_METRIC, values)


def _succeed(connection: Connection, claim: Claim, result: TrialResult) -> None:
    """Lock the row of the trial and close it; raises _SupersededError if it is another's by now."""
    facts = {
        "trial_id": claim.trial_id,
        "attempt": claim.attempt,
        "n_parameters": result.n_parameters,
        "best_epoch": result.best_epoch,
        "val_loss": result.val_loss,
        "val_rmse": result.val_rmse,
        "model_url": result.model_url,
        "log_url": result.log_url,
        "train_seconds": result.train_seconds,
        "peak_memory_bytes": result.peak_memory_bytes,
    }
    if connection.execute(_SUCCEED, facts).rowcount == 0:
        raise _SupersededError
    end_attempt(
        connection,
        claim.trial_id,
        claim.attempt,
        "succeeded",
        peak_memory_bytes=result.peak_memory_bytes,
    )


def _columns(claim: Claim, ranked: RankedItems | RatedItems, dataset: Dataset) -> dict[str, Column]:
    n_rows = len(ranked.rank)
    return {
        "sweep_id": np.full(n_rows, claim.sweep_id, np.int32),
        "trial_id": np.full(n_rows, claim.trial_id, np.int32),
        "user_id": Ids(dataset.user_ids, ranked.user_index),
        "rank": ranked.rank.astype(np.int16),
        "item_id": Ids(dataset.item_ids, ranked.item_index),
    }
