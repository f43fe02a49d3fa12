"""The best configurations of a sweep once more, with further random seeds, since one may be lucky; pure.

Who is repeated is decided by the trials that the sweep file or its search asked for, on equal terms: what the
repeats found changes nothing of it. So whoever looks, and however often, asks for the same trials.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from itertools import count
from math import isnan

from scheduler.sweep.spec import SweepSpec
from scheduler.sweep.step import Step
from shared.domain.protocol import Protocol
from shared.domain.trial import TrialConfig
from shared.store import GrowingSweep, Trial

_OPEN = ("queued", "running")
_CHOSEN_FROM = ("file", "search")


@dataclass(frozen=True)
class Configuration:
    """The trials of a sweep that differ by nothing but their random seed; `value` is what it is chosen by.

    That is the mean on validation of its trials that no repeat asked for; None where none of these succeeded.
    """

    trials: tuple[Trial, ...]
    value: float | None

    @property
    def config(self) -> TrialConfig:
        """With the random seed of its first trial."""
        return self.trials[0].config


def repeat(spec: SweepSpec, growing: GrowingSweep) -> Step:
    """The seeds that the best configurations lack, once all that the file or the search asked for has ended.

    A failed trial takes its seed: `make sweep` runs it again. A cancelled one holds nobody up: one that the
    file asks for is queued again by `make sweep` before the sweep grows, and one of an older file stays as
    it is.
    """
    if spec.repeats is None:
        return Step()
    asked = [trial for trial in growing.trials if trial.asked_by in _CHOSEN_FROM]
    if any(trial.status in _OPEN for trial in asked):
        return Step(is_over=False)
    chosen = to_repeat(growing.trials, growing.sweep.protocol, spec.repeats.of_best)
    configs = [config for one in chosen for config in _further(one, spec.repeats.seeds)]
    # What comes after, such as a blend, may choose by what these give.
    are_open = any(trial.status in _OPEN for trial in growing.trials if trial.asked_by == "repeats")
    return Step(configs=tuple(configs), is_over=not configs and not are_open)


def to_repeat(trials: Sequence[Trial], protocol: Protocol, of_best: int | str) -> list[Configuration]:
    """The best configurations that have a random seed, best first; of equal ones, that of the first trial."""
    direction = -1.0 if protocol.is_larger_better else 1.0
    ranked = sorted(
        (one for one in configurations_of(trials, protocol) if one.value is not None),
        key=lambda one: direction * (one.value or 0.0),
    )
    return ranked if of_best == "all" else ranked[: int(of_best)]


def configurations_of(trials: Sequence[Trial], protocol: Protocol) -> list[Configuration]:
    """Those of a sweep with a random seed, in the order of their first trials; baselines are left out."""
    groups = group_by_seed([trial.config for trial in trials])
    members = [tuple(trials[place] for place in group) for group in groups]
    return [Configuration(group, _value(group, protocol)) for group in members]


def group_by_seed(configs: Sequence[TrialConfig]) -> list[list[int]]:
    """The places of those that differ by nothing but their random seed; those without one are left out."""
    groups: dict[object, list[int]] = {}
    for place, config in enumerate(configs):
        if config.random_seed is not None and not config.is_baseline:
            groups.setdefault(_but_for_the_seed(config), []).append(place)
    return list(groups.values())


def _value(trials: Sequence[Trial], protocol: Protocol) -> float | None:
    values = [
        value
        for trial in trials
        if trial.asked_by in _CHOSEN_FROM and trial.status == "succeeded"
        if (value := trial.val_rmse if protocol.objective == "rmse" else trial.objective) is not None
        and not isnan(value)
    ]
    return sum(values) / len(values) if values else None


def _but_for_the_seed(config: TrialConfig) -> object:
    """The same for configurations that differ by nothing else; looked at every second, so not a hash."""
    records = [record for record in (config.architecture, config.training) if record is not None]
    values = (
        getattr(record, field.name)
        for record in records
        for field in fields(record)
        if field.name != "random_seed"
    )
    return config.family, *values


def _further(one: Configuration, n_seeds: int) -> Iterator[TrialConfig]:
    """The configuration with the next integers from its smallest seed on that it does not have yet.

    One that was stopped early has no result for a mean, and counts for none.
    """
    taken = {trial.config.random_seed or 0 for trial in one.trials}
    n_missing = n_seeds - len({trial.config.random_seed for trial in one.trials if trial.status != "stopped"})
    free = (seed for seed in count(min(taken)) if seed not in taken)
    for _ in range(n_missing):
        yield with_seed(one.config, next(free))


def with_seed(config: TrialConfig, seed: int) -> TrialConfig:
    """The same configuration with another random seed."""
    if config.training is not None:
        return replace(config, training=replace(config.training, random_seed=seed))
    return replace(config, architecture=replace(config.architecture, random_seed=seed))
