"""Numbers over all sweeps, for monitoring."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Engine, text

from shared.domain.records import TRIAL_STATUSES
from shared.store.database import transaction

_STATUSES = text("""
    select status, count(*) as n_trials, max(finished_at) as last_at
    from trials
    group by status
    order by status
""")
_EPOCHS = text("""
    select count(*) as n_epochs
    from epochs
""")
# The newest epoch of every running trial says how fast it goes now.
_SPEED = text("""
    with newest as (
        select distinct on (epochs.trial_id) epochs.trial_id, epochs.seconds
        from epochs
        join trials using (trial_id)
        where trials.status = 'running'
        order by epochs.trial_id, epochs.epoch desc
    )
    select coalesce(sum(1 / nullif(seconds, 0)), 0) as epochs_per_second
    from newest
""")
_ATTEMPTS = text("""
    select coalesce(end_reason, 'running') as end_reason, count(*) as n_attempts
    from attempts
    group by 1
    order by 1
""")


@dataclass(frozen=True)
class Totals:
    """What the database holds now. `n_trials` has every status; `n_attempts` is by how they ended."""

    n_trials: Mapping[str, int]
    n_attempts: Mapping[str, int]
    n_epochs: int
    epochs_per_second: float
    last_success_at: datetime | None


def read_totals(engine: Engine) -> Totals:
    """Count trials, attempts and epochs of all sweeps."""
    with transaction(engine) as connection:
        statuses = {row.status: row for row in connection.execute(_STATUSES)}
        n_attempts = {row.end_reason: row.n_attempts for row in connection.execute(_ATTEMPTS)}
        n_epochs = connection.execute(_EPOCHS).scalar_one()
        speed = connection.execute(_SPEED).scalar_one()
    succeeded = statuses.get("succeeded")
    return Totals(
        n_trials={name: statuses[name].n_trials if name in statuses else 0 for name in TRIAL_STATUSES},
        n_attempts=n_attempts,
        n_epochs=int(n_epochs),
        epochs_per_second=float(speed),
        last_success_at=succeeded.last_at if succeeded else None,
    )
