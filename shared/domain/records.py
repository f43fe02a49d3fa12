"""Frozen records that cross the border between the database and everybody else."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, get_args

from shared.domain.protocol import Protocol
from shared.domain.stopping import Stopping
from shared.domain.trial import TrialConfig
from shared.errors import FailureReason

TrialStatus = Literal["queued", "running", "succeeded", "failed", "cancelled", "stopped"]
TRIAL_STATUSES: tuple[TrialStatus, ...] = get_args(TrialStatus)
# What asked for a trial: the grids of a sweep file, or one of its sections that let it grow.
AskedBy = Literal["file", "search", "repeats", "blends"]
LeaseState = Literal["held", "cancelled", "superseded"]


@dataclass(frozen=True)
class Sweep:
    """One stored sweep.

    `is_refresh`: made by `make refresh`, not from a sweep file. `lists_kept`: of how many of its best trials
    lists are kept, None: of all. `spec`: the sweep file as last read. `growing_since`: since when the
    scheduler may add trials by itself, None: it adds none.
    """

    sweep_id: int
    name: str
    dataset_id: int
    dataset_name: str
    fingerprint: str
    is_synthetic: bool
    protocol: Protocol
    code_version: str
    created_at: datetime
    spec: Mapping[str, Any]
    lists_kept: int | None = None
    growing_since: datetime | None = None
    is_refresh: bool = False


@dataclass(frozen=True)
class DatasetVersion:
    """One stored version of a data set's ratings, and from where it was read; None where nobody knows."""

    dataset_id: int
    name: str
    fingerprint: str
    source: str | None
    source_read_at: datetime | None
    n_forgotten: int


@dataclass(frozen=True)
class Trial:
    """One stored trial as progress and plan need it; `epoch`, `val_rmse` and `objective` are those of now.

    `config_hash` and `label` are those it was stored with. `objective` is the value of the sweep's objective
    on validation, None where it was not measured. `refit_of` is the id of the chosen trial where it is a
    refit, `refreshed_from` that of the trial served before where it is the rehearsal of a refresh.
    `n_epochs`: the most that it may have. `has_lists`: False where they were removed. A stopped
    trial had reached `stopped_value` by `stopped_epoch`, and would have had to reach `stopped_against` by the
    rule `stopped_by`.
    """

    trial_id: int
    sweep_id: int
    label: str
    config: TrialConfig
    config_hash: str
    status: TrialStatus
    attempt: int
    attempts_allowed: int
    worker: str | None
    epoch: int | None
    val_rmse: float | None
    error_reason: FailureReason | None
    error_message: str | None
    queued_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    objective: float | None = None
    best_epoch: int | None = None
    model_url: str | None = None
    refit_of: int | None = None
    refreshed_from: int | None = None
    n_epochs: int | None = None
    has_lists: bool = True
    asked_by: AskedBy = "file"
    stopped_epoch: int | None = None
    stopped_value: float | None = None
    stopped_against: float | None = None
    stopped_by: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class QueuedTrial:
    """What a message needs to know of a queued trial; `worker` had it in its latest attempt.

    `queued_at` tells one queueing of a trial from the next. `config` is None where this version cannot read
    what is stored: a worker that claims the trial fails it with the reason.
    """

    trial_id: int
    sweep_id: int
    label: str
    config: TrialConfig | None
    attempt: int
    worker: str | None
    queued_at: datetime


@dataclass(frozen=True)
class ClaimedPart:
    """A part of a claimed blend, with what it left; `weight` where that was chosen before.

    `model_url` is None until it has succeeded.
    """

    trial_id: int
    label: str
    status: TrialStatus
    model_url: str | None
    n_parameters: int | None
    train_seconds: float | None
    weight: float | None


@dataclass(frozen=True)
class Claim:
    """The right to run one attempt of a trial, and all that is needed to run it.

    `refit_of` is the id of the chosen trial where it is a refit, which learns from all ratings;
    `refreshed_from` that of the trial served before where it is the rehearsal of a refresh. `n_epochs` is how
    many epochs it has then, those of the trial it is made after, where the family has any. `parts`: of a
    blend, in the order of its configuration. `stopping`: the rule that may stop it, None for refits,
    rehearsals and repeats, which never are.
    """

    trial_id: int
    attempt: int
    sweep_id: int
    label: str
    config: TrialConfig
    protocol: Protocol
    dataset_name: str
    fingerprint: str
    refit_of: int | None = None
    refreshed_from: int | None = None
    n_epochs: int | None = None
    parts: tuple[ClaimedPart, ...] = ()
    stopping: Stopping | None = None


@dataclass(frozen=True)
class SweepProgress:
    """How many trials of a sweep are in which state; `n_lost` of the running ones have lost their worker."""

    sweep_id: int
    name: str
    dataset_name: str
    is_synthetic: bool
    n_trials: int
    n_queued: int
    n_running: int
    n_succeeded: int
    n_failed: int
    n_cancelled: int
    n_stopped: int
    n_lost: int
    n_retried: int
    train_seconds: float
    best_rmse: float | None
    created_at: datetime
    finished_at: datetime | None
    n_with_lists: int


@dataclass(frozen=True)
class LeaderboardRow:
    """One line of the view `leaderboard`; what a trial has not measured is None.

    Ranking metrics are those at `k`. The two comparisons say in words whether an architecture beats the
    baselines; they are None for baselines. Where the sweep has repeats, `mean_value` and `spread` are those
    of the objective on validation over the `n_seeds` random seeds of the configuration.
    """

    rank: int
    trial_id: int
    label: str
    status: TrialStatus
    is_baseline: bool
    family: str
    objective: str
    validation_value: float | None
    test_value: float | None
    n_parameters: int | None
    best_epoch: int | None
    val_loss: float | None
    rmse: float | None
    mae: float | None
    k: int
    ndcg: float | None
    recall: float | None
    precision: float | None
    map: float | None
    hit_rate: float | None
    mrr: float | None
    coverage: float | None
    popularity: float | None
    novelty: float | None
    rmse_against_baselines: str | None
    ndcg_against_baselines: str | None
    train_seconds: float | None
    peak_memory_bytes: int | None
    attempt: int
    model_url: str | None
    log_url: str | None
    error_reason: FailureReason | None
    has_lists: bool = False
    mean_value: float | None = None
    spread: float | None = None
    n_seeds: int | None = None
    stopped_epoch: int | None = None
    stopped_value: float | None = None
    stopped_against: float | None = None


@dataclass(frozen=True)
class Recommendation:
    """One recommended item.

    `predicted_rating` is the score clipped to the scale of the data set, None where scores are no ratings.
    """

    rank: int
    item_id: str
    title: str
    genres: tuple[str, ...]
    n_ratings: int
    score: float
    predicted_rating: float | None


@dataclass(frozen=True)
class RatingPrediction:
    """One of the items a user rated highest, with the prediction for it, not clipped."""

    rank: int
    item_id: str
    title: str
    genres: tuple[str, ...]
    rating: float
    prediction: float | None


@dataclass(frozen=True)
class Promotion:
    """One row of the history: which trial is served for a data set from then on.

    `trial_id` None: the leader of the newest sweep that has ended.
    """

    promotion_id: int
    trial_id: int | None
    promoted_at: datetime
    note: str


@dataclass(frozen=True)
class ServedTrial:
    """What best_recommendations shows for a data set, and how good its lists are.

    `chosen_label`: of the trial that was chosen by its metrics, which is another one where this is a refit.
    `n_ratings`: those of this version of the data set. `ndcg`, of the chosen trial, and that of item
    popularity in the same sweep are at `k`; None where they were not measured.
    """

    trial_id: int
    label: str
    is_refit: bool
    chosen_label: str
    sweep_id: int
    sweep_name: str
    is_promoted: bool
    fingerprint: str
    n_ratings: int
    k: int
    ndcg: float | None
    popularity_ndcg: float | None


@dataclass(frozen=True)
class ListChange:
    """The lists of a later trial beside those of an earlier one.

    `n_users` have a list of the later; `n_entries` of these lists are of the `n_common_users` who have one of
    the earlier too, and `n_changed` of them are not in that one.
    """

    n_users: int
    n_common_users: int
    n_entries: int
    n_changed: int


@dataclass(frozen=True)
class ShapedModels:
    """The trials of a sweep that learned from ratings of somebody who was forgotten; `served`: of these."""

    sweep_id: int
    sweep_name: str
    labels: tuple[str, ...]
    served: tuple[str, ...]


@dataclass(frozen=True)
class OldSweep:
    """A sweep that is not among the newest of its data set; `kept_because` says what forbids its deletion."""

    sweep_id: int
    name: str
    dataset_name: str
    created_at: datetime
    kept_because: str | None


@dataclass(frozen=True)
class Query:
    """A stored query: its question and its parameters with their defaults, None where SQL chooses one."""

    name: str
    question: str
    parameters: Mapping[str, str | None]


@dataclass(frozen=True)
class Difference:
    """What a check of the stored lists found wrong with a trial."""

    check: str
    label: str
    n_rows: int
    example: str
