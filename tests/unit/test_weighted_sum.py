"""Sums of two scorers."""

import numpy as np
import pytest

from tests.unit.family_cases import all_scores, fit_data, random_ratings
from worker.families.inputs import InputRule
from worker.ranking.item_item import DenseItems, ItemItemScorer
from worker.ranking.weighted_sum import WeightedSum, WeightedSumOfHistories

N_USERS, N_ITEMS = 40, 25


def item_item(seed):
    data = fit_data(random_ratings(N_USERS, N_ITEMS))
    matrix = np.random.default_rng(seed).normal(size=(N_ITEMS, N_ITEMS)).astype(np.float32)
    items = np.arange(N_ITEMS, dtype=np.int32)
    return ItemItemScorer.of(InputRule.of("stars", data), data.by_user, items, DenseItems(matrix))


def test_a_sum_is_that_of_the_scores_of_pairs_and_histories():
    first, second = item_item(0), item_item(1)
    both = WeightedSumOfHistories(first, second, 0.3)
    expected = all_scores(first, N_USERS) + 0.3 * all_scores(second, N_USERS)
    np.testing.assert_allclose(all_scores(both, N_USERS), expected, rtol=1e-14)
    history = (np.array([3, 1]), np.array([5, 2], np.float32))
    np.testing.assert_allclose(
        both.score_history(*history),
        first.score_history(*history) + 0.3 * second.score_history(*history),
        rtol=1e-14,
    )
    assert both.n_items == N_ITEMS
    with pytest.raises(NotImplementedError):
        both.predict_ratings(np.array([0]), np.array([0]))


@pytest.mark.parametrize("weight", [1e-3, 0.3, 1e3])
def test_blocks_are_within_the_bound_of_the_exact_scores(weight):
    both = WeightedSum(item_item(0), item_item(1), weight)
    users = np.arange(N_USERS)
    errors = np.abs(both.score_block(users) - all_scores(both, N_USERS)).max(axis=1)
    assert (errors <= both.error_bound(users)).all()
    assert (errors > 0).any()
