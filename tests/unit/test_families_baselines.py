"""The two baselines by hand."""

import numpy as np
import pytest

from shared.domain.families.item_popularity import ItemPopularity
from shared.domain.families.user_item_bias import UserItemBias
from tests.unit.family_cases import all_scores, fit_data, fit_scorer, random_ratings
from worker.families.user_item_bias import ITEM_DAMPING, USER_DAMPING


def test_item_popularity_counts_training_ratings():
    scorer, fitted = fit_scorer(ItemPopularity(), fit_data([[5, 4, 0, 0], [0, 3, 1, 0]]))

    assert scorer.score_block(np.array([0, 1])).tolist() == [[1, 2, 1, 0]] * 2
    assert fitted.n_parameters == 4


def test_user_item_bias_by_hand():
    # Two pairs that share neither user nor item: mean 3, deviations +1 and -1.
    scorer, fitted = fit_scorer(UserItemBias(), fit_data([[4, 0], [0, 2]]))

    # b = user bias, c = item bias: 16 b + c = 1 and b + 11 c = 1, so b = 10/175 and c = 15/175.
    assert all_scores(scorer, 2)[0] == pytest.approx([3 + 25 / 175, 3 - 5 / 175])
    assert scorer.predict_ratings(np.array([0]), np.array([0])).tolist() == [all_scores(scorer, 2)[0, 0]]
    assert fitted.n_parameters == 1 + 2 + 2


def test_user_item_bias_solves_the_damped_least_squares():
    ratings = random_ratings(30, 40)
    scorer, _ = fit_scorer(UserItemBias(), fit_data(ratings))

    # The same problem as one dense ridge regression over 30 + 40 biases.
    user, item = np.nonzero(ratings)
    known = ratings[user, item].astype(np.float64)
    design = np.zeros((len(known), 70))
    design[np.arange(len(known)), user] = 1
    design[np.arange(len(known)), 30 + item] = 1
    penalty = np.diag([USER_DAMPING] * 30 + [ITEM_DAMPING] * 40)
    biases = np.linalg.solve(design.T @ design + penalty, design.T @ (known - known.mean()))
    expected = known.mean() + np.add.outer(biases[:30], biases[30:])
    np.testing.assert_allclose(all_scores(scorer, 30), expected, atol=1e-6)
    # Of the last user and the last items nothing is known: the mean, and the item's bias.
    assert scorer.predict_ratings(np.array([29]), np.array([39])).tolist() == [known.mean()]
