"""What a search found out by now: the best trial, and how much each axis matters."""

import math
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from scheduler.sweep.search.counting import Found, find_trials
from scheduler.sweep.search.space import Space, space_of
from scheduler.sweep.spec import SweepSpec
from shared.store import Proposal, Trial

# With fewer finished trials of a table, importances are noise.
_FEWEST_TRIALS = 10


@dataclass(frozen=True)
class Importance:
    """How much each axis of a table matters, as shares of 1, the largest first (PED-ANOVA)."""

    family: str
    n_trials: int
    shares: tuple[tuple[str, float], ...]

    def __str__(self) -> str:
        axes = ", ".join(f"{name} {share:.0%}".replace("%", " %") for name, share in self.shares)
        return f"Importance of the axes of {self.family} over {self.n_trials} trials: {axes}"


def best_of(trials: Sequence[Trial], *, is_larger_better: bool) -> Trial | None:
    """The succeeded trial with the best value so far, no baseline; None before the first."""
    measured = [one for one in trials if one.status == "succeeded" and not one.config.is_baseline]
    valued = [one for one in measured if one.objective is not None and math.isfinite(one.objective)]
    sign = -1 if is_larger_better else 1
    return min(valued, key=lambda one: sign * (one.objective or 0.0), default=None)


def importance_of(
    spec: SweepSpec, trials: Sequence[Trial], proposals: Sequence[Proposal] = ()
) -> Importance | None:
    """Of the table with the most finished trials; None where it has too few, or one axis alone.

    Watanabe et al. 2023, PED-ANOVA: how differently the best tenth of the trials lie along an axis. The
    numbers hold for the trials that were made, which a search puts where they are good.
    """
    if spec.search.method == "grid":
        return None
    space = space_of(spec)
    found = [
        one
        for one in find_trials(space, trials, proposals)
        if one.trial.status == "succeeded" and one.trial.objective is not None
    ]
    counted = Counter(one.point.branch for one in found)
    if not counted:
        return None
    number, n_trials = counted.most_common(1)[0]
    axes = space.branches[number].axes
    if n_trials < _FEWEST_TRIALS or len(axes) < 2:
        return None
    own = [one for one in found if one.point.branch == number]
    shares = _shares(space, number, own, is_larger_better=spec.protocol.is_larger_better)
    return Importance(space.branches[number].table.family, n_trials, shares)


def _shares(
    space: Space, number: int, found: Sequence[Found], *, is_larger_better: bool
) -> tuple[tuple[str, float], ...]:
    # Slow to load, and only needed once there are enough trials.
    from optuna.exceptions import ExperimentalWarning  # noqa: PLC0415
    from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances  # noqa: PLC0415

    from scheduler.sweep.search.told import result_of, study_of, told_trial  # noqa: PLC0415

    axes = space.branches[number].axes
    told = [
        told_trial(place, result_of(one.trial), one.point.parameters, axes) for place, one in enumerate(found)
    ]
    study = study_of(told, is_larger_better=is_larger_better)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        evaluator = PedAnovaImportanceEvaluator()
        shares = get_param_importances(study, evaluator=evaluator, params=list(axes), normalize=True)
    return tuple(sorted(shares.items(), key=lambda share: -share[1]))
