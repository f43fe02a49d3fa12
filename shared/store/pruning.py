"""Which sweeps may be deleted, and their deletion. What is served or still open is never among them."""

from typing import Any

from sqlalchemy import Engine, Row, text

from shared.domain.records import OldSweep
from shared.errors import StoreError
from shared.store.database import transaction
from shared.store.partitions import drop_partitions
from shared.store.serving import lock_datasets

# Every sweep but the newest `keep` of each data set's name, with what forbids its deletion. Refreshes are
# counted apart: one a night would soon leave none of the sweeps that a person made.
_OLD = """
    with numbered as (
        select
            sweeps.sweep_id, sweeps.name, sweeps.created_at, datasets.name as dataset_name,
            row_number() over (
                partition by datasets.name, sweeps.is_refresh order by sweeps.sweep_id desc
            ) as place
        from sweeps
        join datasets using (dataset_id)
    ),

    opened as (
        select trials.sweep_id, count(*) as n_open
        from trials
        where trials.status in ('queued', 'running')
        group by trials.sweep_id
    )

    select
        numbered.sweep_id, numbered.name, numbered.dataset_name, numbered.created_at, numbered.place,
        serving_trials.label as served_label, coalesce(opened.n_open, 0) as n_open
    from numbered
    left join serving_trials using (sweep_id)
    left join opened using (sweep_id)
"""
_OLD_SWEEPS = text(_OLD + "where numbered.place > :keep order by numbered.sweep_id desc")
_OF_IDS = text(_OLD + "where numbered.sweep_id = any(:sweep_ids) order by numbered.sweep_id")
_NAMES = text("""
    select distinct datasets.name
    from sweeps
    join datasets using (dataset_id)
    where sweeps.sweep_id = any(:sweep_ids)
""")
_URLS = text("""
    select distinct trials.log_url
    from trials
    where trials.sweep_id = any(:sweep_ids) and trials.log_url is not null
    order by trials.log_url
""")
_DELETE = text("delete from sweeps where sweep_id = any(:sweep_ids)")


def old_sweeps(engine: Engine, keep: int) -> list[OldSweep]:
    """All but the newest `keep` sweeps of each data set, newest first, with what keeps some of them."""
    with transaction(engine) as connection:
        return [_old_sweep(row) for row in connection.execute(_OLD_SWEEPS, {"keep": keep})]


def prune_sweeps(engine: Engine, sweep_ids: list[int]) -> list[str]:
    """Remove sweeps with all that belongs to them; gives the URLs of their logs, whose folders may go now.

    Instant, because partitions are dropped whole. Raises StoreError, and removes nothing, when one of them
    is served or has open trials.
    """
    with transaction(engine) as connection:
        # Waiting for a long query, it makes every reader and writer wait behind it: not for long.
        connection.execute(text("set local lock_timeout = '10s'"))
        lock_datasets(connection, list(connection.scalars(_NAMES, {"sweep_ids": sweep_ids})))
        for sweep in [_old_sweep(row) for row in connection.execute(_OF_IDS, {"sweep_ids": sweep_ids})]:
            if sweep.kept_because:
                raise StoreError(f"sweep {sweep.sweep_id} cannot be pruned: {sweep.kept_because}")
        log_urls = list(connection.scalars(_URLS, {"sweep_ids": sweep_ids}))
        for sweep_id in sweep_ids:
            drop_partitions(connection, sweep_id)
        connection.execute(_DELETE, {"sweep_ids": sweep_ids})
    return log_urls


def _old_sweep(row: Row[Any]) -> OldSweep:
    reason = None
    if row.served_label is not None:
        reason = f"its trial {row.served_label} is served for {row.dataset_name}"
    elif row.n_open:
        reason = f"{row.n_open} of its trials are queued or running"
    return OldSweep(row.sweep_id, row.name, row.dataset_name, row.created_at, reason)
