"""What the view of one sweep reads."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Engine

from shared.domain.records import AskedBy, TrialStatus
from shared.domain.verdicts import VerdictName
from shared.errors import FailureReason, SpecError
from shared.store.page.statements import reading


@dataclass(frozen=True)
class SweepFacts:
    """What was asked; `served_trial_id` is the chosen trial that is served for the name of its data set."""

    sweep_id: int
    name: str
    dataset_name: str
    is_synthetic: bool
    n_users: int
    n_items: int
    n_ratings: int
    is_refresh: bool
    objective: str
    k: int
    split: str
    created_at: datetime
    ended_at: datetime | None
    is_judged: bool
    is_growing: bool
    n_proposals: int
    served_trial_id: int | None
    served_label: str | None
    served_sweep_id: int | None


@dataclass(frozen=True)
class SweepTrial:
    """One trial of the sweep; `place` from 1 where it succeeded, and its verdict where there is one.

    `difference`, `lower` and `upper` are against the leader, as in `Verdict`; `reason` says why there is no
    verdict.
    """

    trial_id: int
    label: str
    family: str
    config: Mapping[str, Any]
    status: TrialStatus
    is_baseline: bool
    asked_by: AskedBy
    attempt: int
    random_seed: int | None
    place: int | None
    validation_value: float | None
    test_value: float | None
    verdict: VerdictName | None
    leader_trial_id: int | None
    difference: float | None
    lower: float | None
    upper: float | None
    p_value: float | None
    reason: str | None
    judged_by: str | None
    n_judging_users: int | None
    n_seeds: int | None
    n_parameters: int | None
    train_seconds: float | None
    peak_memory_bytes: int | None
    best_epoch: int | None
    error_reason: FailureReason | None
    error_message: str | None
    log_url: str | None
    started_at: datetime | None
    finished_at: datetime | None
    stopped_epoch: int | None
    stopped_value: float | None
    stopped_against: float | None
    has_lists: bool


@dataclass(frozen=True)
class CurvePoint:
    """What a trial had reached on validation after an epoch; None is what its family does not measure."""

    trial_id: int
    epoch: int
    objective: float | None
    val_rmse: float | None
    val_loss: float | None


@dataclass(frozen=True)
class SweepRecords:
    """All that the view shows. `trials`: best first, those without a result last.

    `metrics`: by part of the split and name, values by trial. `curves`: of the best trials, those that run,
    and the latest others.
    """

    sweep: SweepFacts
    trials: tuple[SweepTrial, ...]
    metrics: Mapping[tuple[str, str], Mapping[int, float]]
    curves: tuple[CurvePoint, ...]


def read_sweep(engine: Engine, sweep_id: int) -> SweepRecords:
    """A sweep with its trials; raises SpecError when there is none of this id."""
    with reading(engine) as database:
        facts = database.rows("sweep", "sweep", sweep_id=sweep_id)
        if not facts:
            raise SpecError(
                f"there is no sweep {sweep_id} in the database: it was never made, or it was pruned"
            )
        return SweepRecords(
            sweep=SweepFacts(**facts[0]._mapping),
            trials=tuple(
                SweepTrial(**row._mapping) for row in database.rows("sweep", "trials", sweep_id=sweep_id)
            ),
            metrics={
                (row.split, row.name): dict(zip(row.trial_ids, row.values_of, strict=True))
                for row in database.rows("sweep", "metrics", sweep_id=sweep_id)
            },
            curves=tuple(
                CurvePoint(**row._mapping) for row in database.rows("sweep", "curves", sweep_id=sweep_id)
            ),
        )
