"""What must hold before the lists of a refresh are served: a number and its bound each; pure."""

from dataclasses import dataclass

import numpy as np

from scheduler.refresh.newest import places
from scheduler.verdicts.measures import Float64s, measure_of
from scheduler.verdicts.resampling import estimate
from scheduler.verdicts.significance import ERROR_RATE, difference
from shared.datasets import Dataset
from shared.store import ListChange


@dataclass(frozen=True)
class Bounds:
    """margin: by which share of the metric lists may be worse      coverage: share of users who must still be
    there      max_changed: share of list entries that may be others

    Measured on MovieLens 100K and 1M: when the ratings grew by up to a tenth, 0.3 % to 31 % of the entries
    changed, most for a tower; when item ids were mixed up, 97 % and more; user ids, 33 % (a tower) to 94 %.
    """

    margin: float = 0.1
    coverage: float = 0.9
    max_changed: float = 0.5


@dataclass(frozen=True)
class Check:
    """`found` beside `bound`, in words; `has_passed` None where it could not be made."""

    name: str
    found: str
    bound: str
    has_passed: bool | None

    def __str__(self) -> str:
        ends = {True: "passed", False: "failed", None: "not made"}
        bound = f"; {self.bound}" if self.bound else ""
        return f"{self.name}: {self.found}{bound}: {ends[self.has_passed]}"


def check_users_kept(older: Dataset, newer: Dataset, bounds: Bounds) -> Check:
    """Whether enough of the users who are served are still in the source, so that it was not cut short."""
    n_kept = older.n_users - n_vanished(older, newer)
    return Check(
        "users still there",
        f"{n_kept:,} of {older.n_users:,} ({n_kept / older.n_users:.1%})",
        f"at least {bounds.coverage:.1%}",
        n_kept >= bounds.coverage * older.n_users,
    )


def n_vanished(older: Dataset, newer: Dataset) -> int:
    """How many users of the older version the newer one does not have."""
    return int((places(older.user_ids, newer.user_ids) < 0).sum())


def check_newest(
    rehearsed: Float64s,
    served: Float64s,
    metric: str,
    n_ratings: int,
    bounds: Bounds,
) -> Check:
    """Whether the same architecture, trained without the newest ratings, lists them as well as those served.

    rehearsed, served: (n_users,) the metric of each user. It fails where it is worse by more than the margin
    and that is no chance: the interval of the paired difference does not contain 0.
    """
    ones = np.ones(len(served))
    later, earlier = estimate(measure_of(metric), np.array([rehearsed, served]), ones)
    found = difference([later], [earlier])
    low, high = found.value - found.half_width(), found.value + found.half_width()
    is_worse = later.value < (1 - bounds.margin) * earlier.value
    is_proven = found.p_value <= ERROR_RATE
    chance = ", which may be chance" if is_worse and not is_proven else ""
    return Check(
        "what is new",
        f"{metric} {later.value:.4f} beside {earlier.value:.4f} of the lists served, difference "
        f"{found.value:+.4f} ({low:+.4f} to {high:+.4f}){chance}, by {n_ratings:,} new ratings of "
        f"{len(served):,} users",
        f"at most {bounds.margin:.1%} worse",
        not (is_worse and is_proven),
    )


def skip_newest(why: str) -> Check:
    """Where nothing is new enough to judge by."""
    return Check("what is new", why, "", None)


def check_users_listed(n_listed: int, dataset: Dataset, min_support: int) -> Check:
    """Whether every user of the version has a list who can have one: who has rated everything has none."""
    is_candidate = np.bincount(dataset.item_index, minlength=dataset.n_items) >= min_support
    n_rated = np.bincount(dataset.user_index[is_candidate[dataset.item_index]], minlength=dataset.n_users)
    n_expected = int((n_rated < is_candidate.sum()).sum())
    return Check("users with a list", f"{n_listed:,}", f"exactly {n_expected:,}", n_listed == n_expected)


def check_change(change: ListChange, bounds: Bounds) -> Check:
    """Whether not too much of the lists of users in both versions is different."""
    share = change.n_changed / change.n_entries if change.n_entries else 0.0
    return Check(
        "list entries changed",
        f"{share:.1%} for {change.n_common_users:,} users in both versions",
        f"at most {bounds.max_changed:.1%}",
        share <= bounds.max_changed,
    )
