"""The search history: what each trial reached in the order in which they ended, and the best until then."""

from functools import cache
from typing import Any

from scheduler.page.charts import Chart, colour_by, finished
from scheduler.page.words import number, plural
from shared.store.page.sweep import SweepRecords

_ASKED_BY = {"file": "--accent", "search": "--leader", "repeats": "--tie", "blends": "--baseline"}
_FEWEST = 3


def history_of(records: SweepRecords, *, is_larger_better: bool) -> Chart | None:
    """Without baselines, which nothing searches; None where fewer than three trials have a value."""
    judged = (one for one in records.trials if one.validation_value is not None and not one.is_baseline)
    ended = sorted(
        (one for one in judged if one.finished_at is not None),
        key=lambda one: (str(one.finished_at), one.trial_id),
    )
    if len(ended) < _FEWEST:
        return None
    rows: list[list[object]] = []
    best: float | None = None
    best_at = 1
    for place, trial in enumerate(ended, start=1):
        value = trial.validation_value or 0.0
        if best is None or (value > best if is_larger_better else value < best):
            best, best_at = value, place
        rows.append([place, trial.label, value, best, trial.asked_by])
    objective = records.sweep.objective
    proposed = (
        f"The search made {plural(records.sweep.n_proposals, 'proposal')}; several may be one trial."
        if records.sweep.n_proposals
        else ""
    )
    return Chart(
        title="Search history",
        description=(
            f"{objective} of {plural(len(ended), 'trial')} in the order in which they ended. "
            f"The best, {number(best)}, was number {best_at}."
        ),
        spec=_spec(objective, tuple(sorted({one.asked_by for one in ended}))),
        columns=("number", "trial", "value", "best", "asked_by"),
        rows=rows,
        note=proposed,
    )


@cache
def _spec(objective: str, askers: tuple[str, ...]) -> dict[str, Any]:
    import altair  # noqa: PLC0415  Slow to load, and the commands do not need it.

    rows = altair.NamedData("rows")
    x = altair.X("number:Q", title="trials that have ended", axis=altair.Axis(tickMinStep=1, grid=False))
    scale = altair.Scale(zero=False)
    line = (
        altair.Chart(rows)
        .mark_line(interpolate="step-after", color="--soft", strokeWidth=1.2)
        .encode(x=x, y=altair.Y("best:Q", title=objective, scale=scale))
    )
    points = (
        altair.Chart(rows)
        .mark_circle(size=40, opacity=0.8)
        .encode(
            x=x,
            y=altair.Y("value:Q", title=objective, scale=scale),
            color=colour_by("asked_by", _ASKED_BY, askers),
            tooltip=[
                altair.Tooltip("trial:N"),
                altair.Tooltip("value:Q", title=objective, format=".4f"),
                altair.Tooltip("best:Q", title="best until then", format=".4f"),
            ],
        )
    )
    return finished(altair.layer(line, points).properties(width="container", height=280))
