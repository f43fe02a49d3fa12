"""What the repeats of a sweep come to: how many at most, what is asked for already, and in words; pure."""

from collections.abc import Sequence

from scheduler.sweep.repeats import configurations_of, group_by_seed, to_repeat
from scheduler.sweep.sections import Repeats
from scheduler.sweep.spec import SweepSpec
from shared.domain.trial import TrialConfig
from shared.plain_text import shortened
from shared.store import Trial


def repeats_asked(spec: SweepSpec, stored: Sequence[Trial]) -> list[TrialConfig]:
    """The stored repeats, where the file still asks for some: what failed of them runs again."""
    if spec.repeats is None:
        return []
    return [trial.config for trial in stored if trial.asked_by == "repeats"]


def most_repeats(
    spec: SweepSpec, configs: Sequence[TrialConfig], stored: Sequence[Trial], n_to_choose: int = 0
) -> int:
    """How many trials repeats may still add, at most, to these configurations and as many more to be chosen.

    Known exactly where all of them have succeeded.
    """
    if spec.repeats is None:
        return 0
    n_seeds, of_best = spec.repeats.seeds, spec.repeats.of_best
    done = {trial.config_hash for trial in stored if trial.status == "succeeded"}
    if not n_to_choose and done.issuperset(config.config_hash for config in configs):
        groups = [len(one.trials) for one in to_repeat(stored, spec.protocol, of_best)]
        return sum(max(0, n_seeds - n_known) for n_known in groups)
    known = {trial.config_hash: trial.config for trial in stored}
    known |= {config.config_hash: config for config in configs}
    missing = [max(0, n_seeds - len(group)) for group in group_by_seed(list(known.values()))]
    missing = sorted([*missing, *[n_seeds - 1] * n_to_choose], reverse=True)
    return sum(missing if of_best == "all" else missing[:of_best])


def dearest_repeats(repeats: Repeats | None, configs: Sequence[TrialConfig]) -> list[TrialConfig]:
    """What repeats may add to these configurations at most: those of the most expensive ones."""
    if repeats is None:
        return []
    further = [[configs[group[0]]] * max(0, repeats.seeds - len(group)) for group in group_by_seed(configs)]
    further.sort(key=lambda same: sum(config.expected_cost for config in same), reverse=True)
    return [
        config
        for same in (further if repeats.of_best == "all" else further[: repeats.of_best])
        for config in same
    ]


def plan_lines(spec: SweepSpec, n_most: int) -> list[str]:
    """What will follow the trials of the plan."""
    if spec.repeats is None:
        return []
    who = "every configuration is" if spec.repeats.of_best == "all" else _the_best(spec.repeats.of_best)
    return [
        f"Repeats: when these have ended, {who} trained with further random seeds until each has "
        f"{spec.repeats.seeds}: at most {n_most} {'trial' if n_most == 1 else 'trials'} more"
    ]


def end_lines(spec: SweepSpec, trials: Sequence[Trial]) -> list[str]:
    """Who was repeated, and in whom nothing is random."""
    if spec.repeats is None:
        return []
    chosen = to_repeat(trials, spec.protocol, spec.repeats.of_best)
    lines = []
    if chosen:
        labels = shortened(", ".join(one.trials[0].label for one in chosen), 200)
        counts = {sum(trial.status == "succeeded" for trial in one.trials) for one in chosen}
        seeds = f"{min(counts)}" if len(counts) == 1 else f"{min(counts)} to {max(counts)}"
        lines.append(
            f"Repeated with {seeds} random seeds each: {labels}. They rank by their means, which is what to "
            "expect of them; a configuration with a single seed ranks behind them"
        )
    known = {trial.trial_id for one in configurations_of(trials, spec.protocol) for trial in one.trials}
    fixed = [
        trial.label
        for trial in trials
        if trial.trial_id not in known and not trial.config.is_baseline and trial.status == "succeeded"
    ]
    named = f"{shortened(', '.join(fixed), 200)} and the baselines" if fixed else "the baselines"
    return [*lines, f"Not repeated, because nothing in them is random: {named}"]


def _the_best(n_best: int) -> str:
    return "the best configuration is" if n_best == 1 else f"the best {n_best} configurations are"
