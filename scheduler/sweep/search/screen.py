"""What is shown of a search while it runs: n of N, the best so far, what it believes, the time left."""

from collections.abc import Sequence
from datetime import UTC, datetime

from scheduler.sweep.search.belief import Importance, best_of, importance_of
from scheduler.sweep.search.counting import n_to_choose
from scheduler.sweep.search.space import space_of
from scheduler.sweep.search.words import mean_cost
from scheduler.sweep.spec import SweepSpec
from shared.store import Proposal, Trial


class SearchScreen:
    """Follows one search; importances are estimated anew only when a trial has ended."""

    def __init__(self, spec: SweepSpec) -> None:
        self._spec = spec
        self._mean_cost = mean_cost(space_of(spec).drawn())
        self._n_succeeded = 0
        self._importance: Importance | None = None

    def n_to_choose(self, trials: Sequence[Trial], proposals: Sequence[Proposal]) -> int:
        """How many trials are still to be chosen, as far as trials are counted."""
        return n_to_choose(self._spec, trials, proposals)

    def cost_of(self, n_trials: int) -> float:
        """The expected cost of trials that are not chosen yet."""
        return n_trials * self._mean_cost

    def share_of_time(self, growing_since: datetime | None) -> float:
        """Share of the budget that is spent, by the clock of this machine; 0 without one."""
        minutes = self._spec.search.budget_minutes
        if minutes is None or growing_since is None:
            return 0.0
        spent = (datetime.now(UTC) - growing_since).total_seconds()
        return min(max(spent / (60 * minutes), 0.0), 1.0)

    def lines(self, trials: Sequence[Trial], proposals: Sequence[Proposal]) -> list[str]:
        """The best so far and, once there are enough trials, which axes matter."""
        objective = self._spec.protocol.objective
        best = best_of(trials, is_larger_better=self._spec.protocol.is_larger_better)
        lines = []
        if best is not None:
            lines.append(f"Best so far: {best.label}, val {objective} {best.objective:.4f}")
        n_succeeded = sum(trial.status == "succeeded" for trial in trials)
        if n_succeeded != self._n_succeeded:
            self._n_succeeded = n_succeeded
            self._importance = importance_of(self._spec, trials, proposals)
        if self._importance is not None:
            lines.append(str(self._importance))
        return lines
