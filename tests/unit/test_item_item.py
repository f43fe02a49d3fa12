"""Scores of item-item matrices: bounds, exactness, histories, lists against brute force."""

import numpy as np
import pytest
import scipy.sparse

from shared.datasets import split_ratings
from shared.domain.families.ease import Ease
from shared.domain.protocol import Protocol
from tests.unit.family_cases import all_scores, fit_data, random_ratings
from tests.unit.ranking_cases import all_pairs, assert_same, brute_force, lists_of, random_dataset
from worker.families.contract import FitData
from worker.families.inputs import InputRule
from worker.observations import Observations
from worker.ranking.item_item import DenseItems, ItemItemScorer, SparseItems
from worker.ranking.scorers import HistoryScorer, exact_scores
from worker.ranking.top_k import recommend_all

N_USERS, N_ITEMS = 40, 600  # More items than a tile has, users with more inputs than a chunk.


def item_weights(n, kind, seed=0, scale=1.0):
    rng = np.random.default_rng(seed)
    matrix = (rng.normal(scale=scale, size=(n, n)) * (rng.random((n, n)) < 0.3)).astype(np.float32)
    return (DenseItems(matrix) if kind == "dense" else SparseItems(scipy.sparse.csr_matrix(matrix))), matrix


def make_scorer(kind, data, items, scale=1.0):
    item_item, matrix = item_weights(len(items), kind, scale=scale)
    full = np.zeros((data.n_items, data.n_items))
    full[np.ix_(items, items)] = matrix
    rule = InputRule.of("stars", data)
    return ItemItemScorer.of(rule, data.by_user, np.asarray(items, np.int32), item_item), full


def data_of(dataset, split):
    def take(rows):
        return Observations(dataset.user_index[rows], dataset.item_index[rows], dataset.ratings[rows])

    return FitData(
        dataset.n_users, dataset.n_items, take(split.train), take(split.validation), dataset.rating_range, 4.0
    )


@pytest.fixture(scope="module")
def ratings():
    return random_ratings(N_USERS, N_ITEMS)


@pytest.fixture(scope="module")
def items():
    """All but ten, in no order."""
    return np.random.default_rng(5).permutation(N_ITEMS)[:-10]


@pytest.mark.parametrize("kind", ["dense", "sparse"])
def test_pairs_are_scored_as_in_float64(kind, ratings, items):
    scorer, weights = make_scorer(kind, fit_data(ratings), items)

    inputs = (ratings / 5).astype(np.float32).astype(np.float64)
    np.testing.assert_allclose(all_scores(scorer, N_USERS), inputs @ weights, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 100.0])
@pytest.mark.parametrize("kind", ["dense", "sparse"])
def test_blocks_stay_within_the_error_bound(kind, scale, ratings, items):
    scorer, _ = make_scorer(kind, fit_data(ratings), items, scale)
    users = np.arange(N_USERS)

    errors = np.abs(scorer.score_block(users) - all_scores(scorer, N_USERS)).max(axis=1)

    bound = scorer.error_bound(users)
    assert (errors <= bound).all()
    # And is no excuse: far below the spread of the scores.
    assert (bound[:-1] < 1e-3 * all_scores(scorer, N_USERS)[:-1].std(axis=1)).all()


@pytest.mark.parametrize("kind", ["dense", "sparse"])
def test_exact_scores_do_not_depend_on_the_batch(kind, ratings, items):
    scorer, _ = make_scorer(kind, fit_data(ratings), items)
    users, columns = all_pairs(N_USERS, N_ITEMS)
    whole = exact_scores(scorer, users, columns)
    rng = np.random.default_rng(0)

    for rows in (rng.permutation(len(users))[:500], np.arange(1), np.arange(1000, 1007)):
        np.testing.assert_array_equal(exact_scores(scorer, users[rows], columns[rows]), whole[rows])


@pytest.mark.parametrize("kind", ["dense", "sparse"])
def test_no_input_and_no_weight_score_exactly_zero(kind, ratings, items):
    scorer, _ = make_scorer(kind, fit_data(ratings), items)
    without_weights = np.setdiff1d(np.arange(N_ITEMS), items)

    assert (scorer.score_block(np.array([N_USERS - 1])) == 0).all()
    assert scorer.error_bound(np.array([N_USERS - 1])).tolist() == [0]
    assert (scorer.score_block(np.arange(N_USERS))[:, without_weights] == 0).all()
    assert (all_scores(scorer, N_USERS)[:, without_weights] == 0).all()


@pytest.mark.parametrize("kind", ["dense", "sparse"])
def test_lists_equal_brute_force_whatever_the_blocks_and_threads(kind):
    dataset = random_dataset(60, 150, 1500)
    protocol = Protocol()
    split = split_ratings(dataset, protocol)
    scorer, _ = make_scorer(kind, data_of(dataset, split), np.arange(140))
    scores = exact_scores(scorer, *all_pairs(60, 150)).reshape(60, 150)

    whole = recommend_all(scorer, dataset, split, protocol)
    in_parts = recommend_all(scorer, dataset, split, protocol, n_threads=3, block_scores=700)

    assert lists_of(whole.recommendations, 60) == brute_force(scores, dataset, split, protocol)
    assert_same(in_parts.recommendations, whole.recommendations)
    assert in_parts.evaluated.keys() == whole.evaluated.keys()
    for part, items in whole.evaluated.items():
        assert_same(in_parts.evaluated[part], items)


@pytest.mark.parametrize("kind", ["dense", "sparse"])
def test_a_history_is_scored_as_the_user_who_has_it(kind, ratings, items):
    scorer, _ = make_scorer(kind, fit_data(ratings), items)
    rated = np.random.default_rng(0).permutation(np.flatnonzero(ratings[7]))

    scores = scorer.score_history(rated, ratings[7, rated])

    assert isinstance(scorer, HistoryScorer)
    np.testing.assert_array_equal(scores, all_scores(scorer, N_USERS)[7])
    assert (scorer.score_history(np.arange(0), np.zeros(0, np.float32)) == 0).all()


def test_scores_are_no_ratings(ratings, items):
    scorer, _ = make_scorer("dense", fit_data(ratings), items)

    assert not scorer.predicts_ratings
    with pytest.raises(NotImplementedError, match="no ratings"):
        scorer.predict_ratings(np.arange(1), np.arange(1))


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("stars", [0.2, 0.8, 1.0]), ("ones", [1, 1, 1]), ("from_threshold", [1, 1])],
)
def test_inputs_of_ratings(kind, expected):
    rule = InputRule.of(kind, fit_data([[1, 4, 5]]))

    matrix = rule.matrix(fit_data([[1, 4, 5]]).by_user)

    np.testing.assert_allclose(matrix.data, expected)
    assert matrix.indices.tolist() == ([1, 2] if kind == "from_threshold" else [0, 1, 2])


def test_stars_of_ratings_that_are_all_below_zero_keep_their_order():
    rule = InputRule.of("stars", fit_data([[-4, -1]]))

    assert rule.values(np.array([-4, -1], np.float32)).tolist() == [-1, -0.25]


def test_every_input_kind_of_ease_has_a_rule():
    for kind in Ease.__annotations__["input"].__args__:
        assert InputRule.of(kind, fit_data([[5]])).values(np.array([5], np.float32)).tolist() == [1]
