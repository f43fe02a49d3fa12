"""Which trials of a sweep keep their lists: the best `lists_kept`, refits, and what is or was promoted.

A trial only ever falls in the order of its sweep, because a succeeded one never leaves it: whoever is too far
down now will not be among the best later. So lists may be removed while the sweep still runs. Repeats are
different: by its mean a configuration may overtake others, so none are removed until they have ended, and
never those of the best trial that has some.
"""

from dataclasses import dataclass

from sqlalchemy import Engine, text

from shared.errors import StoreUnavailable
from shared.store.database import transaction
from shared.store.partitions import has_partitions_of_trials, remove_lists

_HAS_LISTS = "trials.status = 'succeeded' and trials.refit_of is null and trials.lists_removed_at is null"
_SWEEPS = text(f"""
    select sweeps.sweep_id
    from sweeps
    where not (sweeps.growing_since is not null and sweeps.spec ? 'repeats')
        and sweeps.lists_kept < (
            select count(*) from trials where trials.sweep_id = sweeps.sweep_id and {_HAS_LISTS}
        )
    order by sweeps.sweep_id
""")  # noqa: S608  Our own condition.
# A rollback may lead to whatever was promoted once.
_SURPLUS = text(f"""
    select trials.trial_id, trials.sweep_id, trials.label
    from ranked_trials
    join trials using (sweep_id, trial_id)
    join sweeps using (sweep_id)
    where ranked_trials.sweep_id = :sweep_id and ranked_trials.place > sweeps.lists_kept and {_HAS_LISTS}
        and ranked_trials.place > (
            select min(best.place) from ranked_trials as best
            where best.sweep_id = :sweep_id and best.has_lists
        )
        and not exists (select from promotions where promotions.trial_id = trials.trial_id)
    order by ranked_trials.place desc
""")  # noqa: S608
_LOCK = text(f"""
    select from trials where trials.trial_id = :trial_id and {_HAS_LISTS} for no key update skip locked
""")
_MARK = text("update trials set lists_removed_at = now() where trial_id = :trial_id")
_GONE = text("""
    select trials.label
    from ranked_trials
    join trials using (sweep_id, trial_id)
    join sweeps using (sweep_id)
    where ranked_trials.sweep_id = :sweep_id and trials.lists_removed_at is not null
        and ranked_trials.place <= coalesce(sweeps.lists_kept, ranked_trials.place)
    order by ranked_trials.place
""")


@dataclass(frozen=True)
class RemovedLists:
    """A trial whose lists were removed."""

    sweep_id: int
    trial_id: int
    label: str


def remove_surplus_lists(engine: Engine) -> list[RemovedLists]:
    """Remove the lists of all trials that are not among the best of their sweep; gives those trials.

    Safe to be called by several at once, and again after any end. Raises StoreUnavailable, after the others
    were removed, where somebody reads lists of the sweep for so long that the next call has to do it.
    """
    removed = []
    waits_for: StoreUnavailable | None = None
    for sweep_id in _sweeps(engine):
        for one in _surplus(engine, sweep_id):
            try:
                if _remove(engine, one):
                    removed.append(one)
            except StoreUnavailable as error:
                waits_for = error
                break
    if waits_for is not None:
        raise waits_for
    return removed


def slow_removals(engine: Engine, sweep_id: int) -> int:
    """How many trials of a sweep will lose their lists row by row, which takes long where there are many."""
    with transaction(engine) as connection:
        if has_partitions_of_trials(connection, sweep_id):
            return 0
        return len(connection.execute(_SURPLUS, {"sweep_id": sweep_id}).all())


def lists_gone(engine: Engine, sweep_id: int) -> list[str]:
    """The labels of trials whose lists were removed, though by the setting of now they would be kept."""
    with transaction(engine) as connection:
        return list(connection.scalars(_GONE, {"sweep_id": sweep_id}))


def _sweeps(engine: Engine) -> list[int]:
    with transaction(engine) as connection:
        return list(connection.scalars(_SWEEPS))


def _surplus(engine: Engine, sweep_id: int) -> list[RemovedLists]:
    with transaction(engine) as connection:
        rows = connection.execute(_SURPLUS, {"sweep_id": sweep_id})
        return [RemovedLists(row.sweep_id, row.trial_id, row.label) for row in rows]


def _remove(engine: Engine, one: RemovedLists) -> bool:
    """Whether we did: not where somebody else does, or it was promoted meanwhile."""
    with transaction(engine) as connection:
        # Waiting for a long query, it makes every reader of the sweep wait behind it: not for long.
        connection.execute(text("set local lock_timeout = '2s'"))
        if connection.execute(_LOCK, {"trial_id": one.trial_id}).first() is None:
            return False
        # Asked again under the lock, which a promotion takes too.
        surplus = connection.execute(_SURPLUS, {"sweep_id": one.sweep_id})
        if all(row.trial_id != one.trial_id for row in surplus):
            return False
        remove_lists(connection, one.sweep_id, one.trial_id)
        connection.execute(_MARK, {"trial_id": one.trial_id})
    return True
