"""What is stored of the comparison of a trial with the leader of its sweep."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

VerdictName = Literal["winner", "tie", "worse"]


@dataclass(frozen=True)
class Verdict:
    """One trial beside the leader of its sweep.

    `difference` is the objective of the trial minus that of the leader, in means over random seeds where
    there are several (`n_seeds`); `lower` and `upper` are its interval, of 95 % for all trials of the sweep
    together, and `p_value` is adjusted for their number. All four are None for the leader's configuration and
    where there is no verdict; then `reason` says why.
    """

    trial_id: int
    leader_trial_id: int
    objective: str
    split: str
    difference: float | None
    lower: float | None
    upper: float | None
    p_value: float | None
    verdict: VerdictName | None
    reason: str | None
    n_users: int
    n_seeds: int


@dataclass(frozen=True)
class RankedTrial:
    """A succeeded trial in the order of its sweep's objective; `value` is None where that does not judge it.

    `config` is the stored JSON; `parts` are those for which results of users were kept.
    """

    trial_id: int
    label: str
    value: float | None
    config: Mapping[str, Any]
    parts: tuple[str, ...]
