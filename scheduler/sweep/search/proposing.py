"""The search as a stage of a growing sweep: what has ended, and from it what is tried next.

Pure: everything follows from the sweep file, the trials and the proposals as Postgres holds them, so that any
scheduler goes on where another one was lost. Optuna is slow to load and only loaded where a search asks.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

import numpy as np

from scheduler.sweep.search.counting import Found, find_trials, open_branches
from scheduler.sweep.search.space import Point, Space, space_of, to_json
from scheduler.sweep.spec import SweepSpec
from scheduler.sweep.step import Step
from shared.domain.trial import TrialConfig
from shared.errors import SpecError
from shared.store import GrowingSweep, Proposal

# So many trials of a sweep wait for a worker: one that ends a trial finds the next, and few are chosen early.
SUPPLY = 2
# A sampler that proposes what was tried, or what does not go together, is asked again so often; then one that
# was not tried is drawn.
_MOST_ASKED = 10
_MOST_DRAWN = 200


def propose(spec: SweepSpec, sweep: GrowingSweep) -> Step:
    """The stage: trials until enough of them wait; over at its end, or when nothing new is left to try."""
    if spec.search.method == "grid":
        return Step()
    space = space_of(spec)
    found = find_trials(space, sweep.trials, sweep.proposals)
    n_waiting = sum(trial.status == "queued" for trial in sweep.trials)
    if _is_over(spec, space, sweep, found):
        return Step()
    if n_waiting >= SUPPLY:
        return Step(is_over=False)
    return _Search(spec, space, sweep, found).step(SUPPLY - n_waiting)


def _is_over(spec: SweepSpec, space: Space, sweep: GrowingSweep, found: Sequence[Found]) -> bool:
    search, since = spec.search, sweep.sweep.growing_since
    if search.n_trials is not None and len(found) >= search.n_trials:
        return True
    if search.budget_minutes is not None and since is not None:
        spent = sweep.looked_at - since
        if spent >= timedelta(minutes=search.budget_minutes):
            return True
    return not open_branches(space, {one.trial.config_hash for one in found})


@dataclass(frozen=True)
class _New:
    config: TrialConfig
    point: Point


class _Search:
    """One look: proposals are added to those that are stored, as if they were running."""

    def __init__(self, spec: SweepSpec, space: Space, sweep: GrowingSweep, found: Sequence[Found]) -> None:
        from scheduler.sweep.search.asking import Asker  # noqa: PLC0415  Loads Optuna.

        self._spec = spec
        self._space = space
        self._known = {trial.config_hash for trial in sweep.trials}
        self._asker = Asker(space, spec.search, found, is_larger_better=_is_larger_better(sweep))
        self._number = max((one.number for one in sweep.proposals), default=0)
        self._proposals: list[Proposal] = []

    def step(self, n_wanted: int) -> Step:
        """As many new trials as wanted, as far as there are."""
        configs: list[TrialConfig] = []
        limit = self._spec.search.n_trials
        while len(configs) < n_wanted and (limit is None or self._asker.n_told < limit):
            new = self._next()
            if new is None:
                return Step(tuple(configs), tuple(self._proposals), is_over=True)
            configs.append(new.config)
            self._known.add(new.config.config_hash)
            self._asker.tell(new.point, new.config.config_hash)
            self._note(new.point, new.config)
        return Step(tuple(configs), tuple(self._proposals), is_over=False)

    def _next(self) -> _New | None:
        """The next trial that the sweep does not have; None where none was found.

        A proposal that is a trial of the sweep is noted: it has its result, and the search moves on.
        """
        branches = open_branches(self._space, self._asker.known)
        if not branches:
            return None
        for n_asked in range(_MOST_ASKED):
            # Not by the number alone: what does not go together is not noted.
            point = self._asker.ask(branches, (self._number, n_asked))
            config = self._config(point)
            if config is None:
                continue
            if config.config_hash not in self._known:
                return _New(config, point)
            self._note(point, config)
        return next(self._untried(branches), None)

    def _untried(self, branches: Sequence[int]) -> Iterator[_New]:
        random = np.random.default_rng((self._spec.search.seed, self._number))
        for _ in range(_MOST_DRAWN):
            number = int(random.choice(branches))
            point = Point(number, self._space.branches[number].draw(random))
            config = self._config(point)
            if config is not None and config.config_hash not in self._known:
                yield _New(config, point)
        # The last ones of many are not met by chance.
        for number in branches:
            if self._space.hashes(number) is None:
                continue
            for parameters in self._space.branches[number].combinations():
                point = Point(number, parameters)
                config = self._config(point)
                if config is not None and config.config_hash not in self._known:
                    yield _New(config, point)

    def _config(self, point: Point) -> TrialConfig | None:
        try:
            return self._space.branches[point.branch].config(point.parameters)
        except SpecError:
            return None

    def _note(self, point: Point, config: TrialConfig) -> None:
        self._number += 1
        self._proposals.append(
            Proposal(self._number, point.branch, to_json(point.parameters), config.config_hash)
        )


def _is_larger_better(sweep: GrowingSweep) -> bool:
    return sweep.sweep.protocol.is_larger_better
