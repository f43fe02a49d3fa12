"""A search in words: what it would do, and how it ended."""

from collections.abc import Sequence

from scheduler.sweep.search.axes import Axis, Range
from scheduler.sweep.search.counting import find_trials, n_of, n_to_choose
from scheduler.sweep.search.space import space_of
from scheduler.sweep.spec import SweepSpec
from shared.domain.trial import TrialConfig
from shared.plain_text import shortened
from shared.store import Proposal, Trial

# What the expected costs of trials were measured on.
_N_RATINGS_MEASURED = 1_000_209


def describe_search(spec: SweepSpec, n_ratings: int, n_workers: int, n_left: int | None = None) -> list[str]:
    """What a search would choose from, how long, and about what that costs; nothing of a grid.

    `n_left`: how many trials are still to be chosen, None: all.
    """
    search = spec.search
    if search.method == "grid":
        return []
    space = space_of(spec)
    size = n_of(space)
    combinations = "more combinations than it counts" if size is None else f"{size:,} combinations"
    ends = [f"{search.n_trials} trials"] if search.n_trials else []
    ends += [f"{search.budget_minutes:g} minutes"] if search.budget_minutes else []
    lines = [f"Search {search.method} with seed {search.seed}, until {' or '.join(ends)}: {combinations}"]
    for branch in space.branches:
        axes = ", ".join(f"{name} {_describe(axis)}" for name, axis in branch.axes.items())
        lines.append(f"  {branch.table.family}: {axes or 'one trial'}")
    seconds = mean_cost(space.drawn()) * n_ratings / _N_RATINGS_MEASURED
    if search.n_trials:
        n_left = n_to_choose(spec, []) if n_left is None else n_left
        minutes = max(1, round(seconds * n_left / n_workers / 60))
        lines.append(
            f"To choose: {n_left}, about {minutes:,} min of training with {n_workers} task processes"
        )
    else:
        lines.append(f"A trial trains for about {seconds:.2g} s on average")
    return lines


def expected_trials(spec: SweepSpec) -> list[TrialConfig]:
    """As many trials as a search will choose, drawn at random: what it costs; none where time ends it."""
    drawn = space_of(spec).drawn() if spec.search.method != "grid" else []
    n_trials = n_to_choose(spec, [])
    return [drawn[number * len(drawn) // n_trials] for number in range(n_trials)]


def mean_cost(configs: Sequence[TrialConfig]) -> float:
    """Expected seconds of a trial on MovieLens 1M."""
    return sum(config.expected_cost for config in configs) / max(len(configs), 1)


def search_end(spec: SweepSpec, trials: Sequence[Trial], proposals: Sequence[Proposal] = ()) -> list[str]:
    """Why a search that ended has fewer trials than it was asked for; nothing where it has them all."""
    search = spec.search
    if search.method == "grid":
        return []
    space = space_of(spec)
    known = {one.trial.config_hash for one in find_trials(space, trials, proposals)}
    if search.n_trials is not None and len(known) >= search.n_trials:
        return []
    asked = f"of {search.n_trials} trials" if search.n_trials else "trials"
    size = n_of(space)
    if size is not None and len(known) >= size:
        return [f"The search ended after {len(known)} {asked}: its tables have no other combination"]
    why = " with another budget" if search.budget_minutes else ""
    return [f"The search ended after {len(known)} {asked}; `make sweep` goes on{why}"]


def _describe(axis: Axis) -> str:
    if isinstance(axis, Range):
        return f"{axis.low:g} to {axis.high:g}" + (" (log)" if axis.is_log else "")
    return shortened(", ".join(map(str, axis)))
