import itertools
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
from worker.metrics import evaluate, measure, ranking, ratings
from worker.metrics import lists as of_lists
from worker.metrics.graded import grade_lists, graded_ndcg
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
    assert np.mean(ranking.RANKING_METRICS[name](judge(LISTS, RELEVANT, k=4))) == pytest.approx(expected)


def test_denominators_are_cut_at_k():
    # Two places, three relevant items, both places hit.
    judged = judge({0: [1, 2]}, [(0, 1), (0, 2), (0, 3)], k=2)

    values = {name: metric(judged).item() for name, metric in ranking.RANKING_METRICS.items()}

    assert values == pytest.approx(
        {"ndcg": 1, "recall": 2 / 3, "precision": 1, "map": 1, "hit_rate": 1, "mrr": 1}
    )


def test_entries_beyond_k_do_not_count():
    assert ranking.hit_rate(judge({0: [5, 6, 1]}, [(0, 1)], k=2)).tolist() == [0]


def test_a_list_without_hits_counts_zero():
    judged = judge({0: [5, 6]}, [(0, 1)], k=2)

    assert [metric(judged).tolist() for metric in ranking.RANKING_METRICS.values()] == [[0]] * 6


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

    assert np.mean(ranking.ndcg(judged)) == pytest.approx(ndcg_score(is_relevant, scores, k=k))


def test_average_precision_of_whole_ranking_equals_scikit_learn():
    scores, is_relevant, order, relevant = random_case(0)
    judged = judge({user: items.tolist() for user, items in enumerate(order)}, relevant, 25)

    expected = np.mean([average_precision_score(is_relevant[user], scores[user]) for user in range(30)])
    assert np.mean(ranking.average_precision(judged)) == pytest.approx(expected)


def grade(lists, held_out, stars, k, rating_range=(1.0, 5.0)):
    user_index, item_index = np.array(held_out, dtype=np.int32).reshape(-1, 2).T
    return grade_lists(ranked(lists), user_index, item_index, np.array(stars, np.float32), rating_range, k)


def test_graded_ndcg_by_hand():
    # User 0 gave 5, 3 and 1 stars, gains 1, 1/2 and 0: the 1 star is at rank 1, the 3 stars at rank 2, the
    # 5 stars beyond k. User 1 gave 2 stars, gain 1/4, at rank 3. User 2 gave 1 star and gains by no list.
    lists = {0: [3, 2, 9, 1], 1: [7, 8, 6], 2: [5]}
    held_out = [(0, 1), (0, 2), (0, 3), (1, 6), (2, 5)]
    graded = grade(lists, held_out, [5, 3, 1, 2, 1], k=3)

    of_user_0 = (1 / 2 / math.log2(3)) / (1 / math.log2(2) + 1 / 2 / math.log2(3))
    assert graded_ndcg(graded).tolist() == pytest.approx([of_user_0, 1 / math.log2(4)])


def test_graded_ndcg_of_a_constant_rating_is_that_of_gains_of_one():
    graded = grade(LISTS, RELEVANT, [4.0] * len(RELEVANT), k=4, rating_range=(4.0, 4.0))

    assert graded_ndcg(graded).tolist() == ranking.ndcg(judge(LISTS, RELEVANT, k=4)).tolist()


def test_graded_ndcg_is_one_for_the_ideal_list_and_the_same_on_another_scale():
    held_out, stars = [(0, 1), (0, 2), (0, 3)], np.array([2, 5, 4])

    assert graded_ndcg(grade({0: [2, 3]}, held_out, stars, k=2)).tolist() == pytest.approx([1])
    of_five = graded_ndcg(grade({0: [1, 2]}, held_out, stars, k=2))
    of_hundred = graded_ndcg(grade({0: [1, 2]}, held_out, 20 * stars, k=2, rating_range=(20.0, 100.0)))
    assert of_five.tolist() == pytest.approx(of_hundred.tolist())


@pytest.mark.parametrize("k", [1, 5, 25])
def test_graded_ndcg_equals_scikit_learn(k):
    rng = np.random.default_rng(k)
    scores, stars = rng.normal(size=(30, 25)), rng.integers(1, 6, (30, 25))
    is_held_out = rng.random((30, 25)) < 0.3
    is_held_out[:, 0], stars[:, 0] = True, 5
    order = np.argsort(-scores, axis=1)
    lists = {user: items[:k].tolist() for user, items in enumerate(order)}
    held_out = list(zip(*np.nonzero(is_held_out), strict=True))
    graded = grade(lists, held_out, stars[is_held_out], k)

    gains = np.where(is_held_out, (stars - 1) / 4, 0)
    assert np.mean(graded_ndcg(graded)) == pytest.approx(ndcg_score(gains, scores, k=k))


def test_list_metrics_by_hand():
    lists = ranked({0: [0, 1], 2: [1]})
    support = np.array([4, 1, 0])

    assert of_lists.coverage(lists, 3) == pytest.approx(2 / 3)
    assert of_lists.popularity(lists, support) == pytest.approx(((4 + 1) / 2 + 1) / 2)
    # Of 4 users, item 0: log2(4/4) = 0 bits, item 1: log2(4/1) = 2 bits.
    assert of_lists.novelty(lists, support, 4) == pytest.approx(((0 + 2) / 2 + 2) / 2)


def test_long_tail_by_hand():
    # Of 100 ratings, items 0 and 1 hold exactly 80, so that they are the head; items 2 and 3 are the tail.
    support = np.array([60, 20, 15, 5])

    # Lists with 1 of 2, 0 of 1 and 2 of 2 items of the tail.
    lists = ranked({0: [0, 2], 1: [1], 2: [2, 3]})
    assert of_lists.long_tail(lists, support) == pytest.approx((1 / 2 + 0 + 1) / 3)


def test_items_as_popular_as_the_last_of_the_head_belong_to_it_whatever_their_index():
    # 80 of 100 ratings are reached by 40 + 20 + 20, and there are three items with 20 ratings.
    assert of_lists.long_tail(ranked({0: [1, 2, 3]}), np.array([40, 20, 20, 20])) == 0


def test_personalisation_by_hand():
    # Pairs of users: {0, 1} has 2 of 2 items in common, {0, 2} has 1, {1, 2} has 1.
    lists = ranked({0: [4, 5], 1: [5, 4], 2: [5, 6]})

    assert of_lists.personalisation(lists) == pytest.approx(1 - (2 / 2 + 1 / 2 + 1 / 2) / 3)


def test_personalisation_equals_the_mean_over_all_pairs():
    rng = np.random.default_rng(0)
    lists = {user: rng.choice(30, 8, replace=False).tolist() for user in range(40)}
    overlaps = [len(set(lists[a]) & set(lists[b])) / 8 for a, b in itertools.combinations(lists, 2)]

    assert of_lists.personalisation(ranked(lists)) == pytest.approx(1 - np.mean(overlaps))


def test_personalisation_of_one_list_does_not_exist():
    assert "personalisation" not in of_lists.list_metrics(ranked({0: [1, 2]}), np.array([1, 2, 3]), 1, 3)


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
    expected = {
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
        # Ratings 4 and 3 on the scale from 1 to 5 gain 3/4 and 2/4; the list has the second one first.
        "graded_ndcg@2": (2 / 4 + 3 / 4 / math.log2(3)) / (3 / 4 + 2 / 4 / math.log2(3)),
        # Two lists of one and two items, nothing in common.
        "personalisation@2": 1,
        # 80 % of the three training ratings are items 0 (2) and 3 (1); lists: item 3; items 2 and 1.
        "long_tail@2": (0 + 1) / 2,
    }
    assert {name: values[name] for name in expected} == pytest.approx(expected)


def test_metrics_without_a_denominator_are_left_out():
    dataset = make_dataset(1, 2, [(0, 0), (0, 1)], [5, 1])
    split = Split(train=np.array([0]), validation=np.array([1]))
    scorer = item_scorer(1, [1, 1])

    values = measure(scorer, dataset, split, Protocol(), recommend_all(scorer, dataset, split, Protocol()))[
        "validation"
    ]

    assert {"rmse", "mae"} <= values.keys()
    assert not [name for name in values if "@" in name]


def test_results_of_users_by_hand():
    # Held out: user 0 gave item 1 a 4 and item 2 a 3, user 2 gave item 1 a 2; user 1 has none.
    pairs = [(0, 0), (0, 1), (0, 2), (1, 0), (1, 3), (2, 0), (2, 1)]
    dataset = make_dataset(3, 4, pairs, [5, 4, 3, 2, 1, 5, 2])
    split = Split(train=np.array([0, 3, 4, 5]), validation=np.array([1, 2, 6]))
    protocol = Protocol(k=2, min_support=0)
    scorer = item_scorer(3, [9, 2, 5, 1])

    evaluation = evaluate(scorer, dataset, split, protocol, recommend_all(scorer, dataset, split, protocol))
    results = evaluation.user_results["validation"]

    assert results.user_index.tolist() == [0, 2]
    assert (results.n_train_ratings.tolist(), results.n_ratings.tolist()) == ([1, 1], [2, 1])
    assert results.squared_error.tolist() == [(4 - 2) ** 2 + (3 - 5) ** 2, 0]
    assert results.absolute_error.tolist() == [2 + 2, 0]
    # User 0's relevant item is at rank 2 of the list 2, 1; user 2 has none.
    values = {
        "ndcg": 1 / math.log2(3),
        "recall": 1,
        "precision": 1 / 2,
        "map": 1 / 2,
        "hit_rate": 1,
        "mrr": 1 / 2,
    }
    assert {name: column[0] for name, column in results.rankings.items()} == pytest.approx(values)
    assert all(np.isnan(column[1]) for column in results.rankings.values())
    assert hits_of(results) == [(0, 2, 1)]


def hits_of(results):
    columns = (results.hits.user_index, results.hits.rank, results.hits.item_index)
    return list(zip(*(column.tolist() for column in columns), strict=True))


def hits_by_definition(dataset, rows, lists, threshold, k):
    """Every entry of every list, looked up among what was held out."""
    relevant = {
        (int(dataset.user_index[row]), int(dataset.item_index[row]))
        for row in rows
        if threshold == "none" or dataset.ratings[row] >= threshold
    }
    columns = (lists.user_index, lists.rank, lists.item_index)
    entries = zip(*(column.tolist() for column in columns), strict=True)
    return sorted(
        (user, rank, item) for user, rank, item in entries if (user, item) in relevant and rank <= k
    )


# 400 is longer than any list of 150 items.
@pytest.mark.parametrize("k", [1, 20, 400])
@pytest.mark.parametrize("threshold", [4.0, "none"])
@pytest.mark.parametrize("has_ties", [False, True])
def test_hits_are_the_relevant_entries_of_the_evaluated_lists(k, threshold, has_ties):
    dataset = random_dataset(60, 150, 1500)
    protocol = Protocol(test_fraction=0.2, k=k, relevance_threshold=threshold)
    split = split_ratings(dataset, protocol)
    scorer = item_scorer(60, np.arange(150) // 50) if has_ties else vector_scorer(60, 150)
    rankings = recommend_all(scorer, dataset, split, protocol)

    for part, results in evaluate(scorer, dataset, split, protocol, rankings).user_results.items():
        expected = hits_by_definition(dataset, split.part(part), rankings.evaluated[part], threshold, k)
        assert hits_of(results) == expected
        n_hits = np.array([sum(user == one for one, _, _ in expected) for user in results.user_index])
        precision = results.rankings["precision"]
        is_judged = ~np.isnan(precision)
        assert np.rint(precision[is_judged] * k).tolist() == n_hits[is_judged].tolist()
        assert not n_hits[~is_judged].any()


def test_results_of_users_add_up_to_the_metrics():
    dataset = random_dataset(60, 150, 1500)
    protocol = Protocol(test_fraction=0.2)
    split = split_ratings(dataset, protocol)
    scorer = vector_scorer(60, 150)

    evaluation = evaluate(scorer, dataset, split, protocol, recommend_all(scorer, dataset, split, protocol))

    assert list(evaluation.user_results) == ["validation", "test"]
    for part, results in evaluation.user_results.items():
        values = evaluation.metrics[part]
        n = results.n_ratings.sum()
        assert math.sqrt(results.squared_error.sum() / n) == pytest.approx(values["rmse"])
        assert results.absolute_error.sum() / n == pytest.approx(values["mae"])
        for name, column in results.rankings.items():
            assert np.nanmean(column.astype(float)) == pytest.approx(values[f"{name}@20"])


def test_a_model_without_ratings_leaves_no_errors_of_users():
    dataset = make_dataset(1, 2, [(0, 0), (0, 1)], [5, 4])
    split = Split(train=np.array([0]), validation=np.array([1]))
    scorer, protocol = item_scorer(1, [1, 1]), Protocol()

    rankings = recommend_all(scorer, dataset, split, protocol)
    results = evaluate(scorer, dataset, split, protocol, rankings, predicts_ratings=False).user_results

    assert (results["validation"].squared_error, results["validation"].absolute_error) == (None, None)
    assert results["validation"].rankings["recall"].tolist() == [1]


def test_all_shares_are_between_0_and_1():
    dataset = random_dataset(60, 150, 1500)
    split = split_ratings(dataset, Protocol())
    scorer = vector_scorer(60, 150)

    values = measure(scorer, dataset, split, Protocol(), recommend_all(scorer, dataset, split, Protocol()))[
        "validation"
    ]

    names = ("ndcg", "recall", "precision", "map", "hit_rate", "mrr", "coverage")
    for name in (*names, "graded_ndcg", "personalisation", "long_tail"):
        assert 0 <= values[f"{name}@20"] <= 1


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
