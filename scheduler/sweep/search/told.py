"""Optuna's samplers, told anew each time what a search has found: nothing is kept between two proposals."""

import logging
import math
import warnings
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial, TrialState, create_trial

from scheduler.sweep.search.axes import Axis, Range, is_ordered
from scheduler.sweep.sections import SearchMethod
from shared.store import Trial

# Optuna numbers what is asked from 0, and goes through what was told only from there up.
_FIRST_NUMBER = 1

optuna.logging.set_verbosity(logging.WARNING)


@dataclass(frozen=True)
class Result:
    """What a trial tells a search: how it stands, and its value where it has one.

    `epoch`: of a stopped trial, how far it came.
    """

    state: TrialState
    value: float | None = None
    epoch: int | None = None


def result_of(trial: Trial) -> Result:
    """Pure. A trial that succeeded without a value for the objective tells as little as a failed one."""
    if trial.status in ("queued", "running"):
        return Result(TrialState.RUNNING)
    if trial.status == "stopped" and trial.stopped_value is not None and math.isfinite(trial.stopped_value):
        return Result(TrialState.PRUNED, trial.stopped_value, trial.stopped_epoch)
    if trial.status == "succeeded" and trial.objective is not None and math.isfinite(trial.objective):
        return Result(TrialState.COMPLETE, trial.objective)
    return Result(TrialState.FAIL)


class Told(InMemoryStorage):
    """A study that begins with trials it was told; they are read, never copied."""

    def __init__(self, trials: Sequence[FrozenTrial]) -> None:
        super().__init__()
        self._told = list(trials)

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        """Those told, in order, then those asked."""
        told = [trial for trial in self._told if states is None or trial.state in states]
        return told + super().get_all_trials(study_id, deepcopy, states)


def study_of(
    told: Sequence[FrozenTrial], sampler: BaseSampler | None = None, *, is_larger_better: bool
) -> optuna.Study:
    """The study of trials that were told, for one question."""
    direction = "maximize" if is_larger_better else "minimize"
    return optuna.create_study(storage=Told(told), sampler=sampler, direction=direction)


class _Tpe(TPESampler):
    """TPE over a space that is known: it need not be found among a thousand trials at each question."""

    space: Mapping[str, BaseDistribution]

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, Any]:
        """All axes together: how good a value is may depend on the others."""
        del study, trial
        return {name: axis for name, axis in self.space.items() if not axis.single()}


def make_sampler(
    method: SearchMethod, seed: Sequence[int], n_startup: int, space: Mapping[str, BaseDistribution]
) -> BaseSampler:
    """The sampler of a method; the same seed and the same told trials give the same proposal."""
    number = int(np.random.SeedSequence(seed).generate_state(1)[0])
    if method == "random":
        return RandomSampler(seed=number)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        sampler = _Tpe(seed=number, n_startup_trials=n_startup, multivariate=True, constant_liar=True)
    sampler.space = space
    return sampler


def ask(
    told: Sequence[FrozenTrial], sampler: BaseSampler, space: Mapping[str, Any], *, is_larger_better: bool
) -> dict[str, Any]:
    """One question: a value for each part of the space."""
    return study_of(told, sampler, is_larger_better=is_larger_better).ask(dict(space)).params


def told_trial(
    number: int, result: Result, parameters: Mapping[str, Any], axes: Mapping[str, Axis]
) -> FrozenTrial:
    """A trial as Optuna knows it; nobody changes it, so that one that was made before is not made again."""
    return _told_trial(number, result, tuple(parameters.items()), tuple(axes.items()))


@lru_cache(maxsize=100_000)
def _told_trial(
    number: int, result: Result, parameters: tuple[tuple[str, Any], ...], axes: tuple[tuple[str, Axis], ...]
) -> FrozenTrial:
    axis_of = dict(axes)
    values: dict[str, Any] = {}
    if result.state == TrialState.COMPLETE:
        values["value"] = result.value
    if result.state == TrialState.PRUNED:
        values["intermediate_values"] = {result.epoch or 0: result.value}
    told = create_trial(
        state=result.state,
        params={name: to_optuna(axis_of[name], value) for name, value in parameters},
        distributions={name: distribution_of(axis) for name, axis in axes},
        **values,
    )
    told.number = _FIRST_NUMBER + number
    return told


def distribution_of(axis: Axis) -> BaseDistribution:
    """A range, a choice, or the position in a list of ascending numbers."""
    if not isinstance(axis, Range):
        if is_ordered(axis):
            return IntDistribution(0, len(axis) - 1)
        return CategoricalDistribution(tuple(range(len(axis))))
    if axis.is_whole:
        return IntDistribution(int(axis.low), int(axis.high), log=axis.is_log)
    return FloatDistribution(axis.low, axis.high, log=axis.is_log)


def to_optuna(axis: Axis, value: Any) -> Any:  # noqa: ANN401  A value of the axis.
    """The value as the sampler knows it."""
    return value if isinstance(axis, Range) else axis.index(value)


def from_optuna(axis: Axis, value: Any) -> Any:  # noqa: ANN401  A value of the axis.
    """The value of the axis that the sampler means."""
    return axis.rounded(value) if isinstance(axis, Range) else axis[value]
