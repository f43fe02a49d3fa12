"""What the view of one trial reads."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Engine

from shared.domain.records import AskedBy, TrialStatus
from shared.domain.verdicts import VerdictName
from shared.errors import SpecError
from shared.store.page.statements import reading


@dataclass(frozen=True)
class TrialFacts:
    """The trial, its place and verdict in its sweep; `chosen_label` is that of the trial it is a refit of."""

    trial_id: int
    sweep_id: int
    sweep_name: str
    dataset_id: int
    dataset_name: str
    is_synthetic: bool
    n_items: int
    n_users: int
    label: str
    family: str
    config: Mapping[str, Any]
    status: TrialStatus
    is_baseline: bool
    asked_by: AskedBy
    attempt: int
    n_parameters: int | None
    best_epoch: int | None
    model_url: str | None
    log_url: str | None
    error_reason: str | None
    error_message: str | None
    queued_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    train_seconds: float | None
    peak_memory_bytes: int | None
    stopped_epoch: int | None
    stopped_value: float | None
    stopped_against: float | None
    refit_of: int | None
    chosen_label: str
    refreshed_from: int | None
    objective: str
    k: int | None
    place: int | None
    n_ranked: int | None
    validation_value: float | None
    test_value: float | None
    leader_trial_id: int | None
    leader_label: str | None
    verdict: VerdictName | None
    difference: float | None
    lower: float | None
    upper: float | None
    no_verdict_because: str | None
    judged_by: str | None
    has_lists: bool
    is_served: bool


@dataclass(frozen=True)
class Epoch:
    """One epoch of its training; None is what its family does not measure."""

    epoch: int
    attempt: int
    loss: float
    val_loss: float | None
    val_rmse: float | None
    objective: float | None
    seconds: float


@dataclass(frozen=True)
class Attempt:
    """One execution; `end_reason` None while it runs."""

    attempt: int
    worker: str
    code_version: str
    started_at: datetime
    ended_at: datetime | None
    end_reason: str | None
    error_message: str | None
    peak_memory_bytes: int | None


@dataclass(frozen=True)
class Relative:
    """A trial that came from it, or differs from it by the random seed alone."""

    kind: Literal["refit", "refresh", "repeat"]
    trial_id: int
    sweep_id: int
    label: str
    status: TrialStatus
    random_seed: int | None


@dataclass(frozen=True)
class Proposal:
    """A proposal of the search that this trial answers."""

    number: int
    branch: int
    parameters: Mapping[str, Any]
    proposed_at: datetime


@dataclass(frozen=True)
class Promotion:
    """A time at which it, or its refit, was promoted."""

    promoted_at: datetime
    note: str


@dataclass(frozen=True)
class Tenth:
    """About a tenth of the catalogue, 1: the most rated; items with as many ratings are together.

    `n_lists`: places in lists that its items have.

    `n_users`: users who have an item of it first; those of all tenths are the users whose lists were counted.
    """

    tenth: int
    n_items: int
    n_listed: int
    n_lists: int
    n_users: int


@dataclass(frozen=True)
class MostListed:
    """An item in many of the lists that were counted."""

    item_id: str
    title: str
    n_ratings: int
    n_lists: int


@dataclass(frozen=True)
class UsersOfActivity:
    """A third of the users by training ratings: what both trials reach, and who wins how often."""

    place: int
    split: str
    least: int
    most: int
    n_users: int
    n_ranked: int
    rmse: float | None
    other_rmse: float | None
    ndcg: float | None
    other_ndcg: float | None
    n_higher_ndcg: int
    n_lower_ndcg: int
    n_smaller_error: int
    n_larger_error: int


@dataclass(frozen=True)
class Against:
    """The trial that it is compared with: the leader, or of the leader the next best."""

    trial_id: int
    label: str


@dataclass(frozen=True)
class TrialRecords:
    """All that the view shows. `metrics`: by part of the split and name.

    `tenths` and `most_listed` are empty where there are no lists, `for_whom` where nothing is compared.
    """

    trial: TrialFacts
    metrics: Mapping[tuple[str, str], float]
    epochs: tuple[Epoch, ...] = ()
    attempts: tuple[Attempt, ...] = ()
    relatives: tuple[Relative, ...] = ()
    proposals: tuple[Proposal, ...] = ()
    promotions: tuple[Promotion, ...] = ()
    tenths: tuple[Tenth, ...] = ()
    most_listed: tuple[MostListed, ...] = ()
    for_whom: tuple[UsersOfActivity, ...] = ()
    against: Against | None = None


def read_trial(engine: Engine, trial_id: int) -> TrialRecords:
    """A trial with all that led to it and came of it; raises SpecError when there is none of this id."""
    with reading(engine) as database:
        facts = database.rows("trial", "trial", trial_id=trial_id)
        if not facts:
            raise SpecError(
                f"there is no trial {trial_id} in the database: it was never made, or its sweep was pruned"
            )
        trial = TrialFacts(**facts[0]._mapping)
        others = database.rows("trial", "against", trial_id=trial_id)
        against = Against(**others[0]._mapping) if others else None
        key = {"trial_id": trial_id}

        def read(name: str, record: type) -> tuple[Any, ...]:
            return tuple(record(**row._mapping) for row in database.rows("trial", name, **key))

        spread = database.rows("trial", "spread", **key) if trial.has_lists else ()
        return TrialRecords(
            trial=trial,
            metrics={(row.split, row.name): row.value for row in database.rows("trial", "metrics", **key)},
            epochs=read("epochs", Epoch),
            attempts=read("attempts", Attempt),
            relatives=read("relatives", Relative),
            proposals=read("proposals", Proposal),
            promotions=read("promotions", Promotion),
            tenths=tuple(
                Tenth(row.tenth, row.n_items, row.n_listed, row.n_lists, row.n_users)
                for row in sorted((row for row in spread if row.item_id is None), key=lambda row: row.tenth)
            ),
            most_listed=tuple(
                MostListed(row.item_id, row.title, row.n_ratings, row.n_lists)
                for row in spread
                if row.item_id is not None
            ),
            for_whom=read("for_whom", UsersOfActivity) if against else (),
            against=against,
        )
