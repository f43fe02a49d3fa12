"""Top k of every user: exact, in blocks of users, seen items masked, ties in a stated order.

A block is scored in float32; every item that could reach the top k within the scorer's error bound is scored
again in float64, and the lists are cut from those exact scores. So they depend neither on the size of the
blocks nor on the number of threads.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from shared.datasets.dataset import Dataset
from shared.datasets.splits import Split
from shared.domain.protocol import Protocol
from shared.domain.results import RankedItems, RatedItems
from shared.errors import TrialError
from worker.ranking.scorers import Float32s, Float64s, Indices, Scorer, exact_scores

# Scores held at once by each thread: 4 MB of float32, which the caches hold.
_BLOCK_SCORES = 2**20
# A matrix product copies the vectors of all items anew for every block: with fewer users than this the copy
# takes as long as the product. It matters from 16,384 items on.
_MIN_BLOCK_USERS = 64
# Ratings that are sorted at once.
_SORTED_AT_ONCE = 2**20
_SMALLEST = np.finfo(np.float32).min
# Far above what is lost where a product underflows in float32; error bounds are relative.
_UNDERFLOW = 1e-20
# Columns are dealt into this many groups a list entry; the groups' maxima bound the k-th largest score.
_GROUPS_PER_ENTRY = 16


@dataclass(frozen=True, eq=False)
class Rankings:
    """Lists of at most k items for every user, from one pass over the scores.

    recommendations: what the user gets. Items with `min_support` training ratings or more that the user has
        not rated, by score descending, then item_index.
    evaluated: what the metrics of each part of the split judge, by its name. The whole catalogue minus what
        was known by then: the user's training items for "validation", those of validation too for "test"; by
        score descending, then in an order drawn at random for every user (always the same): item_index would
        favour a model that cannot tell items apart, because ids go with age and popularity.
    """

    recommendations: RankedItems
    evaluated: Mapping[str, RankedItems]


def recommend_all(
    scorer: Scorer,
    dataset: Dataset,
    split: Split,
    protocol: Protocol,
    *,
    n_threads: int = 1,
    block_scores: int | None = None,
) -> Rankings:
    """Both lists of every user of the data set; a user with fewer candidates gets fewer rows.

    `block_scores`: at most so many at once, else as many as are quickest. Memory beside the result: some
    thirty times as many floats a thread, and 8 bytes a rating. Raises TrialError when scores overflow.
    """
    ranker = _Ranker(scorer, dataset, split, protocol)
    n_block = max(1, block_scores // dataset.n_items) if block_scores else users_at_once(dataset.n_items)
    with ThreadPoolExecutor(n_threads) as pool:
        parts = list(
            pool.map(lambda first: ranker.rank(first, first + n_block), range(0, dataset.n_users, n_block))
        )
    recommendations, evaluated = zip(*parts, strict=True)
    return Rankings(
        join_lists(recommendations),
        {name: join_lists([part[name] for part in evaluated]) for name in evaluated[0]},
    )


def users_at_once(n_items: int) -> int:
    """Users whose scores are quickest made together; lists do not depend on it."""
    return max(_MIN_BLOCK_USERS, _BLOCK_SCORES // n_items)


def predict_top_rated(
    scorer: Scorer, dataset: Dataset, protocol: Protocol, *, predicts_ratings: bool = True
) -> RatedItems:
    """The k items that every user rated highest, by rating descending, then item_index, with the prediction.

    Without predictions where a score is no rating.

    Training and validation ratings alike. The order ignores the prediction, so that all trials of a sweep
    show the same items side by side.
    """
    # Some users at a time: sorting all ratings at once would need several times their memory.
    by_user = np.argsort(dataset.user_index, kind="stable")
    ends = np.cumsum(np.bincount(dataset.user_index, minlength=dataset.n_users))
    orders, ranks, first = [], [], 0
    while first < dataset.n_ratings:
        stop = int(ends[np.searchsorted(ends, min(first + _SORTED_AT_ONCE, dataset.n_ratings))])
        rows = by_user[first:stop]
        rows = rows[np.lexsort((dataset.item_index[rows], -dataset.ratings[rows], dataset.user_index[rows]))]
        rank = _ranks(dataset.user_index[rows])
        orders.append(rows[rank <= protocol.k])
        ranks.append(rank[rank <= protocol.k])
        first = stop
    order, rank = np.concatenate(orders), np.concatenate(ranks)
    user_index, item_index = dataset.user_index[order], dataset.item_index[order]
    prediction = None
    if predicts_ratings:
        prediction = scorer.predict_ratings(user_index, item_index).astype(np.float32)
    return RatedItems(user_index, rank, item_index, dataset.ratings[order], prediction)


class Pairs:
    """Pairs of user and item, grouped by user."""

    def __init__(self, user_index: Indices, item_index: Indices, n_users: int, n_items: int) -> None:
        self._n_items = n_items
        # In place: there is a key for every rating.
        self._keys = user_index.astype(np.int64)
        self._keys *= n_items
        self._keys += item_index
        self._keys.sort()
        self._starts = np.searchsorted(self._keys, np.arange(n_users + 1, dtype=np.int64) * n_items)

    def of_users(self, first: int, stop: int) -> npt.NDArray[np.int64]:
        """Places of the pairs of users first to stop - 1 in their flattened block, ascending."""
        keys: npt.NDArray[np.int64] = self._keys[self._starts[first] : self._starts[stop]]
        return keys - first * self._n_items


class _Ranker:
    def __init__(self, scorer: Scorer, dataset: Dataset, split: Split, protocol: Protocol) -> None:
        self._scorer, self._k = scorer, protocol.k
        self._n_users, self._n_items = dataset.n_users, dataset.n_items
        self._train, self._validation, self._test = (
            Pairs(dataset.user_index[rows], dataset.item_index[rows], self._n_users, self._n_items)
            for rows in (split.train, split.validation, split.test)
        )
        self._has_test = len(split.test) > 0
        support = np.bincount(dataset.item_index[split.train], minlength=self._n_items)
        self._is_supported = support >= protocol.min_support
        self._unsupported = np.flatnonzero(~self._is_supported)

    def rank(self, first: int, stop: int) -> tuple[RankedItems, dict[str, RankedItems]]:
        """Recommendations and evaluated lists of the users first to stop - 1."""
        users = np.arange(first, min(stop, self._n_users))
        validation, test = (
            pairs.of_users(first, first + len(users)) for pairs in (self._validation, self._test)
        )
        held_out = np.sort(np.concatenate([validation, test]))
        scores, bound = score_users(self._scorer, users)
        scores.ravel()[self._train.of_users(first, first + len(users))] = -np.inf
        # The evaluated lists have more candidates, so their k-th item is no worse than the k-th recommended.
        places = best_places(scores, self._recommended_floor(scores, held_out), bound)
        row, item_index = np.divmod(places, self._n_items)
        user_index = row + first
        score = exact_scores(self._scorer, user_index, item_index)
        is_recommended = self._is_supported[item_index] & ~np.isin(places, held_out, assume_unique=True)
        tie_order = shuffled(user_index * self._n_items + item_index)

        def cut(chosen: npt.NDArray[np.bool_], tie_order: npt.NDArray[np.uint64] | None) -> RankedItems:
            ties = None if tie_order is None else tie_order[chosen]
            return _cut(user_index[chosen], item_index[chosen], score[chosen], ties, self._k)

        evaluated = {"validation": cut(np.ones(len(places), np.bool_), tie_order)}
        if self._has_test:
            evaluated["test"] = cut(~np.isin(places, validation, assume_unique=True), tie_order)
        return cut(is_recommended, None), evaluated

    def _recommended_floor(self, scores: Float32s, held_out: npt.NDArray[np.int64]) -> Float64s:
        """At most the k-th largest score that may be recommended, (n_block,); -inf where there are fewer."""
        flat = scores.ravel()
        held_out_scores = flat[held_out]
        flat[held_out] = -np.inf
        unsupported_scores = scores[:, self._unsupported]
        scores[:, self._unsupported] = -np.inf
        floor = kth_largest_floor(scores, self._k)
        scores[:, self._unsupported] = unsupported_scores
        flat[held_out] = held_out_scores
        return floor


def score_users(scorer: Scorer, users: Indices) -> tuple[Float32s, Float64s]:
    """Their scores, (n, n_items), and the bounds of the errors; raises TrialError when they overflow."""
    with np.errstate(over="ignore", invalid="ignore"):
        scores = np.ascontiguousarray(scorer.score_block(users))
        bound = scorer.error_bound(users)
    if not (np.isfinite(scores).all() and np.isfinite(bound).all()):
        raise TrialError(
            "not_finite_loss",
            "scores must be finite to rank items; these overflow: lower the learning rate and run again",
        )
    return scores, bound


def best_places(scores: Float32s, floor: Float64s, bound: Float64s) -> npt.NDArray[np.int64]:
    """Places in the flattened block of all that may be among the k best of their row, ascending.

    floor: at most the k-th largest of each row. The k-th best scores at least floor - bound; one as good
    shows at least floor - 2 bound.
    """
    lowest = np.nextafter((floor - 2 * bound - _UNDERFLOW).astype(np.float32), np.float32(-np.inf))
    return np.flatnonzero(scores >= np.maximum(lowest, _SMALLEST)[:, None])


def cut_lists(
    scorer: Scorer, user_index: Indices, item_index: Indices, tie_order: npt.NDArray[np.uint64], k: int
) -> RankedItems:
    """The k best of each user by exact score, then `tie_order`."""
    return _cut(user_index, item_index, exact_scores(scorer, user_index, item_index), tie_order, k)


def kth_largest_floor(scores: Float32s, k: int) -> Float64s:
    """At most the k-th largest of each row, and close to it; -inf where a row is too short.

    It is the k-th largest of the maxima of groups of columns: a fraction of the time of a whole partition.
    """
    n_rows, n_columns = scores.shape
    n_groups = min(n_columns, _GROUPS_PER_ENTRY * k)
    if n_groups < k:
        return np.full(n_rows, -np.inf)
    n_dealt = n_columns // n_groups * n_groups
    maxima = scores[:, :n_dealt].reshape(n_rows, -1, n_groups).max(axis=1)
    rest = n_columns - n_dealt
    np.maximum(maxima[:, :rest], scores[:, n_dealt:], out=maxima[:, :rest])
    return np.partition(maxima, n_groups - k, axis=1)[:, n_groups - k].astype(np.float64)


def shuffled(key: npt.NDArray[np.int64]) -> npt.NDArray[np.uint64]:
    """A fixed random number for each key: the finaliser of SplitMix64 (Steele, Lea, Flood 2014)."""
    mixed = key.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(mixed ^ (mixed >> np.uint64(31)))


def _cut(
    user_index: Indices,
    item_index: Indices,
    score: Float32s,
    tie_order: npt.NDArray[np.uint64] | None,
    k: int,
) -> RankedItems:
    """The first k of each user by score descending, then `tie_order`, item_index when there is none."""
    order = np.lexsort((item_index if tie_order is None else tie_order, -score, user_index))
    rank = _ranks(user_index[order])
    order, rank = order[rank <= k], rank[rank <= k]
    return RankedItems(
        user_index[order].astype(np.int32), rank, item_index[order].astype(np.int32), score[order]
    )


def _ranks(user_index: Indices) -> npt.NDArray[np.int32]:
    """Place of each row among those of its user, from 1; rows of one user stand together."""
    is_first = np.ones(len(user_index), dtype=bool)
    is_first[1:] = user_index[1:] != user_index[:-1]
    starts = np.flatnonzero(is_first)
    lengths = np.diff(np.append(starts, len(user_index)))
    return (np.arange(len(user_index)) - np.repeat(starts, lengths) + 1).astype(np.int32)


def join_lists(parts: Sequence[RankedItems]) -> RankedItems:
    """One after the other."""
    return RankedItems(
        *(
            np.concatenate([getattr(part, name) for part in parts])
            for name in ("user_index", "rank", "item_index", "score")
        )
    )
