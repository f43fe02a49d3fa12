"""Which trials of a sweep a search counts: those of its space, whoever asked for them."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from scheduler.sweep.search.space import Point, Space, space_of
from scheduler.sweep.spec import SweepSpec
from shared.domain.trial import TrialConfig
from shared.store import Proposal, Trial

_TO_RUN_AGAIN = ("failed", "cancelled")


@dataclass(frozen=True)
class Found:
    """A trial of the sweep, and where it lies in the space."""

    trial: Trial
    point: Point


def find_trials(space: Space, trials: Sequence[Trial], proposals: Sequence[Proposal] = ()) -> list[Found]:
    """The trials that lie in the space, in order; repeats and blends of them are none."""
    proposed: dict[str, Proposal] = {}
    for one in proposals:
        proposed.setdefault(one.config_hash, one)
    found = []
    for trial in trials:
        if trial.config.is_baseline or trial.asked_by not in ("file", "search"):
            continue
        point = space.locate(trial, proposed.get(trial.config_hash))
        if point is not None:
            found.append(Found(trial, point))
    return found


def open_branches(space: Space, known: AbstractSet[str]) -> list[int]:
    """The branches of which some trial is not among those known, by their hashes."""
    hashes = [space.hashes(number) for number in range(len(space.branches))]
    return [number for number, one in enumerate(hashes) if one is None or not one <= known]


def asked_of(
    spec: SweepSpec, trials: Sequence[Trial], proposals: Sequence[Proposal] = ()
) -> list[TrialConfig]:
    """The trials of a stored sweep that its search asks for now; none of a grid.

    Those that are done or on their way, and of those that failed or were cancelled as many as its end allows.
    """
    if spec.search.method == "grid":
        return []
    found = [one.trial for one in find_trials(space_of(spec), trials, proposals)]
    kept = [trial for trial in found if trial.status not in _TO_RUN_AGAIN]
    again = [trial for trial in found if trial.status in _TO_RUN_AGAIN]
    if spec.search.n_trials is not None:
        again = again[: max(spec.search.n_trials - len(kept), 0)]
    asked = {trial.config_hash for trial in (*kept, *again)}
    return [trial.config for trial in found if trial.config_hash in asked]


def n_to_choose(spec: SweepSpec, trials: Sequence[Trial], proposals: Sequence[Proposal] = ()) -> int:
    """How many trials the search will still choose; 0 of a grid, and where only its time ends it.

    Less than it counts where the space has not so many.
    """
    if spec.search.method == "grid" or spec.search.n_trials is None:
        return 0
    space = space_of(spec)
    known = {one.trial.config_hash for one in find_trials(space, trials, proposals)}
    n_left = max(spec.search.n_trials - len(known), 0)
    n_different = n_of(space)
    return n_left if n_different is None else min(n_left, max(n_different - len(known), 0))


def n_of(space: Space) -> int | None:
    """How many different trials there are; None where they are endless, or too many to count."""
    hashes = [space.hashes(number) for number in range(len(space.branches))]
    if None in hashes:
        return None
    return len(frozenset[str]().union(*(one for one in hashes if one is not None)))
