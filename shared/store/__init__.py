"""Every read and write of the database; no other module issues SQL.

Each function is one transaction. All raise StoreError, and StoreUnavailable, a subclass, where the same call
may succeed later.
"""

from shared.store.claims import claim_trial, extend_lease, fail_trial, recover_lost_trials, release_trial
from shared.store.datasets import save_dataset
from shared.store.records import (
    FAILURE_REASONS,
    Claim,
    EpochRecord,
    FailureReason,
    LeaseState,
    RankedItems,
    Sweep,
    Trial,
    TrialResult,
    TrialStatus,
)
from shared.store.results import finish_trial, record_epoch
from shared.store.sweeps import (
    create_sweep,
    ensure_sweep,
    find_sweep,
    latest_sweep,
    list_sweeps,
    prune_sweeps,
)
from shared.store.trials import (
    add_trials,
    cancel_sweep,
    mark_published,
    queued_trials,
    requeue_trials,
    sweep_trials,
)

__all__ = [
    "FAILURE_REASONS",
    "Claim",
    "EpochRecord",
    "FailureReason",
    "LeaseState",
    "RankedItems",
    "Sweep",
    "Trial",
    "TrialResult",
    "TrialStatus",
    "add_trials",
    "cancel_sweep",
    "claim_trial",
    "create_sweep",
    "ensure_sweep",
    "extend_lease",
    "fail_trial",
    "find_sweep",
    "finish_trial",
    "latest_sweep",
    "list_sweeps",
    "mark_published",
    "prune_sweeps",
    "queued_trials",
    "record_epoch",
    "recover_lost_trials",
    "release_trial",
    "requeue_trials",
    "save_dataset",
    "sweep_trials",
]
