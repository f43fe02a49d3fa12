"""How high the held out items stand in the lists, graded by their ratings: every one counts, not only the
relevant.

Each metric gives one value a user, (n_users,) float64; the metric of a trial is their mean. What is judged,
and how ties are, is told in `ranking.py`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from shared.domain.results import RankedItems
from worker.ranking.scorers import Float64s


@dataclass(frozen=True, eq=False)
class GradedLists:
    """What the graded metrics need to know of the lists of `n_users` users who gain by a held out item.

    user: (n_hits,) int, from 0, of every such item in a list      rank: (n_hits,) int, from 1, its place
    gain: (n_hits,) its gain      ideal_user, ideal_rank, ideal_gain: the same of the best possible lists
    """

    n_users: int
    user: npt.NDArray[np.int64]
    rank: npt.NDArray[np.int64]
    gain: Float64s
    ideal_user: npt.NDArray[np.int64]
    ideal_rank: npt.NDArray[np.int64]
    ideal_gain: Float64s


def grade_lists(  # noqa: PLR0917  The lists, and what is held out.
    lists: RankedItems,
    user_index: npt.NDArray[np.int32],
    item_index: npt.NDArray[np.int32],
    ratings: npt.NDArray[np.float32],
    rating_range: tuple[float, float],
    k: int,
) -> GradedLists:
    """Find the held out pairs (user_index, item_index) in the lists; no pair occurs twice.

    The gain of a rating is its place on the scale of the data set, from 0 for the smallest to 1 for the
    largest; where all ratings are equal it is 1. Users whose every held out rating is the smallest gain by no
    list and are left out.
    """
    low, high = rating_range
    rated = ratings.astype(np.float64)
    gain = (rated - low) / (high - low) if high > low else np.ones(len(rated))
    gains = gain > 0
    user_index, item_index, gain = user_index[gains], item_index[gains], gain[gains]
    users, user = np.unique(user_index, return_inverse=True)
    order = np.lexsort((-gain, user))
    ideal_user = user[order]
    ideal_rank = np.arange(len(order)) - np.searchsorted(ideal_user, ideal_user) + 1
    is_listed = ideal_rank <= k
    n_items = 1 + int(max(item_index.max(initial=0), lists.item_index.max(initial=0)))
    held_out = user_index.astype(np.int64) * n_items + item_index
    listed = lists.user_index.astype(np.int64) * n_items + lists.item_index
    _, at_held_out, at_listed = np.intersect1d(held_out, listed, assume_unique=True, return_indices=True)
    is_within = lists.rank[at_listed] <= k
    at_held_out, at_listed = at_held_out[is_within], at_listed[is_within]
    return GradedLists(
        n_users=len(users),
        user=user[at_held_out],
        rank=lists.rank[at_listed].astype(np.int64),
        gain=gain[at_held_out],
        ideal_user=ideal_user[is_listed],
        ideal_rank=ideal_rank[is_listed],
        ideal_gain=gain[order][is_listed],
    )


def graded_ndcg(graded: GradedLists) -> Float64s:
    """Σ over held out items in the list of gain / log₂(rank + 1), over its largest possible value. In [0, 1].

    Gains are linear in the rating, as in Järvelin, Kekäläinen 2002, Cumulated gain-based evaluation of IR
    techniques, with the smallest rating of the scale as 0; an exponential gain, 2^rating - 1, would mean
    another thing on every scale. The ideal list has the user's best k held out items, best first.
    """

    def discounted(user: npt.NDArray[np.int64], rank: npt.NDArray[np.int64], gain: Float64s) -> Float64s:
        sums = np.bincount(user, weights=gain / np.log2(rank + 1), minlength=graded.n_users)
        return sums.astype(np.float64, copy=False)

    return np.asarray(
        discounted(graded.user, graded.rank, graded.gain)
        / discounted(graded.ideal_user, graded.ideal_rank, graded.ideal_gain)
    )


GRADED_METRICS: Mapping[str, Callable[[GradedLists], Float64s]] = {"graded_ndcg": graded_ndcg}
