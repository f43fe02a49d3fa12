"""Small data sets, scorers whose scores can be read off, and brute force, for tests of lists and metrics."""

import numpy as np

from shared.datasets import Dataset
from worker.ranking.scorers import LinearScorer


def make_dataset(n_users, n_items, pairs, ratings):
    user_index, item_index = np.array(pairs, dtype=np.int32).reshape(-1, 2).T
    return Dataset(
        name="test",
        is_synthetic=True,
        user_ids=np.arange(n_users).astype(str),
        item_ids=np.arange(n_items).astype(str),
        user_index=user_index,
        item_index=item_index,
        ratings=np.array(ratings, dtype=np.float32),
        timestamps=np.zeros(len(user_index), np.int64),
        titles=np.full(n_items, ""),
        genres=np.full(n_items, ""),
    )


def random_dataset(n_users, n_items, n_ratings, seed=0):
    """User 0 rated nearly everything, the last user one item; the last three items have no rating."""
    rng = np.random.default_rng(seed)
    n_rated = n_items - 3
    places = set(rng.choice((n_users - 1) * n_rated, n_ratings, replace=False).tolist())
    pairs = sorted({divmod(place, n_rated) for place in places} | {(0, item) for item in range(n_rated - 2)})
    pairs.append((n_users - 1, 1))
    return make_dataset(n_users, n_items, pairs, rng.integers(1, 6, len(pairs)))


def item_scorer(n_users, item_scores):
    """Every user scores the items alike."""
    n_items = len(item_scores)
    offsets = np.array(item_scores, dtype=np.float64)
    return LinearScorer(np.zeros((n_users, 0)), np.zeros((n_items, 0)), np.zeros(n_users), offsets)


def vector_scorer(n_users, n_items, seed=0, size=8):
    rng = np.random.default_rng(seed)
    return LinearScorer(
        rng.normal(size=(n_users, size)),
        rng.normal(size=(n_items, size)),
        np.zeros(n_users),
        np.zeros(n_items),
    )


def lists_of(ranked, n_users):
    lists = [[] for _ in range(n_users)]
    for user, item in zip(ranked.user_index.tolist(), ranked.item_index.tolist(), strict=True):
        lists[user].append(item)
    return lists


def brute_force(scores, dataset, split, protocol):
    """Sort all candidates of every user by (score descending, item_index)."""
    support = np.bincount(dataset.item_index[split.train], minlength=dataset.n_items)
    lists = []
    for user, user_scores in enumerate(scores):
        seen = set(dataset.item_index[dataset.user_index == user].tolist())
        candidates = [
            i for i in range(dataset.n_items) if i not in seen and support[i] >= protocol.min_support
        ]
        lists.append(sorted(candidates, key=lambda i: (-user_scores[i], i))[: protocol.k])
    return lists


def all_pairs(n_users, n_items):
    return np.repeat(np.arange(n_users), n_items), np.tile(np.arange(n_items), n_users)


def assert_same(left, right):
    for name in ("user_index", "rank", "item_index", "score"):
        np.testing.assert_array_equal(getattr(left, name), getattr(right, name))
