"""What the view of all sweeps reads."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Engine

from shared.domain.records import TrialStatus
from shared.store.page.statements import reading


@dataclass(frozen=True)
class SweepLine:
    """One sweep, how far it is, and its leader so far; `finished_at`: of the trial that ended last."""

    sweep_id: int
    name: str
    dataset_name: str
    is_synthetic: bool
    is_refresh: bool
    created_at: datetime
    ended_at: datetime | None
    objective: str
    n_trials: int
    n_queued: int
    n_running: int
    n_succeeded: int
    n_failed: int
    n_cancelled: int
    n_stopped: int
    train_seconds: float
    started_at: datetime | None
    finished_at: datetime | None
    leader_trial_id: int | None
    leader_label: str | None
    leader_value: float | None


@dataclass(frozen=True)
class OpenTrial:
    """One trial of a sweep that has open ones, ended or not; `config` is the stored JSON."""

    sweep_id: int
    trial_id: int
    label: str
    status: TrialStatus
    worker: str | None
    attempt: int
    config: Mapping[str, Any]
    config_hash: str
    started_at: datetime | None
    finished_at: datetime | None
    is_lost: bool | None
    epoch: int | None
    n_epochs: int | None
    is_refit: bool


@dataclass(frozen=True)
class ServedLine:
    """The trial that is served for a data set; `validation_value` is that of the chosen trial."""

    dataset_name: str
    sweep_id: int
    sweep_name: str
    trial_id: int
    label: str
    is_promoted: bool
    is_refit: bool
    chosen_trial_id: int
    chosen_label: str
    objective: str
    validation_value: float | None
    promoted_at: datetime | None
    note: str | None


@dataclass(frozen=True)
class Sweeps:
    """All that the view shows, newest sweep first."""

    sweeps: tuple[SweepLine, ...]
    open_trials: tuple[OpenTrial, ...]
    served: tuple[ServedLine, ...]


def read_sweeps(engine: Engine) -> Sweeps:
    """All sweeps, the trials of those that are open, and what is served."""
    with reading(engine) as database:
        return Sweeps(
            sweeps=tuple(SweepLine(**row._mapping) for row in database.rows("sweeps", "sweeps")),
            open_trials=tuple(OpenTrial(**row._mapping) for row in database.rows("sweeps", "open_trials")),
            served=tuple(ServedLine(**row._mapping) for row in database.rows("sweeps", "served")),
        )
