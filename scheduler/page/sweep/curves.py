"""Learning curves: the objective after each epoch, the best trial highlighted, stopped ones grey."""

from functools import cache
from itertools import groupby
from typing import Any

from scheduler.page.charts import Chart, colour_by, finished
from scheduler.page.words import plural
from shared.store.page.sweep import CurvePoint, SweepRecords

_RMSE = "rmse"
_KINDS = {"best": "--leader", "running": "--accent", "stopped": "--stopped", "other": "--faint"}


def curves_of(records: SweepRecords) -> Chart | None:
    """By the objective where trainings looked at it, else by the RMSE; None where nothing had two epochs."""
    has_objective = any(point.objective is not None for point in records.curves)
    name = records.sweep.objective if has_objective else _RMSE
    trials = {one.trial_id: one for one in records.trials}
    curves = {
        trial_id: [(point.epoch, value) for point in points if (value := _value(point, name)) is not None]
        for trial_id, points in groupby(records.curves, key=lambda point: point.trial_id)
    }
    curves = {trial_id: points for trial_id, points in curves.items() if points and trial_id in trials}
    if all(len(points) < 2 for points in curves.values()):
        return None
    placed = [one.trial_id for one in records.trials if one.place is not None and one.trial_id in curves]
    best = placed[0] if placed else None

    def kind(trial_id: int) -> str:
        if trial_id == best:
            return "best"
        status = trials[trial_id].status
        return status if status in ("running", "stopped") else "other"

    n_trained = sum(one.best_epoch is not None or one.status == "running" for one in records.trials)
    drawn = f"{plural(len(curves), 'trial')} of {max(n_trained, len(curves))} with epochs"
    highlighted = f" Highlighted is the best of them, {trials[best].label}." if best is not None else ""
    n_stopped = sum(kind(one) == "stopped" for one in curves)
    stopped = f" {n_stopped} were stopped early, because they could not win." if n_stopped else ""
    return Chart(
        title="Learning curves",
        description=f"{name} on validation after each epoch of {drawn}.{highlighted}{stopped}",
        spec=_spec(name, tuple(sorted({kind(one) for one in curves}))),
        columns=("trial", "epoch", "value", "kind"),
        rows=[
            [trials[trial_id].label, epoch, value, kind(trial_id)]
            for trial_id, points in curves.items()
            for epoch, value in points
        ],
        note=f"Drawn: {drawn}.",
    )


def _value(point: CurvePoint, name: str) -> float | None:
    """Where the RMSE is the objective, some families note it as the one and some as the other."""
    return point.objective if name != _RMSE or point.val_rmse is None else point.val_rmse


@cache
def _spec(name: str, kinds: tuple[str, ...]) -> dict[str, Any]:
    import altair  # noqa: PLC0415  Slow to load, and the commands do not need it.

    chosen = altair.condition("datum.kind === 'best'", altair.value(2.5), altair.value(1.2))
    lines = (
        altair.Chart(altair.NamedData("rows"))
        .mark_line(point=altair.OverlayMarkDef(size=14, filled=True))
        .encode(
            x=altair.X("epoch:Q", title="epoch", axis=altair.Axis(tickMinStep=1, grid=False)),
            y=altair.Y("value:Q", title=f"{name} on validation", scale=altair.Scale(zero=False)),
            color=colour_by("kind", _KINDS, kinds),
            detail="trial:N",
            strokeWidth=chosen,
            order=altair.Order("epoch:Q"),
            tooltip=[
                altair.Tooltip("trial:N"),
                altair.Tooltip("epoch:Q"),
                altair.Tooltip("value:Q", title=name, format=".4f"),
            ],
        )
    )
    return finished(lines.properties(width="container", height=280))
