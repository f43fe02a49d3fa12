"""The effect of each axis: what the trials of each of its values reached."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from statistics import fmean
from typing import Any

from scheduler.page.charts import Chart, finished
from scheduler.page.words import number
from shared.plain_text import shortened
from shared.store.page.sweep import SweepRecords, SweepTrial

_MOST_AXES = 8
_MOST_SETTINGS = 20
_MOST_POINTS = 60


@dataclass(frozen=True)
class Setting:
    """One value of an axis, the mean of its trials, and these, best or worst first."""

    name: str
    mean: float
    trials: tuple[SweepTrial, ...]


@dataclass(frozen=True)
class Axis:
    """One axis with its settings, the best mean first; `spread` between the best mean and the worst."""

    name: str
    settings: tuple[Setting, ...]
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
    varied = {name: settings for name, settings in found.items() if 2 <= len(settings) <= _MOST_SETTINGS}
    axes = [_axis(name, settings, is_larger_better) for name, settings in varied.items()]
    return sorted(axes, key=lambda one: (-one.spread, one.name))[:_MOST_AXES]


def _settings(trial: SweepTrial) -> Iterator[tuple[str, str]]:
    for part in ("architecture", "training"):
        for name, value in (trial.config.get(part) or {}).items():
            yield name.replace("_", " "), _text(value)


def _text(value: object) -> str:
    if isinstance(value, list | dict):
        return shortened(json.dumps(value), 40)
    return _scalar_text(type(value).__name__, value)


@lru_cache(maxsize=4096)
def _scalar_text(kind: str, value: Any) -> str:  # noqa: ANN401
    """By its type too: 1, 1.0 and true are equal."""
    return shortened(str(value) if kind == "str" else json.dumps(value), 40)


def _axis(name: str, settings: dict[str, list[SweepTrial]], is_larger_better: bool) -> Axis:
    means = {setting: fmean(map(_value, trials)) for setting, trials in settings.items()}
    order = sorted(settings, key=lambda one: (-means[one] if is_larger_better else means[one], one))
    return Axis(
        name=name,
        settings=tuple(Setting(one, means[one], tuple(sorted(settings[one], key=_value))) for one in order),
        spread=max(means.values()) - min(means.values()),
    )


def _value(trial: SweepTrial) -> float:
    return trial.validation_value or 0.0


def axis_charts(records: SweepRecords, *, is_larger_better: bool) -> list[Chart]:
    """One chart an axis: a point a trial, a stroke at the mean."""
    return [_chart(records, one) for one in axes_of(records, is_larger_better=is_larger_better)]


def _chart(records: SweepRecords, axis: Axis) -> Chart:
    objective = records.sweep.objective
    means = ", ".join(f"{one.name} {number(one.mean)}" for one in axis.settings)
    is_thinned = any(len(one.trials) > _MOST_POINTS for one in axis.settings)
    return Chart(
        title=axis.name,
        description=f"{objective} by {axis.name}, means from the best: {means}.",
        spec=_spec(objective, len(axis.settings)),
        columns=("setting", "trial", "value", "mean", "place"),
        rows=[
            [setting.name, one.label, one.validation_value, setting.mean, place]
            for place, setting in enumerate(axis.settings)
            for one in _thinned(setting.trials)
        ],
        note=f"Of a row with more trials {_MOST_POINTS} are drawn, from the best to the worst."
        if is_thinned
        else "",
    )


def _thinned(trials: tuple[SweepTrial, ...]) -> list[SweepTrial]:
    """Evenly from the first to the last, with both."""
    if len(trials) <= _MOST_POINTS:
        return list(trials)
    return [trials[round(n * (len(trials) - 1) / (_MOST_POINTS - 1))] for n in range(_MOST_POINTS)]


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
        .encode(x=altair.X("mean:Q", title=objective), y=y)
    )
    return finished(altair.layer(points, means).properties(width="container", height=26 * n_settings))
