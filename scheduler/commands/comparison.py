"""The command that compares two trials: by how much is one better, how sure is that, and for whom."""

from collections.abc import Mapping
from dataclasses import dataclass

import click
import numpy as np
from sqlalchemy import Engine

from scheduler.commands.connection import SWEEP_OPTION, open_store, require_sweep
from scheduler.verdicts.comparison import (
    Comparison,
    common_measures,
    compare,
    groups_by_activity,
    ranking_differences,
    split_differences,
)
from scheduler.verdicts.measures import Measure
from scheduler.verdicts.words import decimals_of, format_interval
from scheduler.verdicts.writing import judging_part
from shared import store
from shared.console import console, describe_data, new_table
from shared.errors import SpecError, StoreError
from shared.store import StoredUserResults, Sweep, Trial

_HOW = "make compare A=label B=label [SWEEP=name]; of any sweep: A=name:label, A=sweep_id:label, A=trial_id"


@dataclass(frozen=True, eq=False)
class _Side:
    """One of the two trials."""

    letter: str
    trial: Trial
    sweep: Sweep
    results: StoredUserResults

    @property
    def name(self) -> str:
        return f"{self.letter}: {self.trial.label} of sweep {self.sweep.sweep_id} {self.sweep.name}"


@click.command("compare")
@click.option("--a", "first", envvar="A", default=None, help="A trial: label, sweep:label or trial id.")
@click.option("--b", "second", envvar="B", default=None, help="Another one.")
@SWEEP_OPTION
@click.option("--metric", envvar="METRIC", default=None, help="What to tell for whom; default the objective.")
def compare_trials(first: str | None, second: str | None, sweep_name: str | None, metric: str | None) -> None:
    """Compare two trials of one data set and split: by how much is one better, and for whom."""
    if not first or not second:
        raise SpecError(f"which two trials? {_HOW}")
    engine, _ = open_store()
    found = [_find(engine, *named, sweep_name) for named in (("A", first), ("B", second))]
    part = _common_part(found)
    a, b = (
        _Side(letter, trial, sweep, _results(engine, letter, trial, part))
        for letter, (sweep, trial) in zip("AB", found, strict=True)
    )
    if not np.array_equal(a.results.user_ids, b.results.user_ids):
        raise SpecError(
            f"A and B must be judged by the same users; {a.trial.label} and {b.trial.label} are not, though "
            "their data and split are: see `make verify`"
        )
    _print_comparison(a, b, part, metric)


def _print_comparison(a: _Side, b: _Side, part: str, metric: str | None) -> None:
    not_alike = ranking_differences(a.sweep.protocol, b.sweep.protocol)
    k = a.sweep.protocol.k
    measures = common_measures(a.results, b.results, k, with_rankings=not not_alike)
    if not measures:
        why = f", and their lists are not judged alike: {'; '.join(not_alike)}" if not_alike else ""
        raise SpecError(f"A and B must have a metric in common; no user has one of both{why}")
    chosen = _choose(measures, metric, a.sweep.protocol.objective, b.sweep.protocol.objective)
    data = describe_data(a.sweep.dataset_name, is_synthetic=a.sweep.is_synthetic)
    console.print(a.name)
    console.print(b.name)
    users = f"{len(a.results.user_ids):,} users"
    if part == "test":
        console.print(f"On {data}, judged by {users} on the test part, which chose nothing")
    else:
        console.print(
            f"On {data}, judged by {users} on validation, which may also have chosen epochs and these two: "
            "the intervals are optimistic"
        )
    if not_alike:
        console.print(f"Their lists are not compared: {'; '.join(not_alike)}", style="yellow")
    _print_table(
        "A minus B, with the interval of 95 % of each line by itself",
        "metric",
        {measure.name: compare(measure, a.results, b.results) for measure in measures},
    )
    _print_table(
        f"For whom: {chosen.name}, by the number of training ratings of a user",
        "users",
        {
            group.name: compare(chosen, a.results, b.results, group.is_member)
            for group in groups_by_activity(a.results.n_train_ratings)
        },
    )
    console.print(_in_words(compare(chosen, a.results, b.results), a, b))


def _print_table(title: str, first_column: str, comparisons: Mapping[str, Comparison | None]) -> None:
    table = new_table(title, first_column)
    for name in ("n", "A", "B", "A - B"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("better")
    for name, comparison in comparisons.items():
        if comparison:
            table.add_row(name, *_cells(comparison))
    console.print(table)


def _cells(comparison: Comparison) -> tuple[str, ...]:
    found = comparison.difference
    if found is None:
        values = (f"{value:.4f}" for value in (comparison.first, comparison.second))
        return (f"{comparison.n_users:,}", *values, "too few users to say", "")
    half = found.half_width()
    decimals = decimals_of(half)
    values = (f"{value:.{decimals}f}" for value in (comparison.first, comparison.second))
    return (f"{comparison.n_users:,}", *values, format_interval(found.value, half), comparison.better)


def _in_words(comparison: Comparison | None, a: _Side, b: _Side) -> str:
    if comparison is None or comparison.difference is None:
        return "Too few users judge both trials to say which is better"
    if comparison.better == "tie":
        return f"By {comparison.measure.name} neither is proven better"
    better, other = (a, b) if comparison.better == "A" else (b, a)
    half = comparison.difference.half_width()
    by = f"{abs(comparison.difference.value):.{decimals_of(half)}f} ± {half:.{decimals_of(half)}f}"
    words = f"{better.letter}, {better.trial.label}, is better than {other.letter} by {by}"
    return f"By {comparison.measure.name} {words}"


def _choose(measures: list[Measure], metric: str | None, *objectives: str) -> Measure:
    by_name = {measure.name: measure for measure in measures}
    if metric is not None:
        for name, measure in by_name.items():
            if metric in (name, name.partition("@")[0]):
                return measure
        raise SpecError(
            f"METRIC must be one that A and B have in common: {', '.join(by_name)}; got {metric!r}"
        )
    return next((by_name[name] for name in objectives if name in by_name), measures[0])


def _common_part(found: list[tuple[Sweep, Trial]]) -> str:
    """The part of the split that judges both; SpecError where they cannot be compared."""
    (first_sweep, first), (second_sweep, second) = found
    if first.trial_id == second.trial_id:
        raise SpecError(f"A and B must be two trials; both are trial {first.trial_id} {first.label}")
    if first_sweep.fingerprint != second_sweep.fingerprint:
        names = [f"{one.dataset_name} ({one.fingerprint[:8]})" for one in (first_sweep, second_sweep)]
        raise SpecError(f"A and B must be of one data set; A is of {names[0]}, B of {names[1]}")
    differing = split_differences(first_sweep.protocol, second_sweep.protocol)
    if differing:
        raise SpecError(f"A and B must be judged by the same held out ratings; {'; '.join(differing)}")
    return judging_part(first_sweep.protocol)


def _results(engine: Engine, letter: str, trial: Trial, part: str) -> StoredUserResults:
    results = store.stored_user_results(engine, trial.trial_id, part)
    if not len(results.user_ids):
        parts = store.parts_with_user_results(engine, trial.trial_id)
        why = f"nobody has a rating in its {part} part" if parts else "none were kept when it was stored"
        remedy = "take another split" if parts else "run its sweep again with FRESH=1"
        raise SpecError(
            f"{letter} must have results of users; of {trial.label} (trial {trial.trial_id}) {why}: {remedy}"
        )
    return results


def _find(engine: Engine, letter: str, name: str, sweep_name: str | None) -> tuple[Sweep, Trial]:
    """The trial that was named by its id, its label, or the name or id of a sweep, a colon and its label."""
    if name.isascii() and name.isdigit():
        try:
            found = store.get_trial(engine, int(name))
        except StoreError as error:
            raise SpecError(f"{letter} must be a stored trial; there is no trial {name}. {_HOW}") from error
        sweep, trials = store.get_sweep(engine, found.sweep_id), [found]
    else:
        of_sweep, colon, label = name.rpartition(":")
        sweep = _find_sweep(engine, of_sweep) if colon else require_sweep(engine, sweep_name)
        stored = store.sweep_trials(engine, sweep.sweep_id)
        trials = [one for one in stored if one.label == label]
        if not trials:
            known = ", ".join(one.label for one in stored if one.status == "succeeded")
            raise SpecError(
                f"{letter} must be a succeeded trial of sweep {sweep.sweep_id} {sweep.name}; got {label!r}, "
                f"known are {known or 'none yet'}"
            )
    (trial,) = trials
    if trial.status != "succeeded":
        raise SpecError(
            f"{letter} must have succeeded; {trial.label} of sweep {sweep.sweep_id} is {trial.status}"
        )
    return sweep, trial


def _find_sweep(engine: Engine, name: str) -> Sweep:
    if name.isascii() and name.isdigit():
        for sweep in store.list_sweeps(engine):
            if sweep.sweep_id == int(name):
                return sweep
    return require_sweep(engine, name)
