"""Refreshes: a promoted architecture on newer ratings, as a sweep of one trial and its refit.

Of a blend, its parts and their refits stand in the sweep too.

The trial, the rehearsal, has the configuration and the number of epochs of what was served then, and learns
without the newest ratings, so that these can judge it.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine, bindparam, text
from sqlalchemy.dialects.postgresql import JSONB

from shared.domain.protocol import Protocol
from shared.domain.records import ListChange, Trial
from shared.store.blends import add_rehearsed_parts
from shared.store.database import create_engine, transaction
from shared.store.sweeps import add_sweep
from shared.store.trials import INSERT_TRIAL, SELECT_TRIALS, requeue_trials, to_trial, trial_row

_MAX_ATTEMPTS = 3

_ADD = text(INSERT_TRIAL).bindparams(bindparam("config", type_=JSONB))
_OF_ID = text(SELECT_TRIALS + "where trials.trial_id = :trial_id")
_FIND = text(
    SELECT_TRIALS
    + """
    where trials.refreshed_from = :trial_id and trials.sweep_id = :sweep_id
    order by trials.trial_id desc
    limit 1
"""
)
# Of what is served: only that tells a part that is promoted by itself from the same one of a blend.
_FIND_SWEEP = text("""
    select sweeps.sweep_id
    from sweeps
    join trials using (sweep_id)
    where sweeps.is_refresh and sweeps.dataset_id = :dataset_id
        and coalesce(
            cast(sweeps.spec -> 'refresh' ->> 'trial_id' as integer), trials.refreshed_from
        ) = :served_id
    order by sweeps.sweep_id desc
    limit 1
""")
_OPEN = text(
    SELECT_TRIALS
    + """
    where sweeps.is_refresh and trials.refit_of is null and trials.status in ('queued', 'running')
    order by trials.trial_id
"""
)
_LINEAGE = text("""
    select trials.label, sweeps.sweep_id, sweeps.name, datasets.fingerprint
    from trials
    join sweeps using (sweep_id)
    join datasets using (dataset_id)
    where trials.trial_id = :trial_id
""")
_LOCK = text("select pg_advisory_xact_lock(hashtextextended(:key, 0))")
_TRY_LOCK = text("select pg_try_advisory_lock(hashtextextended(:key, 0))")
_LISTED = text("""
    with later as (
        select recommendations.user_id, recommendations.item_id
        from recommendations
        where recommendations.trial_id = :later_id
            and recommendations.sweep_id = (select sweep_id from trials where trial_id = :later_id)
    ),

    earlier as (
        select recommendations.user_id, recommendations.item_id
        from recommendations
        where recommendations.trial_id = :earlier_id
            and recommendations.sweep_id = (select sweep_id from trials where trial_id = :earlier_id)
    ),

    common as (
        select distinct later.user_id
        from later
        join (select distinct user_id from earlier) as known using (user_id)
    )

    select
        (select count(distinct user_id) from later) as n_users,
        (select count(*) from common) as n_common_users,
        count(*) as n_entries,
        count(*) filter (where earlier.item_id is null) as n_changed
    from later
    join common using (user_id)
    left join earlier using (user_id, item_id)
""")


@contextmanager
def refresh_lock(database_url: str, dataset_name: str) -> Iterator[bool]:
    """True while nobody else refreshes this data set, else False.

    Held by a connection of its own, outside transactions; a process that dies lets go of it.
    """
    engine = create_engine(database_url)
    try:
        with transaction(engine.execution_options(isolation_level="AUTOCOMMIT")) as connection:
            yield bool(connection.scalar(_TRY_LOCK, {"key": f"recsweep refresh {dataset_name}"}))
    finally:
        engine.dispose()


def ensure_refresh(
    engine: Engine,
    trial_id: int,
    dataset_id: int,
    protocol: Protocol,
    code_version: str,
    *,
    served_id: int,
) -> Trial:
    """The rehearsal after a trial, on a version of the ratings; made where there is none.

    The trial is the one that is served or a part of it, where that is a blend, of which every part has
    succeeded before the rehearsal of the blend itself is asked for. One that had failed or was cancelled is
    queued again. Gives it as it was then.
    """
    with transaction(engine) as connection:
        connection.execute(_LOCK, {"key": f"refresh {served_id}/{dataset_id}"})
        of_served = {"served_id": served_id, "dataset_id": dataset_id}
        sweep_id = connection.scalar(_FIND_SWEEP, of_served)
        if sweep_id is None:
            origin = connection.execute(_LINEAGE, {"trial_id": served_id}).one()
            # Kept when the trial is pruned, as what a sweep file would be.
            spec = {
                "refresh": {
                    "trial": origin.label,
                    "trial_id": served_id,
                    "sweep_id": origin.sweep_id,
                    "of": origin.fingerprint,
                }
            }
            sweep_id = add_sweep(
                connection,
                origin.name,
                dataset_id,
                spec=spec,
                protocol=protocol,
                code_version=code_version,
                is_refresh=True,
            ).sweep_id
        key = {"trial_id": trial_id, "sweep_id": sweep_id}
        row = connection.execute(_FIND, key).first()
        if row is None:
            made_after = to_trial(connection.execute(_OF_ID, {"trial_id": trial_id}).one())
            values = trial_row(sweep_id, made_after.config, _MAX_ATTEMPTS) | {"refreshed_from": trial_id}
            connection.execute(_ADD, values)
            row = connection.execute(_FIND, key).one()
            add_rehearsed_parts(connection, trial_id, row.trial_id)
    rehearsal = to_trial(row)
    requeue_trials(engine, [rehearsal.trial_id])
    return rehearsal


def open_rehearsals(engine: Engine) -> list[Trial]:
    """The rehearsals of refreshes that are queued or running, in the order in which they were added."""
    with transaction(engine) as connection:
        return [to_trial(row) for row in connection.execute(_OPEN)]


def compare_lists(engine: Engine, later_id: int, earlier_id: int) -> ListChange:
    """How many users have lists of the later trial, and how many entries differ from those of the earlier."""
    with transaction(engine) as connection:
        row = connection.execute(_LISTED, {"later_id": later_id, "earlier_id": earlier_id}).one()
    return ListChange(**row._asdict())
