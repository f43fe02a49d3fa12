"""The ratings that a newer version has and the one that is served has not: they judge both without favour.

Pure. The lists that are served were made without any of them. The model that is compared, the rehearsal,
learns from the first half of what was added, by time, and is judged by the second: without the first it would
be the model that is served, and with the second it would know the answers.
"""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from scheduler.verdicts.measures import Float64s
from scheduler.verdicts.significance import FEWEST_USERS
from shared.datasets import Dataset, split_ratings
from shared.domain.protocol import Protocol
from shared.domain.results import RankedItems

Indices = npt.NDArray[np.int64]

# Held out of the ratings that were added, and at most of all ratings.
_SHARE_OF_ADDED, LARGEST_SHARE = 0.5, 0.1


@dataclass(frozen=True, eq=False)
class NewRatings:
    """What judges: relevant held out ratings of the newer version, by users of both versions.

    users: (n_users,) index in the newer version, ascending      user, item: (n_ratings,) index of each rating
    """

    users: Indices
    user: Indices
    item: Indices


def rehearsal_protocol(older: Dataset, newer: Dataset, protocol: Protocol) -> tuple[Protocol, str | None]:
    """The protocol of the rehearsal, and why nothing can judge it beside what is served; None where it can.

    Of the newest ratings by time half as many are held out as were added, at most LARGEST_SHARE of all. Where
    these cannot judge it is LARGEST_SHARE; without times the split is that of the protocol.
    """
    times = newer.timestamps
    if times.min() == times.max():
        return protocol, "the ratings have no times"
    is_added = added_rows(older, newer)
    n_added = int(is_added.sum())
    newest = replace(protocol, split="temporal", validation_fraction=LARGEST_SHARE, test_fraction=0.0)
    if not n_added:
        return newest, "no rating was added"
    share = min(LARGEST_SHARE, _SHARE_OF_ADDED * n_added / newer.n_ratings)
    judging = replace(newest, validation_fraction=share)
    n_users = len(_judging(older, newer, is_added, judging).users)
    if n_users < FEWEST_USERS:
        return newest, (
            f"{n_added:,} ratings were added, and {n_users} users have relevant ones among the newest: at "
            f"least {FEWEST_USERS} are needed"
        )
    return judging, None


def added_rows(older: Dataset, newer: Dataset) -> npt.NDArray[np.bool_]:
    """(n_ratings,) of the newer version: whether the older one has no rating of this item by this user."""
    user = places(newer.user_ids, older.user_ids)[newer.user_index]
    item = places(newer.item_ids, older.item_ids)[newer.item_index]
    known = older.user_index.astype(np.int64) * older.n_items + older.item_index
    return (user < 0) | (item < 0) | ~_are_among(user * older.n_items + item, known)


def new_ratings(older: Dataset, newer: Dataset, protocol: Protocol) -> NewRatings:
    """Of the ratings that the protocol holds out, those that can judge the lists served.

    Of a user one of whose held out ratings is in the older version nothing judges: the lists that are served
    could not show its item.
    """
    return _judging(older, newer, added_rows(older, newer), protocol)


def _judging(
    older: Dataset, newer: Dataset, is_added: npt.NDArray[np.bool_], protocol: Protocol
) -> NewRatings:
    rows = split_ratings(newer, protocol).validation
    judges = places(newer.user_ids, older.user_ids) >= 0
    judges[newer.user_index[rows[~is_added[rows]]]] = False
    if protocol.relevance_threshold != "none":
        rows = rows[newer.ratings[rows] >= protocol.relevance_threshold]
    rows = rows[judges[newer.user_index[rows]]]
    user = newer.user_index[rows].astype(np.int64)
    return NewRatings(np.unique(user), user, newer.item_index[rows].astype(np.int64))


def lists_in(
    newer: Dataset, older: Dataset, lists: RankedItems, known: Indices, users: Indices
) -> RankedItems:
    """Lists on the older version by the indices of the newer, without what their users have rated meanwhile.

    known: rows of the newer version that count as rated. Who follows in a list moves up. users: only theirs.
    """
    is_asked = np.zeros(newer.n_users + 1, np.bool_)
    is_asked[users] = True
    known = known[is_asked[newer.user_index[known]]]
    user = places(older.user_ids, newer.user_ids)[lists.user_index]
    item = places(older.item_ids, newer.item_ids)[lists.item_index]
    rated = newer.user_index[known].astype(np.int64) * newer.n_items + newer.item_index[known]
    # An unknown user, -1, is the last one here, whom nobody asks for.
    stays = is_asked[user] & (item >= 0)
    stays[stays] = ~_are_among(user[stays] * newer.n_items + item[stays], rated)
    order = np.lexsort((lists.rank[stays], user[stays]))
    user, item = user[stays][order], item[stays][order]
    rank = np.arange(len(user)) - np.searchsorted(user, user) + 1
    score = lists.score[stays][order]
    return RankedItems(user.astype(np.int32), rank.astype(np.int32), item.astype(np.int32), score)


def ndcg_of_users(lists: RankedItems, judging: NewRatings, n_items: int, k: int) -> Float64s:
    """(n_users,): ndcg@k of the list of each user who judges, as `worker/metrics/ranking.py` defines it."""
    relevant = judging.user * n_items + judging.item
    listed = lists.user_index.astype(np.int64) * n_items + lists.item_index
    is_hit = np.isin(listed, relevant) & (lists.rank <= k)
    discounts = 1 / np.log2(np.arange(1, k + 1) + 1)
    gains = np.bincount(
        np.searchsorted(judging.users, lists.user_index[is_hit]),
        weights=discounts[lists.rank[is_hit] - 1],
        minlength=len(judging.users),
    )
    n_relevant = np.bincount(np.searchsorted(judging.users, judging.user), minlength=len(judging.users))
    return np.asarray(gains / np.cumsum(discounts)[np.minimum(n_relevant, k) - 1])


def places(ids: npt.NDArray[np.str_], among: npt.NDArray[np.str_]) -> Indices:
    """Index of each id in another array of distinct ids, -1 where it is not there."""
    if not len(among):
        return np.full(len(ids), -1, np.int64)
    order = np.argsort(among)
    place = order[np.minimum(np.searchsorted(among, ids, sorter=order), len(among) - 1)]
    return np.where(among[place] == ids, place, -1).astype(np.int64)


def _are_among(keys: Indices, known: Indices) -> npt.NDArray[np.bool_]:
    """As np.isin, which sorts both: by a hash table, a tenth of the time for millions of ratings."""
    import pandas as pd  # noqa: PLC0415  Slow to load, and few commands need it.

    return np.asarray(pd.Series(keys).isin(known).to_numpy(), np.bool_)
