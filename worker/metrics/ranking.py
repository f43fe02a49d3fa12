"""How high the relevant held out items stand in the lists.

Each metric gives one value a user, (n_users,) float64; the metric of a trial is their mean.

Judged is the full ranking of the catalogue minus what was known by then (`Rankings.evaluated`), never a
sample. An item is relevant when it is among the user's held out ratings with `protocol.relevance_threshold`
or more. The mean is over the users with at least one relevant item; users without one say nothing about a
ranking and are left out. Whoever has no relevant item in the list counts 0.

Ties are judged in an order that is random for every user. So a model that gives all items one score has the
expected metrics of a random ranking, instead of those of the item ids.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from shared.domain.results import RankedItems
from worker.ranking.scorers import Float64s


@dataclass(frozen=True, eq=False)
class JudgedLists:
    """What the ranking metrics need to know of the lists of `n_users` users with relevant items.

    user_index: (n_users,) int, ascending, who they are
    user: (n_hits,) int, from 0, of every relevant item in a list, ascending      rank: (n_hits,) int, from 1,
    its place, ascending for each user      item_index: (n_hits,) int, which it is
    n_relevant: (n_users,) int, relevant items of each user, in the list or not      k: length of a full list
    """

    user_index: npt.NDArray[np.int32]
    user: npt.NDArray[np.int64]
    rank: npt.NDArray[np.int64]
    item_index: npt.NDArray[np.int32]
    n_relevant: npt.NDArray[np.int64]
    k: int

    def sum_by_user(self, values: Float64s) -> Float64s:
        """(n_users,): the sum of one value a hit."""
        return np.bincount(self.user, weights=values, minlength=len(self.n_relevant)).astype(
            np.float64, copy=False
        )


def judge_lists(
    lists: RankedItems, user_index: npt.NDArray[np.int32], item_index: npt.NDArray[np.int32], k: int
) -> JudgedLists:
    """Find the relevant pairs (user_index, item_index) in the lists; no pair occurs twice."""
    users, n_relevant = np.unique(user_index, return_counts=True)
    n_items = 1 + max(item_index.max(initial=0), lists.item_index.max(initial=0))
    relevant = user_index.astype(np.int64) * n_items + item_index
    listed = lists.user_index.astype(np.int64) * n_items + lists.item_index
    is_hit = np.isin(listed, relevant) & (lists.rank <= k)
    return JudgedLists(
        user_index=users.astype(np.int32),
        user=np.searchsorted(users, lists.user_index[is_hit]),
        rank=lists.rank[is_hit].astype(np.int64),
        item_index=lists.item_index[is_hit],
        n_relevant=n_relevant.astype(np.int64),
        k=k,
    )


def ndcg(judged: JudgedLists) -> Float64s:
    """Σ over hits of 1 / log₂(rank + 1), divided by its largest possible value. In [0, 1].

    Gains are 0 and 1; the ideal list has min(k, n_relevant) hits at its top. Järvelin, Kekäläinen 2002,
    Cumulated gain-based evaluation of IR techniques, with the discount log₂(rank + 1) at every rank.
    """
    discounts = 1 / np.log2(np.arange(1, judged.k + 1) + 1)
    ideal = np.cumsum(discounts)[np.minimum(judged.n_relevant, judged.k) - 1]
    return np.asarray(judged.sum_by_user(discounts[judged.rank - 1]) / ideal)


def recall(judged: JudgedLists) -> Float64s:
    """Hits / n_relevant. In [0, 1]; below 1 for users with more than k relevant items.

    Manning, Raghavan, Schütze 2008, Introduction to Information Retrieval, 8.3.
    """
    return np.asarray(_hits(judged) / judged.n_relevant)


def precision(judged: JudgedLists) -> Float64s:
    """Hits / k. In [0, 1]; k also where the list is shorter. Manning et al. 2008, 8.4."""
    return np.asarray(_hits(judged) / judged.k)


def average_precision(judged: JudgedLists) -> Float64s:
    """Σ over hits of (hits down to its rank) / rank, over min(k, n_relevant). In [0, 1].

    Mean average precision, Manning et al. 2008, 8.4, cut at k with the largest possible sum as denominator.
    """
    order = np.lexsort((judged.rank, judged.user))
    user, rank = judged.user[order], judged.rank[order]
    hits_above = np.arange(len(user)) - np.searchsorted(user, user)
    terms = np.empty(len(user))
    terms[order] = (hits_above + 1) / rank
    return np.asarray(judged.sum_by_user(terms) / np.minimum(judged.n_relevant, judged.k))


def hit_rate(judged: JudgedLists) -> Float64s:
    """1 where a relevant item is in the list, else 0. Deshpande, Karypis 2004, Item-based top-N, 6.1."""
    return (_hits(judged) > 0).astype(np.float64)


def reciprocal_rank(judged: JudgedLists) -> Float64s:
    """1 / rank of the first hit, 0 without one. In [0, 1]. Voorhees 1999, TREC-8 QA."""
    first = np.full(len(judged.n_relevant), np.inf)
    np.minimum.at(first, judged.user, judged.rank.astype(np.float64))
    return np.asarray(1 / first)


def _hits(judged: JudgedLists) -> Float64s:
    return judged.sum_by_user(np.ones(len(judged.user)))


RANKING_METRICS: Mapping[str, Callable[[JudgedLists], Float64s]] = {
    "ndcg": ndcg,
    "recall": recall,
    "precision": precision,
    "map": average_precision,
    "hit_rate": hit_rate,
    "mrr": reciprocal_rank,
}
