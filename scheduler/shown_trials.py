"""Which trials of many the screen shows, and the rest as counts."""

from collections import Counter
from collections.abc import Sequence

from shared.store import TRIAL_STATUSES, Trial


def trials_to_show(trials: Sequence[Trial], n_rows: int, *, is_larger_better: bool) -> list[Trial]:
    """All, in order, where the terminal has the rows; else those that run, then the best, then the next."""
    if len(trials) <= n_rows:
        return list(trials)
    sign = -1 if is_larger_better else 1

    def place(trial: Trial) -> tuple[int, float]:
        if trial.status == "running":
            return 0, 0.0
        if trial.status == "succeeded" and trial.objective is not None:
            return 1, sign * trial.objective
        return 2 + (trial.status != "queued"), 0.0

    return sorted(trials, key=place)[: max(n_rows, 1)]


def count_states(trials: Sequence[Trial]) -> str:
    """`12 succeeded, 2 running, 5 queued`."""
    counts = Counter(trial.status for trial in trials)
    return ", ".join(f"{counts[status]} {status}" for status in TRIAL_STATUSES if counts[status])
