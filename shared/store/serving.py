"""Which trial is served for a data set: what is in force, promote, roll back; one row of history each.

Promotions belong to the name of a data set, whatever version of the ratings the trial was trained on.
"""

from typing import Any

from sqlalchemy import Connection, Engine, Row, text

from shared.domain.records import Promotion, ServedTrial
from shared.errors import StoreError
from shared.store.database import transaction

_FIND_TRIAL = text("""
    select
        trials.trial_id, trials.label, trials.sweep_id, trials.status, sweeps.dataset_id,
        datasets.name as dataset_name
    from trials
    join sweeps using (sweep_id)
    join datasets using (dataset_id)
    where trials.sweep_id = :sweep_id and (trials.label = :name or cast(trials.trial_id as text) = :name)
    order by trials.label = :name desc
    limit 1
""")
# Locking the data set lets two promotions at once, or one and a prune, take turns.
_LOCK_DATASET = text("select from datasets where name = :dataset_name order by dataset_id for update")
# Shared with other promotions, and kept from whoever removes lists.
_LOCK_LISTS = text("select lists_removed_at is null from trials where trial_id = :trial_id for share")
_IN_FORCE = text("""
    select
        promotions.promotion_id, promotions.dataset_id, promotions.trial_id, promotions.fallback_id,
        promotions.promoted_at, promotions.note
    from promotions
    join datasets using (dataset_id)
    where datasets.name = :dataset_name
    order by promotions.promotion_id desc
    limit 1
""")
_FALLBACK = text(
    "select dataset_id, trial_id, fallback_id from promotions where promotion_id = :promotion_id"
)
_INSERT = text("""
    insert into promotions (dataset_id, trial_id, fallback_id, note)
    values (:dataset_id, :trial_id, :fallback_id, :note)
    returning promotion_id, trial_id, promoted_at, note
""")
_HISTORY = text("""
    select promotions.promotion_id, promotions.trial_id, promotions.promoted_at, promotions.note
    from promotions
    join datasets using (dataset_id)
    where datasets.name = :dataset_name
    order by promotions.promotion_id desc
""")
_PROMOTED_NAMES = text("""
    select dataset_name from serving_trials where is_promoted order by dataset_name
""")
_SERVED = text("""
    with popularity as (
        select leaderboard.sweep_id, leaderboard.ndcg
        from leaderboard
        where leaderboard.label = 'baseline_item_popularity'
    )

    select
        serving_trials.trial_id, serving_trials.label, serving_trials.is_refit, serving_trials.chosen_label,
        serving_trials.sweep_id, serving_trials.is_promoted, sweeps.name as sweep_name,
        serving_trials.fingerprint, datasets.n_ratings, leaderboard.k, leaderboard.ndcg,
        popularity.ndcg as popularity_ndcg
    from serving_trials
    join sweeps using (sweep_id)
    join datasets on datasets.dataset_id = serving_trials.dataset_id
    join leaderboard on leaderboard.trial_id = serving_trials.chosen_trial_id
    left join popularity on popularity.sweep_id = serving_trials.sweep_id
    where serving_trials.dataset_name = :dataset_name
""")


def served_trial(engine: Engine, dataset_name: str) -> ServedTrial | None:
    """What best_recommendations shows for a data set; None where nothing is served yet."""
    with transaction(engine) as connection:
        row = connection.execute(_SERVED, {"dataset_name": dataset_name}).first()
    return None if row is None else ServedTrial(**row._asdict())


def promoted_names(engine: Engine) -> list[str]:
    """The names of the data sets for which a trial is promoted."""
    with transaction(engine) as connection:
        return list(connection.scalars(_PROMOTED_NAMES))


def promote_trial(
    engine: Engine, label_or_id: str | int, sweep_id: int, note: str = "", *, instead_of: int | None = None
) -> Promotion:
    """Serve a succeeded trial of a sweep for its data set until another is promoted or this rolled back.

    Gives the promotion in force where it is of this trial already, so that a rollback leads to another one.
    `instead_of`: raises StoreError unless it is the trial of this id that is promoted until now.
    """
    with transaction(engine) as connection:
        trial = connection.execute(_FIND_TRIAL, {"sweep_id": sweep_id, "name": str(label_or_id)}).first()
        if trial is None or trial.status != "succeeded":
            state = "no such trial" if trial is None else f"its state is {trial.status}"
            raise StoreError(
                f"only a succeeded trial of sweep {sweep_id} can be promoted; got {label_or_id!r}: {state};"
                " see `make leaderboard`"
            )
        in_force = _lock_in_force(connection, trial.dataset_name)
        if in_force is not None and in_force.trial_id == trial.trial_id:
            return _promotion(in_force)
        if not connection.scalar(_LOCK_LISTS, {"trial_id": trial.trial_id}):
            raise StoreError(
                f"a trial without lists cannot be served as it is: those of {trial.label} were removed, as "
                "`[lists] keep` keeps those of better ones; without REFIT=0 it is promoted with new ones"
            )
        if instead_of is not None and (in_force is None or in_force.trial_id != instead_of):
            raise StoreError(
                f"{trial.label} was to replace trial {instead_of} for data set {trial.dataset_name}, but "
                "somebody has promoted another one or rolled it back meanwhile: nothing was promoted"
            )
        row = {
            "dataset_id": trial.dataset_id,
            "trial_id": trial.trial_id,
            "fallback_id": in_force.promotion_id if in_force else None,
            "note": f"{trial.label} of sweep {sweep_id}" + (f": {note}" if note else ""),
        }
        return _promotion(connection.execute(_INSERT, row).one())


def rollback_promotion(engine: Engine, dataset_name: str, note: str = "") -> Promotion:
    """Serve again what was served before the promotion in force; raises StoreError when nothing is."""
    with transaction(engine) as connection:
        in_force = _lock_in_force(connection, dataset_name)
        if in_force is None or (in_force.trial_id is None and in_force.fallback_id is None):
            raise StoreError(
                f"no trial of data set {dataset_name} is promoted: there is nothing to roll back"
            )
        before = connection.execute(_FALLBACK, {"promotion_id": in_force.fallback_id}).first()
        row = {
            "dataset_id": before.dataset_id if before else in_force.dataset_id,
            "trial_id": before.trial_id if before else None,
            "fallback_id": before.fallback_id if before else None,
            "note": f"rollback of promotion {in_force.promotion_id}" + (f": {note}" if note else ""),
        }
        return _promotion(connection.execute(_INSERT, row).one())


def list_promotions(engine: Engine, dataset_name: str) -> list[Promotion]:
    """The history of a data set, newest first: the first one is in force."""
    with transaction(engine) as connection:
        rows = connection.execute(_HISTORY, {"dataset_name": dataset_name})
        return [_promotion(row) for row in rows]


def lock_datasets(connection: Connection, dataset_names: list[str]) -> None:
    """Nobody else promotes or prunes for these data sets until the transaction ends."""
    # In one order, so that two of us never wait for each other.
    for name in sorted(dataset_names):
        connection.execute(_LOCK_DATASET, {"dataset_name": name})


def _lock_in_force(connection: Connection, dataset_name: str) -> Row[Any] | None:
    lock_datasets(connection, [dataset_name])
    return connection.execute(_IN_FORCE, {"dataset_name": dataset_name}).first()


def _promotion(row: Row[Any]) -> Promotion:
    return Promotion(row.promotion_id, row.trial_id, row.promoted_at, row.note)
