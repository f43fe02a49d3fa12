"""What a sampler is told and asked: first which branch, then the value of each axis of it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from scheduler.sweep.search.axes import Axis
from scheduler.sweep.search.counting import Found
from scheduler.sweep.search.space import Point, Space
from scheduler.sweep.search.told import (
    Result,
    ask,
    distribution_of,
    from_optuna,
    make_sampler,
    result_of,
    told_trial,
)
from scheduler.sweep.sections import Search

# A branch is tried so often before the sampler chooses among branches.
_FIRST_OF_BRANCH = 2
# So many trials are drawn at random before a sampler learns: in all branches together, and in one of several.
_N_STARTUP, _N_STARTUP_OF_BRANCH = 10, 5
_BRANCH = "branch"
_RUNNING = Result(TrialState.RUNNING)


@dataclass(frozen=True)
class _Told:
    """What was told of a point."""

    point: Point
    result: Result
    config_hash: str


class Asker:
    """The sampler of a search, as of what was found by now."""

    def __init__(
        self, space: Space, search: Search, found: Sequence[Found], *, is_larger_better: bool
    ) -> None:
        self._space = space
        self._search = search
        self._is_larger_better = is_larger_better
        self._told = [_Told(one.point, result_of(one.trial), one.trial.config_hash) for one in found]

    @property
    def known(self) -> set[str]:
        """The hashes of the trials it knows."""
        return {one.config_hash for one in self._told}

    @property
    def n_told(self) -> int:
        """How many different trials it knows."""
        return len(self._told)

    def tell(self, point: Point, config_hash: str) -> None:
        """A trial that was just proposed counts as running."""
        self._told.append(_Told(point, _RUNNING, config_hash))

    def ask(self, open_branches: Sequence[int], seed: Sequence[int]) -> Point:
        """The next point in one of these branches."""
        number = self._branch(open_branches, seed)
        branch = self._space.branches[number]
        told = [one for one in self._told if one.point.branch == number]
        trials = [
            told_trial(place, one.result, one.point.parameters, branch.axes) for place, one in enumerate(told)
        ]
        n_startup = _N_STARTUP if len(self._space.branches) == 1 else _N_STARTUP_OF_BRANCH
        asked = self._ask(trials, branch.axes, n_startup, seed)
        return Point(number, {name: from_optuna(axis, asked[name]) for name, axis in branch.axes.items()})

    def _branch(self, open_branches: Sequence[int], seed: Sequence[int]) -> int:
        if len(open_branches) == 1:
            return open_branches[0]
        n_told = Counter(one.point.branch for one in self._told)
        least = min(open_branches, key=lambda number: n_told[number])
        if self._search.method != "random" and n_told[least] < _FIRST_OF_BRANCH:
            return least
        # As texts: the numbers of branches are names, and near ones do not resemble each other.
        axis = tuple(map(str, open_branches))
        trials = [
            told_trial(place, one.result, {_BRANCH: str(one.point.branch)}, {_BRANCH: axis})
            for place, one in enumerate(self._told)
            if one.point.branch in open_branches
        ]
        asked = self._ask(trials, {_BRANCH: axis}, _N_STARTUP, seed)
        return int(from_optuna(axis, asked[_BRANCH]))

    def _ask(
        self, told: Sequence[FrozenTrial], axes: Mapping[str, Axis], n_startup: int, seed: Sequence[int]
    ) -> dict[str, Any]:
        space = {name: distribution_of(axis) for name, axis in axes.items()}
        sampler = make_sampler(self._search.method, (self._search.seed, *seed), n_startup, space)
        return ask(told, sampler, space, is_larger_better=self._is_larger_better)
