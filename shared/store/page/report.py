"""What a report of a sweep is made of: which users and trials it shows."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Engine

from shared.errors import SpecError
from shared.plain_text import shortened
from shared.store.page.statements import reading

N_USERS = 10


@dataclass(frozen=True)
class ReportPlan:
    """The sweep, the name of its data set, and the users and trials that a report shows beside it."""

    sweep_id: int
    dataset_name: str
    user_ids: tuple[str, ...]
    trial_ids: tuple[int, ...]


def plan_report(
    engine: Engine, sweep_id: int, dataset_name: str, user_ids: Sequence[str] | None = None
) -> ReportPlan:
    """The best trials and the baselines, and ten users from the most active to the least, or those named.

    Raises SpecError for a user who is not in the sweep.
    """
    with reading(engine) as database:
        trials = database.rows("report", "trials", sweep_id=sweep_id)
        if user_ids is None:
            found = database.rows("report", "users", sweep_id=sweep_id, n_users=N_USERS)
        else:
            asked = list(dict.fromkeys(user_ids))
            found = database.rows("report", "known_users", sweep_id=sweep_id, user_ids=asked)
            known = {row.user_id for row in found}
            if unknown := [one for one in asked if one not in known]:
                raise SpecError(
                    f"USERS must be ids of users of data set {dataset_name} with lists in sweep {sweep_id}; "
                    f"got {shortened(', '.join(map(repr, unknown)))}"
                )
    return ReportPlan(
        sweep_id=sweep_id,
        dataset_name=dataset_name,
        user_ids=tuple(row.user_id for row in found),
        trial_ids=tuple(row.trial_id for row in trials),
    )
