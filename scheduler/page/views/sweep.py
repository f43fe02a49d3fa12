"""One sweep: its verdict first, the leaderboard, what it costs, how trials learned, what failed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine

from scheduler.page.logs import log_tail
from scheduler.page.sweep.axes import axis_charts
from scheduler.page.sweep.curves import curves_of
from scheduler.page.sweep.history import history_of
from scheduler.page.sweep.leaderboard import MOST_ROWS, leaderboard_of
from scheduler.page.sweep.tradeoffs import objective_is_larger_better, tradeoffs_of
from scheduler.page.sweep.verdict import headline_of
from scheduler.page.view import View
from scheduler.page.words import count
from shared.store.page.sweep import SweepRecords, SweepTrial, read_sweep

_MOST_LOGS = 10


@dataclass(frozen=True)
class Failure:
    """A failed trial and the end of its log, None where that is not here."""

    trial: SweepTrial
    log: str | None


@dataclass(frozen=True)
class Shown:
    """What was read, and how the address wants it: in the order of `sort`, all rows or the first."""

    records: SweepRecords
    failures: tuple[Failure, ...] = ()
    sort: str | None = None
    show_all: bool = False


def build(shown: Shown) -> dict[str, Any]:
    """What `sweep.html` is given."""
    records = shown.records
    sweep = records.sweep
    is_larger_better = objective_is_larger_better(sweep.objective)
    return {
        "title": f"Sweep {sweep.sweep_id} {sweep.name}",
        "sweep": sweep,
        "headline": headline_of(records),
        "served": _served(records),
        "board": leaderboard_of(records, shown.sort, show_all=shown.show_all),
        "most_rows": MOST_ROWS,
        "sort": shown.sort,
        "n_trials": len(records.trials),
        "data": (
            f"{count(sweep.n_ratings)} ratings of {count(sweep.n_users)} users, {count(sweep.n_items)} items"
        ),
        "tradeoffs": tradeoffs_of(records),
        "learning": [
            one for one in (curves_of(records), history_of(records, is_larger_better=is_larger_better)) if one
        ],
        "axes": axis_charts(records, is_larger_better=is_larger_better),
        "failures": shown.failures,
        "is_open": any(one.status in ("queued", "running") for one in records.trials),
    }


def _served(records: SweepRecords) -> str:
    sweep = records.sweep
    if sweep.served_trial_id is None:
        return f"Nothing is served for {sweep.dataset_name} yet."
    if sweep.served_sweep_id == sweep.sweep_id:
        return f"Served now for {sweep.dataset_name}: {sweep.served_label}, of this sweep."
    return f"Served now for {sweep.dataset_name}: {sweep.served_label}, of sweep {sweep.served_sweep_id}."


def _read(engine: Engine, parameters: Mapping[str, Any]) -> Shown:
    records = read_sweep(engine, parameters["sweep_id"])
    failed = [one for one in records.trials if one.status == "failed"]
    return Shown(
        records=records,
        failures=tuple(
            Failure(one, log_tail(one.log_url) if place < _MOST_LOGS else None)
            for place, one in enumerate(failed)
        ),
        sort=parameters.get("sort"),
        show_all=bool(parameters.get("all")),
    )


VIEW = View(
    name="sweep",
    path="/sweeps/{sweep_id}",
    read=_read,
    build=build,
    parameters={"sweep_id": "integer", "sort": "text", "all": "integer"},
    of_report=lambda plan: ({"sweep_id": plan.sweep_id},),
)
