"""Verdicts: which sweeps lack them, what they are made of, and how they are stored and forgotten."""

from collections.abc import Sequence
from dataclasses import asdict, fields
from typing import Literal

from sqlalchemy import Connection, Engine, text

from shared.domain.verdicts import RankedTrial, Verdict
from shared.store.database import transaction

# "open": some trials are queued or running, or more may be added. "outdated": a trial was added or queued
# again since, or none yet.
JudgedState = Literal["judged", "outdated", "open"]

# A refit is judged by nothing, so it holds no verdicts up.
_IS_OPEN = """
    (sweeps.growing_since is not null or exists (
        select from trials
        where trials.sweep_id = sweeps.sweep_id and trials.refit_of is null
            and trials.status in ('queued', 'running')
    ))
"""
_TO_JUDGE = text(f"""
    select sweeps.sweep_id
    from sweeps
    where sweeps.judged_at is null and sweeps.ended_at is not null and not {_IS_OPEN}
    order by sweeps.sweep_id
""")  # noqa: S608  Our own condition.
_STATE = text(f"""
    select case when {_IS_OPEN} then 'open' when sweeps.judged_at is null then 'outdated' else 'judged' end
    from sweeps
    where sweeps.sweep_id = :sweep_id
""")  # noqa: S608
_LOCK = text("select from sweeps where sweep_id = :sweep_id for no key update")
_RANKED = text("""
    select
        ranked_trials.trial_id, trials.label, ranked_trials.validation_value as value, trials.config,
        array(
            select parts.split
            from (values (1, 'validation'), (2, 'test')) as parts (place, split)
            where exists (
                select from user_results
                where user_results.sweep_id = ranked_trials.sweep_id
                    and user_results.trial_id = ranked_trials.trial_id and user_results.split = parts.split
            )
            order by parts.place
        ) as parts
    from ranked_trials
    join trials on trials.trial_id = ranked_trials.trial_id
    where ranked_trials.sweep_id = :sweep_id
    order by ranked_trials.place
""")
_RANKED_IDS = text("select trial_id from ranked_trials where sweep_id = :sweep_id order by place")
_DELETE = text("delete from verdicts where sweep_id = :sweep_id")
_COLUMNS = [field.name for field in fields(Verdict)]
_INSERT = text(f"""
    insert into verdicts (sweep_id, {", ".join(_COLUMNS)})
    values (:sweep_id, {", ".join(f":{name}" for name in _COLUMNS)})
""")  # noqa: S608  Our own names of columns.
_MARK = text("update sweeps set judged_at = now() where sweep_id = :sweep_id")
_STORED = text(f"""
    select {", ".join(f"verdicts.{name}" for name in _COLUMNS)}
    from verdicts
    join ranked_trials using (trial_id)
    where verdicts.sweep_id = :sweep_id
    order by ranked_trials.place
""")  # noqa: S608
_FORGET = text(f"""
    update sweeps set judged_at = null
    where sweeps.sweep_id = any(:sweep_ids) and sweeps.judged_at is not null and {_IS_OPEN}
""")  # noqa: S608


def sweeps_to_judge(engine: Engine) -> list[int]:
    """Sweeps that have ended, with no trial open again, whose verdicts are missing or outdated."""
    with transaction(engine) as connection:
        return list(connection.scalars(_TO_JUDGE))


def judged_state(engine: Engine, sweep_id: int) -> JudgedState:
    """Whether the verdicts of a stored sweep are those of all its results."""
    with transaction(engine) as connection:
        state: JudgedState = connection.execute(_STATE, {"sweep_id": sweep_id}).scalar_one()
    return state


def ranked_trials(engine: Engine, sweep_id: int) -> list[RankedTrial]:
    """The succeeded trials of a sweep, the leader first."""
    with transaction(engine) as connection:
        rows = connection.execute(_RANKED, {"sweep_id": sweep_id})
        return [RankedTrial(**{**row._asdict(), "parts": tuple(row.parts)}) for row in rows]


def save_verdicts(engine: Engine, sweep_id: int, verdicts: Sequence[Verdict]) -> bool:
    """Replace the verdicts of a sweep; False, and nothing written, when its results are others by now.

    `verdicts` has one for each succeeded trial, the leader first.
    """
    with transaction(engine) as connection:
        key = {"sweep_id": sweep_id}
        if connection.execute(_LOCK, key).first() is None:
            return False
        is_open = connection.execute(_STATE, key).scalar_one() == "open"
        if is_open or list(connection.scalars(_RANKED_IDS, key)) != [one.trial_id for one in verdicts]:
            return False
        connection.execute(_DELETE, key)
        if verdicts:
            connection.execute(_INSERT, [{**key, **asdict(one)} for one in verdicts])
        connection.execute(_MARK, key)
    return True


def verdicts_of(engine: Engine, sweep_id: int) -> list[Verdict]:
    """The stored verdicts of a sweep, the leader's first; none where they were never computed."""
    with transaction(engine) as connection:
        rows = connection.execute(_STORED, {"sweep_id": sweep_id})
        return [Verdict(**row._asdict()) for row in rows]


def forget_verdicts(connection: Connection, sweep_ids: Sequence[int]) -> None:
    """Note that the verdicts of those sweeps that have open trials now are outdated."""
    connection.execute(_FORGET, {"sweep_ids": list(sweep_ids)})
