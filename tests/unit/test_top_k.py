"""The contract of the lists, with scorers whose scores can be read off; heads are in test_recommend_heads."""

import numpy as np
import pytest

from shared.datasets import Split, split_ratings
from shared.domain.families.tower import Tower
from shared.domain.protocol import Protocol
from shared.errors import TrialError
from tests.unit.ranking_cases import (
    all_pairs,
    assert_same,
    brute_force,
    item_scorer,
    lists_of,
    make_dataset,
    random_dataset,
    vector_scorer,
)
from worker.families.tower.scorer import weights_scorer
from worker.families.tower.weights import Weights
from worker.ranking import top_k
from worker.ranking.scorers import LinearScorer, exact_scores
from worker.ranking.top_k import predict_top_rated, recommend_all


def test_recommendations_are_the_best_unseen_supported_items():
    # Item 0 is rated by user 0 (training), item 1 by user 0 (validation), item 4 by nobody.
    dataset = make_dataset(2, 5, [(0, 0), (0, 1), (1, 1), (1, 2), (1, 3)], [5, 5, 3, 3, 3])
    split = Split(train=np.array([0, 2, 3, 4]), validation=np.array([1]))
    scorer = item_scorer(2, [0.9, 0.8, 0.5, 0.7, 1.0])

    recommended = recommend_all(scorer, dataset, split, Protocol(k=2)).recommendations

    assert recommended.user_index.tolist() == [0, 0, 1]
    assert recommended.rank.tolist() == [1, 2, 1]
    assert recommended.item_index.tolist() == [3, 2, 0]
    assert recommended.score.tolist() == np.float32([0.7, 0.5, 0.9]).tolist()
    assert [a.dtype for a in (recommended.user_index, recommended.rank, recommended.item_index)] == [
        np.int32
    ] * 3


def test_evaluated_lists_keep_validation_and_unrated_items():
    dataset = make_dataset(2, 5, [(0, 0), (0, 1), (1, 1), (1, 2), (1, 3)], [5, 5, 3, 3, 3])
    split = Split(train=np.array([0, 2, 3, 4]), validation=np.array([1]))
    scorer = item_scorer(2, [0.9, 0.8, 0.5, 0.7, 1.0])

    evaluated = recommend_all(scorer, dataset, split, Protocol(k=3)).evaluated["validation"]

    assert lists_of(evaluated, 2) == [[4, 1, 3], [4, 0]]


@pytest.mark.parametrize("min_support", [0, 1, 10])
@pytest.mark.parametrize("k", [1, 20, 200])
def test_recommendations_equal_brute_force(k, min_support):
    dataset = random_dataset(60, 150, 1500)
    protocol = Protocol(k=k, min_support=min_support)
    split = split_ratings(dataset, protocol)
    scorer = vector_scorer(60, 150)
    scores = exact_scores(scorer, *all_pairs(60, 150)).reshape(60, 150)

    recommended = recommend_all(scorer, dataset, split, protocol).recommendations

    assert lists_of(recommended, 60) == brute_force(scores, dataset, split, protocol)
    np.testing.assert_array_equal(recommended.score, scores[recommended.user_index, recommended.item_index])


def test_users_with_fewer_candidates_get_exactly_those():
    # User 0 rated all but two of the 27 items with ratings, and three items have none.
    dataset = random_dataset(10, 30, 60)
    protocol = Protocol(k=20, min_support=0)
    split = split_ratings(dataset, protocol)

    lists = lists_of(recommend_all(vector_scorer(10, 30), dataset, split, protocol).recommendations, 10)

    n_rated = np.bincount(dataset.user_index, minlength=10)
    assert [len(items) for items in lists] == np.minimum(20, 30 - n_rated).tolist()
    assert len(lists[0]) < 20


def test_users_with_no_candidate_get_no_row():
    dataset = make_dataset(2, 2, [(0, 0), (0, 1), (1, 0)], [1, 2, 3])
    split = Split(train=np.array([0, 1]), validation=np.array([2]))

    recommended = recommend_all(item_scorer(2, [1, 2]), dataset, split, Protocol()).recommendations

    assert lists_of(recommended, 2) == [[], [1]]


def test_users_without_training_ratings_are_ranked_by_their_scores():
    dataset = random_dataset(10, 30, 60)
    last = dataset.n_ratings - 1  # The only rating of user 9.
    split = Split(train=np.arange(last), validation=np.array([last]))
    scorer = vector_scorer(10, 30)
    scores = exact_scores(scorer, *all_pairs(10, 30)).reshape(10, 30)

    recommended = recommend_all(scorer, dataset, split, Protocol()).recommendations

    assert lists_of(recommended, 10)[9] == brute_force(scores, dataset, split, Protocol())[9]


def test_ties_are_in_item_order():
    dataset = random_dataset(20, 100, 300)
    split = split_ratings(dataset, Protocol())
    item_scores = np.arange(100) // 10  # Ten items share each score.

    recommended = recommend_all(item_scorer(20, item_scores), dataset, split, Protocol()).recommendations

    scores = np.tile(item_scores, (20, 1))
    assert lists_of(recommended, 20) == brute_force(scores, dataset, split, Protocol())


def test_scores_that_float32_cannot_tell_apart_are_ties():
    # The two differ in float64 by less than half a step of float32: equal once rounded, item order decides.
    dataset = make_dataset(2, 3, [(0, 0), (1, 1), (1, 2)], [1, 1, 1])
    split = Split(train=np.arange(3), validation=np.arange(0))
    scorer = item_scorer(2, [0, 1.0, 1.0 + 2.0**-30])

    recommended = recommend_all(scorer, dataset, split, Protocol(k=1)).recommendations

    assert lists_of(recommended, 2) == [[1], [0]]


def test_order_is_that_of_float64_where_float32_sums_go_wrong():
    # In float32 1e8 + 1 - 1e8 is 0; the second item is better by 1, and no float32 block can show it.
    item_vectors = np.array([[1e8, 0, -1e8], [1e8, 1, -1e8], [0, 0, 0]])
    scorer = LinearScorer(np.ones((1, 3)), item_vectors, np.zeros(1), np.zeros(3))
    dataset = make_dataset(1, 3, [(0, 2)], [1])
    split = Split(train=np.arange(1), validation=np.arange(0))

    recommended = recommend_all(scorer, dataset, split, Protocol(k=1, min_support=0)).recommendations

    assert (recommended.item_index.tolist(), recommended.score.tolist()) == ([1], [1.0])


@pytest.mark.parametrize("block_scores", [1, 150 * 7, 2**20])
@pytest.mark.parametrize("n_threads", [1, 3])
def test_lists_do_not_depend_on_block_size_or_threads(block_scores, n_threads):
    dataset = random_dataset(60, 150, 1500)
    split = split_ratings(dataset, Protocol())
    scorer = vector_scorer(60, 150)
    expected = recommend_all(scorer, dataset, split, Protocol())

    got = recommend_all(scorer, dataset, split, Protocol(), block_scores=block_scores, n_threads=n_threads)

    assert_same(got.recommendations, expected.recommendations)
    assert_same(got.evaluated["validation"], expected.evaluated["validation"])


def test_exact_scores_do_not_depend_on_the_batch():
    scorer = vector_scorer(50, 40, size=60)
    user_index, item_index = all_pairs(50, 40)

    alone = [exact_scores(scorer, user_index[[row]], item_index[[row]])[0] for row in range(2000)]

    assert exact_scores(scorer, user_index, item_index).tolist() == alone


def test_tied_evaluated_items_are_in_another_order_for_every_user():
    dataset = make_dataset(3, 200, [(0, 0), (1, 0), (2, 0)], [1, 1, 1])
    split = Split(train=np.arange(3), validation=np.arange(0))

    lists = lists_of(
        recommend_all(item_scorer(3, np.ones(200)), dataset, split, Protocol()).evaluated["validation"], 3
    )

    assert all(items != sorted(items) for items in lists)
    assert len({tuple(items) for items in lists}) == 3


def test_tied_evaluated_items_are_equally_likely_at_every_place():
    n_users, n_items = 4000, 10
    pairs = [(user, 0) for user in range(n_users)]
    dataset = make_dataset(n_users, n_items, pairs, np.ones(n_users))
    split = Split(train=np.arange(n_users), validation=np.arange(0))

    evaluated = recommend_all(
        item_scorer(n_users, np.ones(n_items)), dataset, split, Protocol(k=1)
    ).evaluated["validation"]

    # 4000 first places over nine items: 444 each, standard deviation 20.
    counts = np.bincount(evaluated.item_index, minlength=n_items)[1:]
    assert np.abs(counts - 4000 / 9).max() < 4 * 20


@pytest.mark.parametrize("n_sorted_at_once", [1, 2, 4, 2**20])
def test_top_rated_is_by_rating_then_item_whatever_the_split(monkeypatch, n_sorted_at_once):
    monkeypatch.setattr(top_k, "_SORTED_AT_ONCE", n_sorted_at_once)
    dataset = make_dataset(2, 4, [(1, 3), (0, 2), (0, 1), (0, 3), (0, 0)], [1, 4, 5, 5, 3])
    scorer = item_scorer(2, [10, 11, 12, 13])

    top = predict_top_rated(scorer, dataset, Protocol(k=3))

    assert top.user_index.tolist() == [0, 0, 0, 1]
    assert top.rank.tolist() == [1, 2, 3, 1]
    assert top.item_index.tolist() == [1, 3, 2, 3]
    assert top.rating.tolist() == [5, 5, 4, 1]
    assert top.prediction.tolist() == [11, 13, 12, 13]


def test_rows_of_the_item_table_beyond_the_catalogue_are_never_recommended():
    dataset = make_dataset(1, 2, [(0, 0)], [1])
    split = Split(train=np.arange(1), validation=np.arange(0))
    item_embedding = np.array([[1], [2], [9]], dtype=np.float32)
    layer = (np.ones((1, 1), np.float32), np.zeros(1, np.float32))
    weights = Weights(np.ones((1, 1), np.float32), item_embedding, (layer,))
    scorer = weights_scorer(Tower("multiply", 1, (1,)), weights, n_items=2)

    recommended = recommend_all(scorer, dataset, split, Protocol(min_support=0)).recommendations

    assert recommended.item_index.tolist() == [1]


def test_weights_that_are_not_finite_are_refused():
    layer = (np.full((1, 1), np.nan, np.float32), np.zeros(1, np.float32))
    weights = Weights(np.ones((1, 1), np.float32), np.ones((2, 1), np.float32), (layer,))

    with pytest.raises(TrialError, match="all weights must be finite"):
        weights_scorer(Tower("multiply", 1, (1,)), weights, n_items=2)


def test_scores_that_overflow_float32_are_refused():
    dataset = make_dataset(1, 2, [(0, 0)], [1])
    split = Split(train=np.arange(1), validation=np.arange(0))

    with pytest.raises(TrialError, match="scores must be finite"):
        recommend_all(item_scorer(1, [1, 1e300]), dataset, split, Protocol(min_support=0))
