"""Whose lists a view shows side by side: the trials that are named, else the served one and its rivals."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shared.errors import SpecError
from shared.store.page.statements import Reading

MOST_TRIALS = 4


@dataclass(frozen=True)
class ListedTrial:
    """A trial whose lists are shown; `place` is that of the trial it is a refit of, where it is one."""

    trial_id: int
    sweep_id: int
    sweep_name: str
    protocol: Mapping[str, Any]
    dataset_id: int
    dataset_name: str
    is_synthetic: bool
    fingerprint: str
    n_ratings: int
    n_forgotten: int
    label: str
    family: str
    is_baseline: bool
    is_refit: bool
    has_lists: bool
    scores_are_ratings: bool
    model_url: str | None
    log_url: str | None
    place: int | None
    is_served: bool


def listed_trials(
    database: Reading, trials: Sequence[int] | None, sweep_id: int | None
) -> tuple[ListedTrial, ...]:
    """At most four, of one data set; none where nothing has lists. SpecError for others."""
    named = list(dict.fromkeys(trials or ())) or None
    if named and len(named) > MOST_TRIALS:
        raise SpecError(f"at most {MOST_TRIALS} trials are shown side by side; got {len(named)}")
    rows = database.rows("lists", "trials", trials=named, sweep_id=sweep_id)
    found = tuple(ListedTrial(**row._mapping) for row in rows)
    missing = sorted(set(named or ()) - {one.trial_id for one in found})
    if missing:
        raise SpecError(f"there is no trial {missing[0]} in the database: take one of a leaderboard")
    names = sorted({one.dataset_name for one in found})
    if len(names) > 1:
        raise SpecError(
            f"lists side by side must be of one data set; these trials are of {' and '.join(names)}"
        )
    return found
