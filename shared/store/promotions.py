"""Which trial is served for a data set: promote and roll back, one row of history each."""

from typing import Any

from sqlalchemy import Connection, Engine, Row, text

from shared.domain.records import Promotion
from shared.errors import StoreError
from shared.store.database import transaction

_FIND_TRIAL = text("""
    select trials.trial_id, trials.label, trials.sweep_id, trials.status, sweeps.dataset_id
    from trials
    join sweeps using (sweep_id)
    where trials.sweep_id = :sweep_id and (trials.label = :name or cast(trials.trial_id as text) = :name)
    order by trials.label = :name desc
    limit 1
""")
# Locking the data set lets two promotions at once take turns.
_LOCK_DATASET = text("select name from datasets where dataset_id = :dataset_id for update")
_IN_FORCE = text("""
    select promotion_id, trial_id, fallback_id
    from promotions
    where dataset_id = :dataset_id
    order by promotion_id desc
    limit 1
""")
_FALLBACK = text("select trial_id, fallback_id from promotions where promotion_id = :promotion_id")
_INSERT = text("""
    insert into promotions (dataset_id, trial_id, fallback_id, note)
    values (:dataset_id, :trial_id, :fallback_id, :note)
    returning promotion_id, dataset_id, trial_id, promoted_at, note
""")
_HISTORY = text("""
    select promotion_id, dataset_id, trial_id, promoted_at, note
    from promotions
    where dataset_id = :dataset_id
    order by promotion_id desc
""")


def promote_trial(engine: Engine, label_or_id: str | int, sweep_id: int, note: str = "") -> Promotion:
    """Serve a succeeded trial of a sweep for its data set until another is promoted or this rolled back."""
    with transaction(engine) as connection:
        trial = connection.execute(_FIND_TRIAL, {"sweep_id": sweep_id, "name": str(label_or_id)}).first()
        if trial is None or trial.status != "succeeded":
            state = "no such trial" if trial is None else f"its state is {trial.status}"
            raise StoreError(
                f"only a succeeded trial of sweep {sweep_id} can be promoted; got {label_or_id!r}: {state};"
                " see `make leaderboard`"
            )
        _, in_force = _lock_in_force(connection, trial.dataset_id)
        row = {
            "dataset_id": trial.dataset_id,
            "trial_id": trial.trial_id,
            "fallback_id": in_force.promotion_id if in_force else None,
            "note": f"{trial.label} of sweep {sweep_id}" + (f": {note}" if note else ""),
        }
        return _promotion(connection.execute(_INSERT, row).one())


def rollback_promotion(engine: Engine, dataset_id: int, note: str = "") -> Promotion:
    """Serve again what was served before the promotion in force; raises StoreError when nothing is."""
    with transaction(engine) as connection:
        name, in_force = _lock_in_force(connection, dataset_id)
        if in_force is None or (in_force.trial_id is None and in_force.fallback_id is None):
            raise StoreError(f"no trial of data set {name} is promoted: there is nothing to roll back")
        before = connection.execute(_FALLBACK, {"promotion_id": in_force.fallback_id}).first()
        row = {
            "dataset_id": dataset_id,
            "trial_id": before.trial_id if before else None,
            "fallback_id": before.fallback_id if before else None,
            "note": f"rollback of promotion {in_force.promotion_id}" + (f": {note}" if note else ""),
        }
        return _promotion(connection.execute(_INSERT, row).one())


def list_promotions(engine: Engine, dataset_id: int) -> list[Promotion]:
    """The history of a data set, newest first: the first one is in force."""
    with transaction(engine) as connection:
        return [_promotion(row) for row in connection.execute(_HISTORY, {"dataset_id": dataset_id})]


def _lock_in_force(connection: Connection, dataset_id: int) -> tuple[str, Row[Any] | None]:
    """The name of the data set, which is locked, and its promotion in force."""
    name = connection.execute(_LOCK_DATASET, {"dataset_id": dataset_id}).scalar_one()
    return name, connection.execute(_IN_FORCE, {"dataset_id": dataset_id}).first()


def _promotion(row: Row[Any]) -> Promotion:
    return Promotion(**row._asdict())
