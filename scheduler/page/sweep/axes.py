"""The effect of each axis: what the trials of each of its values reached."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from statistics import fmean
from typing import Any

from scheduler.page.charts import Chart, finished
from scheduler.page.words import number
from shared.plain_text import shortened
from shared.store.page.sweep import SweepRecords, SweepTrial

_MOST_AXES = 8
_MOST_SETTINGS = 20


@dataclass(frozen=True)
class Axis:
    """One axis with the trials of each of its settings, the best mean first; `spread` between the means."""

    name: str
    settings: tuple[tuple[str, tuple[SweepTrial, ...]], ...]
    spread: float


def axes_of(records: SweepRecords, *, is_larger_better: bool) -> list[Axis]:
    """Axes with two settings or more, the largest effect first: the family, then settings within a family."""
    judged = [one for one in records.trials if one.validation_value is not None and not one.is_baseline]
    found: dict[str, dict[str, list[SweepTrial]]] = {}
    families = {one.family for one in judged}
    for trial in judged:
        if len(families) > 1:
            found.setdefault("family", {}).setdefault(trial.family, []).append(trial)
        for name, setting in _settings(trial):
            title = f"{trial.family}: {name}" if len(families) > 1 else name
            found.setdefault(title, {}).setdefault(setting, []).append(trial)
    axes = [_axis(name, settings, is_larger_better) for name, settings in found.items()]
    axes = [one for one in axes if 2 <= len(one.settings) <= _MOST_SETTINGS]
    return sorted(axes, key=lambda one: (-one.spread, one.name))[:_MOST_AXES]


def _settings(trial: SweepTrial) -> Iterator[tuple[str, str]]:
    for part in ("architecture", "training"):
        for name, value in (trial.config.get(part) or {}).items():
            yield (
                name.replace("_", " "),
                shortened(value if isinstance(value, str) else json.dumps(value), 40),
            )


def _axis(name: str, settings: dict[str, list[SweepTrial]], is_larger_better: bool) -> Axis:
    means = {setting: _mean(trials) for setting, trials in settings.items()}
    order = sorted(settings, key=lambda one: (-means[one] if is_larger_better else means[one], one))
    return Axis(
        name=name,
        settings=tuple((one, tuple(settings[one])) for one in order),
        spread=max(means.values()) - min(means.values()),
    )


def _mean(trials: list[SweepTrial]) -> float:
    return fmean(one.validation_value for one in trials if one.validation_value is not None)


def axis_charts(records: SweepRecords, *, is_larger_better: bool) -> list[Chart]:
    """One chart an axis: a point a trial, a stroke at the mean."""
    charts = []
    for axis in axes_of(records, is_larger_better=is_larger_better):
        means = ", ".join(f"{setting} {number(_mean(list(trials)))}" for setting, trials in axis.settings)
        charts.append(
            Chart(
                title=axis.name,
                description=f"{records.sweep.objective} by {axis.name}, means from the best: {means}.",
                spec=_spec(records.sweep.objective, len(axis.settings)),
                columns=("setting", "trial", "value", "mean", "place"),
                rows=[
                    [setting, one.label, one.validation_value, _mean(list(trials)), place]
                    for place, (setting, trials) in enumerate(axis.settings)
                    for one in trials
                ],
            )
        )
    return charts


@cache
def _spec(objective: str, n_settings: int) -> dict[str, Any]:
    import altair  # noqa: PLC0415  Slow to load, and the commands do not need it.

    rows = altair.NamedData("rows")
    y = altair.Y("setting:N", title=None, sort=altair.EncodingSortField("place", op="min"))
    x = altair.X("value:Q", title=objective, scale=altair.Scale(zero=False), axis=altair.Axis(tickCount=4))
    shown = [altair.Tooltip("trial:N"), altair.Tooltip("value:Q", title=objective, format=".4f")]
    points = (
        altair.Chart(rows).mark_circle(size=45, opacity=0.6, color="--accent").encode(x=x, y=y, tooltip=shown)
    )
    means = (
        altair.Chart(rows)
        .mark_tick(color="--ink", thickness=2, size=18)
        .encode(x=altair.X("mean(value):Q", title=objective), y=y)
    )
    return finished(altair.layer(points, means).properties(width="container", height=26 * n_settings))
