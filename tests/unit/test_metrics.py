import math

import numpy as np
import pytest
from sklearn.metrics import (
    average_precision_score,
    mean_absolute_error,
    ndcg_score,
    root_mean_squared_error,
)

from shared.datasets import Split, split_ratings
from shared.domain.protocol import Protocol
from shared.domain.results import RankedItems
from tests.unit.ranking_cases import item_scorer, make_dataset, random_dataset, vector_scorer
from worker.metrics import lists as of_lists
from worker.metrics import measure, ranking, ratings
from worker.metrics.ranking import judge_lists
from worker.ranking.top_k import recommend_all

# Relevant are items 1, 2, 3 for user 0; item 9 for user 1; items 4, 5 for user 3. Users 2 and 4 have none.
RELEVANT = [(0, 1), (0, 2), (0, 3), (1, 9), (3, 4), (3, 5)]
# Hits: user 0 at ranks 1 and 3, user 1 never, user 3 at rank 2. User 2 has a list, but nothing to be found.
LISTS = {0: [1, 7, 2, 8], 1: [0, 1, 2, 3], 2: [0, 1, 2, 3], 3: [0, 5]}


def ranked(lists):
    user_index = [user for user, items in lists.items() for _ in items]
    rank = [place for items in lists.values() for place in range(1, len(items) + 1)]
    item_index = [item for items in lists.values() for item in items]
    columns = (np.array(values, dtype=np.int32) for values in (user_index, rank, item_index))
    return RankedItems(*columns, score=np.zeros(len(rank), np.float32))


def judge(lists, relevant, k):
    user_index, item_index = np.array(relevant, dtype=np.int32).reshape(-1, 2).T
    return judge_lists(ranked(lists), user_index, item_index, k)


def test_rmse_and_mae_by_hand():
    actual, predictions = np.array([1.0, 2.0, 5.0]), np.array([2.0, 2.0, 3.0])

    assert ratings.rmse(actual, predictions) == pytest.approx(math.sqrt((1 + 0 + 4) / 3))
    assert ratings.mae(actual, predictions) == pytest.approx((1 + 0 + 2) / 3)


def test_rmse_and_mae_equal_scikit_learn():
    rng = np.random.default_rng(0)
    actual, predictions = rng.normal(size=100), rng.normal(size=100)

    assert ratings.rmse(actual, predictions) == pytest.approx(root_mean_squared_error(actual, predictions))
    assert ratings.mae(actual, predictions) == pytest.approx(mean_absolute_error(actual, predictions))


# The three users with relevant items are the denominator: user 0, user 1, user 3.
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("recall", (2 / 3 + 0 + 1 / 2) / 3),
        ("precision", (2 / 4 + 0 + 1 / 4) / 3),
        ("map", ((1 / 1 + 2 / 3) / 3 + 0 + (1 / 2) / 2) / 3),
        ("hit_rate", (1 + 0 + 1) / 3),
        ("mrr", (1 / 1 + 0 + 1 / 2) / 3),
        (
            "ndcg",
            (
                (1 + 1 / math.log2(4)) / (1 + 1 / math.log2(3) + 1 / math.log2(4))
                + 0
                + (1 / math.log2(3)) / (1 + 1 / math.log2(3))
            )
            / 3,
        ),
    ],
)
def test_ranking_metrics_by_hand(name, expected):
    assert ranking.RANKING_METRICS[name](judge(LISTS, RELEVANT, k=4)) == pytest.approx(expected)


def test_denominators_are_cut_at_k():
    # Two places, three relevant items, both places hit.
    judged = judge({0: [1, 2]}, [(0, 1), (0, 2), (0, 3)], k=2)

    values = {name: metric(judged) for name, metric in ranking.RANKING_METRICS.items()}

    assert values == pytest.approx(
        {"ndcg": 1, "recall": 2 / 3, "precision": 1, "map": 1, "hit_rate": 1, "mrr": 1}
    )


def test_entries_beyond_k_do_not_count():
    assert ranking.hit_rate(judge({0: [5, 6, 1]}, [(0, 1)], k=2)) == 0


def test_a_list_without_hits_counts_zero():
    judged = judge({0: [5, 6]}, [(0, 1)], k=2)

    assert [metric(judged) for metric in ranking.RANKING_METRICS.values()] == [0] * 6


def random_case(seed):
    """Scores and relevance of 30 users and 25 items, and the lists that follow from them."""
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(30, 25))
    is_relevant = rng.random((30, 25)) < 0.2
    is_relevant[:, 0] = True
    order = np.argsort(-scores, axis=1)
    relevant = list(zip(*np.nonzero(is_relevant), strict=True))
    return scores, is_relevant, order, relevant


@pytest.mark.parametrize("k", [1, 5, 25])
def test_ndcg_equals_scikit_learn(k):
    scores, is_relevant, order, relevant = random_case(k)
    judged = judge({user: items[:k].tolist() for user, items in enumerate(order)}, relevant, k)

    assert ranking.ndcg(judged) == pytest.approx(ndcg_score(is_relevant, scores, k=k))


def test_average_precision_of_whole_ranking_equals_scikit_learn():
    scores, is_relevant, order, relevant = random_case(0)
    judged = judge({user: items.tolist() for user, items in enumerate(order)}, relevant, 25)

    expected = np.mean([average_precision_score(is_relevant[user], scores[user]) for user in range(30)])
    assert ranking.average_precision(judged) == pytest.approx(expected)


def test_list_metrics_by_hand():
    lists = ranked({0: [0, 1], 2: [1]})
    support = np.array([4, 1, 0])

    assert of_lists.coverage(lists, 3) == pytest.approx(2 / 3)
    assert of_lists.popularity(lists, support) == pytest.approx(((4 + 1) / 2 + 1) / 2)
    # Of 4 users, item 0: log2(4/4) = 0 bits, item 1: log2(4/1) = 2 bits.
    assert of_lists.novelty(lists, support, 4) == pytest.approx(((0 + 2) / 2 + 2) / 2)


def test_an_item_without_training_ratings_counts_as_having_one_in_novelty():
    assert of_lists.novelty(ranked({0: [0]}), np.array([0]), 8) == 3


def test_validation_metrics_by_hand():
    # Item 1 is user 0's relevant one (rating 4); item 2 (rating 3) is not. Both were kept for validation.
    dataset = make_dataset(2, 4, [(0, 0), (0, 1), (0, 2), (1, 0), (1, 3)], [5, 4, 3, 2, 1])
    split = Split(train=np.array([0, 3, 4]), validation=np.array([1, 2]))
    protocol = Protocol(k=2, min_support=0)
    scorer = item_scorer(2, [9, 2, 5, 1])

    values = measure(scorer, dataset, split, protocol, recommend_all(scorer, dataset, split, protocol))[
        "validation"
    ]

    # User 0's full ranking without item 0: 2, 1, 3. Recommended to user 0: 3; to user 1: 2, 1.
    assert values == pytest.approx(
        {
            "rmse": math.sqrt((2**2 + 2**2) / 2),
            "mae": (2 + 2) / 2,
            "ndcg@2": 1 / math.log2(3),
            "recall@2": 1,
            "precision@2": 1 / 2,
            "map@2": 1 / 2,
            "hit_rate@2": 1,
            "mrr@2": 1 / 2,
            "coverage@2": 3 / 4,
            "popularity@2": ((1 / 1) + (0 + 0) / 2) / 2,
            "novelty@2": 1,
        }
    )


def test_metrics_without_a_denominator_are_left_out():
    dataset = make_dataset(1, 2, [(0, 0), (0, 1)], [5, 1])
    split = Split(train=np.array([0]), validation=np.array([1]))
    scorer = item_scorer(1, [1, 1])

    values = measure(scorer, dataset, split, Protocol(), recommend_all(scorer, dataset, split, Protocol()))[
        "validation"
    ]

    assert list(values) == ["rmse", "mae"]


def test_all_shares_are_between_0_and_1():
    dataset = random_dataset(60, 150, 1500)
    split = split_ratings(dataset, Protocol())
    scorer = vector_scorer(60, 150)

    values = measure(scorer, dataset, split, Protocol(), recommend_all(scorer, dataset, split, Protocol()))[
        "validation"
    ]

    shares = [name for name in values if name not in {"rmse", "mae", "popularity@20", "novelty@20"}]
    assert len(shares) == 7
    assert all(0 <= values[name] <= 1 for name in shares)


def test_a_constant_model_scores_like_a_random_one():
    """Items with small indices are the relevant ones: item order would make the constant model perfect."""
    n_users, n_items = 2000, 100
    pairs = [(user, item) for user in range(n_users) for item in (user % 5, 99)]
    dataset = make_dataset(n_users, n_items, pairs, np.full(2 * n_users, 5))
    split = Split(train=np.arange(1, 2 * n_users, 2), validation=np.arange(0, 2 * n_users, 2))
    protocol = Protocol(k=20)
    constant = item_scorer(n_users, np.ones(n_items))

    values = measure(constant, dataset, split, protocol, recommend_all(constant, dataset, split, protocol))[
        "validation"
    ]

    # One relevant item among 99 candidates: it is in the list with probability 20/99, at each rank with 1/99.
    discounts = 1 / np.log2(np.arange(1, 21) + 1)
    three_deviations = 3 * math.sqrt(20 / 99 * 79 / 99 / n_users)
    assert values["recall@20"] == pytest.approx(20 / 99, abs=three_deviations)
    assert values["hit_rate@20"] == values["recall@20"]
    assert values["ndcg@20"] == pytest.approx(discounts.sum() / 99, abs=three_deviations)
    assert values["mrr@20"] == pytest.approx((1 / np.arange(1, 21)).sum() / 99, abs=three_deviations)
