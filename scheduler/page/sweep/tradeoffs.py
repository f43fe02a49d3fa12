"""The objective against what it costs: training time, and what lists lose for it; with the Pareto front."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from scheduler.page.charts import KINDS, Chart, colour_by, finished
from scheduler.page.words import number, plural
from shared.domain.protocol import OBJECTIVES
from shared.store.page.sweep import SweepRecords, SweepTrial

# Lists are judged by how much of the catalogue they show, else by how popular their items are.
_LIST_METRICS = (("coverage@", True), ("popularity@", False))
_MOST_NAMED = 8


@dataclass(frozen=True)
class _Cost:
    """What is on the other axis: a title, its value by trial, and whether more of it is better."""

    title: str
    values: Mapping[int, float]
    is_more_better: bool
    is_time: bool = False


def tradeoffs_of(records: SweepRecords) -> list[Chart]:
    """One chart for each cost that at least two trials have; none where the objective judged fewer."""
    charts = []
    objective = records.sweep.objective
    judged = [one for one in records.trials if one.validation_value is not None]
    shown, beaten = without_beaten_baselines(judged, objective_is_larger_better(objective))
    for cost in _costs(records):
        points = [one for one in shown if one.trial_id in cost.values]
        if len(points) >= 2:
            charts.append(_tradeoff(objective, cost, points, beaten))
    return charts


def without_beaten_baselines(
    judged: Sequence[SweepTrial], is_larger_better: bool
) -> tuple[list[SweepTrial], list[SweepTrial]]:
    """The trials to draw, and the baselines that every architecture beats.

    Those are so far away that on a scale with them in it all the others are one point. All are drawn where
    there are not two architectures.
    """
    sign = 1 if is_larger_better else -1
    others = [sign * (one.validation_value or 0.0) for one in judged if not one.is_baseline]
    if len(others) < 2:
        return list(judged), []
    worst = min(others)
    beaten = [one for one in judged if one.is_baseline and sign * (one.validation_value or 0.0) < worst]
    return [one for one in judged if one not in beaten], beaten


def _costs(records: SweepRecords) -> list[_Cost]:
    seconds = {one.trial_id: one.train_seconds for one in records.trials if one.train_seconds is not None}
    # A logarithm has no zero, and nobody minds a hundredth of a second.
    costs = [
        _Cost("training seconds", {key: max(one, 0.01) for key, one in seconds.items()}, False, is_time=True)
    ]
    for start, is_more_better in _LIST_METRICS:
        for (part, name), values in records.metrics.items():
            if part == "validation" and name.startswith(start):
                return [*costs, _Cost(name, values, is_more_better)]
    return costs


def _tradeoff(
    objective: str, cost: _Cost, points: Sequence[SweepTrial], beaten: Sequence[SweepTrial]
) -> Chart:
    pairs = [(cost.values[one.trial_id], one.validation_value or 0.0) for one in points]
    front = pareto_front(
        pairs, is_more_better=cost.is_more_better, is_larger_better=objective_is_larger_better(objective)
    )
    best = [points[place] for place in front]
    names = ", ".join(f"{one.label} ({number(one.validation_value)})" for one in best[:_MOST_NAMED])
    more = f" and {len(best) - _MOST_NAMED} more" if len(best) > _MOST_NAMED else ""
    left_out = ", ".join(f"{one.label} ({number(one.validation_value)})" for one in beaten)
    not_shown = f" Not drawn, since every architecture beats it: {left_out}." if left_out else ""
    return Chart(
        title=f"{objective} against {cost.title}",
        description=(
            f"{plural(len(points), 'trial')} by {objective} and {cost.title}. "
            f"No other is better in both than: {names}{more}.{not_shown}"
        ),
        spec=_spec(objective, cost.title, cost.is_time, tuple(sorted({kind_of(one) for one in points}))),
        columns=("trial", "x", "y", "kind", "front"),
        rows=[
            [one.label, value, y, kind_of(one), place in front]
            for place, (one, (value, y)) in enumerate(zip(points, pairs, strict=True))
        ],
        note=f"The line joins the trials that no other beats in both.{not_shown}",
    )


def pareto_front(
    pairs: Sequence[tuple[float, float]], *, is_more_better: bool, is_larger_better: bool
) -> list[int]:
    """Places of the pairs that no other beats in both, in the order of the first value, the best first.

    Of equal pairs the first counts.
    """
    sign_x, sign_y = (-1 if is_more_better else 1), (-1 if is_larger_better else 1)
    order = sorted(range(len(pairs)), key=lambda one: (sign_x * pairs[one][0], sign_y * pairs[one][1], one))
    front: list[int] = []
    for place in order:
        if not front or sign_y * pairs[place][1] < sign_y * pairs[front[-1]][1]:
            front.append(place)
    return front


def kind_of(trial: SweepTrial) -> str:
    """What it is coloured by: leader, tie, baseline or other."""
    if trial.place == 1 or (trial.leader_trial_id == trial.trial_id and trial.verdict):
        return "leader"
    if trial.verdict == "winner":
        return "better"
    if trial.is_baseline:
        return "baseline"
    return "tie" if trial.verdict == "tie" else "other"


def objective_is_larger_better(objective: str) -> bool:
    """Whether more of it is better; that of a later version is taken to be."""
    return OBJECTIVES.get(objective.partition("@")[0], True)


@cache
def _spec(objective: str, title: str, is_time: bool, kinds: tuple[str, ...]) -> dict[str, Any]:
    import altair  # noqa: PLC0415  Slow to load, and the commands do not need it.

    scale = altair.Scale(type="log") if is_time else altair.Scale(zero=False)
    x = altair.X("x:Q", title=title, scale=scale, axis=altair.Axis(tickCount=5, grid=False))
    y = altair.Y("y:Q", title=objective, scale=altair.Scale(zero=False), axis=altair.Axis(tickCount=6))
    shown = [
        altair.Tooltip("trial:N"),
        altair.Tooltip("y:Q", title=objective, format=".4f"),
        altair.Tooltip("x:Q", title=title, format=".1f" if is_time else ".4~g"),
    ]
    rows = altair.NamedData("rows")
    front = (
        altair.Chart(rows)
        .transform_filter("datum.front")
        .mark_line(color="--soft", strokeDash=[4, 3], strokeWidth=1, interpolate="linear")
        .encode(x=x, y=y)
    )
    points = (
        altair.Chart(rows)
        .mark_point(filled=True, size=70, opacity=0.9)
        .encode(
            x=x,
            y=y,
            color=colour_by("kind", KINDS, kinds),
            tooltip=shown,
        )
    )
    return finished(altair.layer(front, points).properties(width="container", height=280))
