"""The charts of one trial: how it learned, and over which items its lists are spread."""

from collections.abc import Sequence
from functools import cache
from typing import Any

from scheduler.page.charts import Chart, finished
from scheduler.page.words import number, plural
from shared.store.page.trial import Epoch, Tenth, TrialRecords


def curve_of(records: TrialRecords) -> Chart | None:
    """The objective after each epoch, else RMSE or loss on validation; None without epochs of it."""
    objective = records.trial.objective
    by_title: dict[str, list[tuple[int, float | None]]] = {
        f"{objective} on validation": [(one.epoch, one.objective) for one in records.epochs],
        "RMSE on validation": [(one.epoch, one.val_rmse) for one in records.epochs],
        "loss on validation": [(one.epoch, one.val_loss) for one in records.epochs],
        "training loss": [(one.epoch, one.loss) for one in records.epochs],
    }
    for title, points in by_title.items():
        known = [(epoch, value) for epoch, value in points if value is not None]
        if known:
            return _curve(title, known, records)
    return None


def _curve(title: str, points: Sequence[tuple[int, float]], records: TrialRecords) -> Chart:
    best = records.trial.best_epoch
    kept = dict(points).get(best) if best is not None else None
    said = f" The weights of epoch {best} were kept, {number(kept)}." if kept is not None else ""
    return Chart(
        title=title,
        description=f"{title} after each of {plural(len(points), 'epoch')}.{said}",
        spec=_curve_spec(title),
        columns=("epoch", "value", "is_best"),
        rows=[[epoch, value, epoch == best] for epoch, value in points],
        note=said.strip(),
    )


def losses_of(epochs: Sequence[Epoch]) -> Chart | None:
    """Training loss and, where it is measured, that on validation; None for fewer than two epochs."""
    if len(epochs) < 2:
        return None
    rows: list[list[object]] = [[one.epoch, one.loss, "training"] for one in epochs]
    rows += [[one.epoch, one.val_loss, "validation"] for one in epochs if one.val_loss is not None]
    return Chart(
        title="Loss",
        description=f"Loss after each of {plural(len(epochs), 'epoch')}, from {number(epochs[0].loss)} to "
        f"{number(epochs[-1].loss)} on the training ratings.",
        spec=_losses_spec(),
        columns=("epoch", "value", "part"),
        rows=rows,
    )


def spread_of(tenths: Sequence[Tenth]) -> Chart | None:
    """The share of all places in lists that each tenth of the catalogue has; None without lists."""
    total = sum(one.n_lists for one in tenths)
    if not total:
        return None
    first = tenths[0].n_lists / total
    return Chart(
        title="Places in lists by popularity of the item",
        description=(
            f"The most rated tenth of the catalogue has {first:.0%} of all places in lists; of these "
            f"{tenths[0].n_items:,} items {tenths[0].n_listed:,} are in some list."
        ),
        spec=_spread_spec(),
        columns=("tenth", "share", "listed"),
        rows=[[one.tenth, one.n_lists / total, one.n_listed / one.n_items] for one in tenths],
        note=(
            "1 is the tenth with most ratings; items with as many are together. Were all recommended alike, "
            "each bar would be at 10 %."
        ),
    )


@cache
def _curve_spec(title: str) -> dict[str, Any]:
    import altair  # noqa: PLC0415  Slow to load, and the commands do not need it.

    rows = altair.NamedData("rows")
    x = altair.X("epoch:Q", title="epoch", axis=altair.Axis(tickMinStep=1, grid=False))
    y = altair.Y("value:Q", title=title, scale=altair.Scale(zero=False))
    tooltip = [altair.Tooltip("epoch:Q"), altair.Tooltip("value:Q", title=title, format=".4f")]
    line = (
        altair.Chart(rows)
        .mark_line(color="--accent", point=altair.OverlayMarkDef(size=16, filled=True, color="--accent"))
        .encode(x=x, y=y, tooltip=tooltip)
    )
    kept = (
        altair.Chart(rows)
        .mark_point(size=110, color="--leader", strokeWidth=2)
        .encode(x=x, y=y, tooltip=tooltip)
        .transform_filter("datum.is_best")
    )
    return finished(altair.layer(line, kept).properties(width="container", height=260))


@cache
def _losses_spec() -> dict[str, Any]:
    import altair  # noqa: PLC0415

    chart = (
        altair.Chart(altair.NamedData("rows"))
        .mark_line()
        .encode(
            x=altair.X("epoch:Q", title="epoch", axis=altair.Axis(tickMinStep=1, grid=False)),
            y=altair.Y("value:Q", title="loss", scale=altair.Scale(zero=False)),
            color=altair.Color(
                "part:N",
                legend=altair.Legend(title=None),
                scale=altair.Scale(domain=["training", "validation"], range=["--faint", "--accent"]),
            ),
            tooltip=[
                altair.Tooltip("part:N"),
                altair.Tooltip("epoch:Q"),
                altair.Tooltip("value:Q", title="loss", format=".4f"),
            ],
        )
    )
    return finished(chart.properties(width="container", height=260))


@cache
def _spread_spec() -> dict[str, Any]:
    import altair  # noqa: PLC0415

    rows = altair.NamedData("rows")
    bars = (
        altair.Chart(rows)
        .mark_bar(color="--accent")
        .encode(
            x=altair.X("tenth:O", title="tenth of the catalogue", axis=altair.Axis(labelAngle=0)),
            y=altair.Y("share:Q", title="share of all places", axis=altair.Axis(format="%")),
            tooltip=[
                altair.Tooltip("tenth:O"),
                altair.Tooltip("share:Q", title="share of places", format=".1%"),
                altair.Tooltip("listed:Q", title="share of its items that are in a list", format=".1%"),
            ],
        )
    )
    return finished(bars.properties(width="container", height=260))
