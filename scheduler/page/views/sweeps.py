"""All sweeps: what is served, who works on what, how far each is."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from typing import Any

from scheduler.page.time_left import progress_of
from scheduler.page.view import View
from scheduler.page.words import plural
from shared.store.page.sweeps import OpenTrial, SweepLine, Sweeps, read_sweeps


@dataclass(frozen=True)
class OpenSweep:
    """A sweep that has open trials: its progress, and the trials that run now."""

    sweep: SweepLine
    fraction: float
    seconds_left: float | None
    running: tuple[OpenTrial, ...]


def build(records: Sweeps, now: datetime | None = None) -> dict[str, Any]:
    """What `sweeps.html` is given."""
    now = now or datetime.now(UTC)
    by_id = {one.sweep_id: one for one in records.sweeps}
    open_sweeps = []
    for sweep_id, trials in groupby(records.open_trials, key=lambda one: one.sweep_id):
        if sweep_id in by_id:
            open_sweeps.append(_open_sweep(by_id[sweep_id], tuple(trials), now))
    return {
        "title": "Sweeps",
        "open_sweeps": open_sweeps,
        "served": records.served,
        "sweeps": [(one, state_of(one), outcome_of(one)) for one in records.sweeps],
        "now": now,
    }


def _open_sweep(sweep: SweepLine, trials: tuple[OpenTrial, ...], now: datetime) -> OpenSweep:
    progress = progress_of([trial for trial in trials if not trial.is_refit], now)
    running = tuple(trial for trial in trials if trial.status == "running")
    return OpenSweep(sweep, progress.fraction, progress.seconds_left, running)


def state_of(sweep: SweepLine) -> str:
    """One word: running, waiting, cancelled, failed, ended or empty."""
    if not sweep.n_trials:
        return "empty"
    if sweep.n_running:
        return "running"
    if sweep.n_queued:
        return "waiting"
    if sweep.n_cancelled:
        return "cancelled"
    return "ended" if sweep.n_succeeded else "failed"


def outcome_of(sweep: SweepLine) -> str:
    """How its trials went: `14 succeeded, 2 failed`."""
    counts = {
        name: getattr(sweep, f"n_{name}")
        for name in ("succeeded", "running", "queued", "stopped", "failed", "cancelled")
    }
    said = ", ".join(f"{n:,} {name}" for name, n in counts.items() if n)
    return said or plural(0, "trial")


def _read(engine: Any, parameters: Mapping[str, Any]) -> Sweeps:  # noqa: ANN401
    del parameters
    return read_sweeps(engine)


VIEW = View(name="sweeps", path="/", read=_read, build=build)
