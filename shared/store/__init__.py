"""Every read and write of the database; no other module issues SQL.

Each function is one transaction. All raise StoreError, and StoreUnavailable, a subclass, where the same call
may succeed later.
"""

from shared.domain.records import (
    TRIAL_STATUSES,
    Claim,
    Difference,
    LeaderboardRow,
    LeaseState,
    OldSweep,
    Promotion,
    Query,
    QueuedTrial,
    RatingPrediction,
    Recommendation,
    ServedTrial,
    Sweep,
    SweepProgress,
    Trial,
    TrialStatus,
)
from shared.domain.results import EpochRecord, RankedItems, RatedItems, TrialResult, UserResults
from shared.domain.verdicts import RankedTrial, Verdict
from shared.errors import FailureReason
from shared.store.access import grant_analyst
from shared.store.checks import list_checks, verify_recommendations
from shared.store.claims import claim_trial, extend_lease
from shared.store.datasets import find_dataset, save_dataset
from shared.store.ends import end_lost_attempt, fail_trial, recover_lost_trials, release_trial
from shared.store.installation import artifact_root
from shared.store.kept_lists import RemovedLists, lists_gone, remove_surplus_lists, slow_removals
from shared.store.pruning import old_sweeps, prune_sweeps
from shared.store.queries import list_queries, run_query
from shared.store.refits import open_refits, queue_refit, refits_of_sweep
from shared.store.reports import (
    kept_by_its_version,
    leaderboard,
    metric_values,
    metrics_of,
    rating_predictions_of,
    recommendations_of,
    stored_rating_predictions,
    stored_recommendations,
    sweep_progress,
)
from shared.store.results import finish_trial, record_epoch
from shared.store.serving import list_promotions, promote_trial, rollback_promotion, served_trial
from shared.store.sweeps import (
    create_sweep,
    ensure_sweep,
    find_sweep,
    get_sweep,
    latest_sweep,
    list_sweeps,
    mark_ended_sweeps,
)
from shared.store.trials import (
    add_trials,
    attempt_logs,
    cancel_sweep,
    find_trial,
    get_trial,
    queued_trials,
    record_log,
    requeue_trials,
    sweep_trials,
)
from shared.store.user_results import StoredUserResults, parts_with_user_results, stored_user_results
from shared.store.verdicts import judged_state, ranked_trials, save_verdicts, sweeps_to_judge, verdicts_of

__all__ = [
    "TRIAL_STATUSES",
    "Claim",
    "Difference",
    "EpochRecord",
    "FailureReason",
    "LeaderboardRow",
    "LeaseState",
    "OldSweep",
    "Promotion",
    "Query",
    "QueuedTrial",
    "RankedItems",
    "RankedTrial",
    "RatedItems",
    "RatingPrediction",
    "Recommendation",
    "RemovedLists",
    "ServedTrial",
    "StoredUserResults",
    "Sweep",
    "SweepProgress",
    "Trial",
    "TrialResult",
    "TrialStatus",
    "UserResults",
    "Verdict",
    "add_trials",
    "artifact_root",
    "attempt_logs",
    "cancel_sweep",
    "claim_trial",
    "create_sweep",
    "end_lost_attempt",
    "ensure_sweep",
    "extend_lease",
    "fail_trial",
    "find_dataset",
    "find_sweep",
    "find_trial",
    "finish_trial",
    "get_sweep",
    "get_trial",
    "grant_analyst",
    "judged_state",
    "kept_by_its_version",
    "latest_sweep",
    "leaderboard",
    "list_checks",
    "list_promotions",
    "list_queries",
    "list_sweeps",
    "lists_gone",
    "mark_ended_sweeps",
    "metric_values",
    "metrics_of",
    "old_sweeps",
    "open_refits",
    "parts_with_user_results",
    "promote_trial",
    "prune_sweeps",
    "queue_refit",
    "queued_trials",
    "ranked_trials",
    "rating_predictions_of",
    "recommendations_of",
    "record_epoch",
    "record_log",
    "recover_lost_trials",
    "refits_of_sweep",
    "release_trial",
    "remove_surplus_lists",
    "requeue_trials",
    "rollback_promotion",
    "run_query",
    "save_dataset",
    "save_verdicts",
    "served_trial",
    "slow_removals",
    "stored_rating_predictions",
    "stored_recommendations",
    "stored_user_results",
    "sweep_progress",
    "sweep_trials",
    "sweeps_to_judge",
    "verdicts_of",
    "verify_recommendations",
]
