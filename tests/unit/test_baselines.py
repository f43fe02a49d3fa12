import numpy as np
import pytest

from shared.datasets import Split, split_ratings
from shared.domain.families.item_popularity import ItemPopularity
from shared.domain.families.user_item_bias import UserItemBias
from shared.domain.protocol import Protocol
from tests.unit.ranking_cases import all_pairs, lists_of, make_dataset, random_dataset
from worker.families.contract import FitContext
from worker.families.registry import family_of
from worker.families.user_item_bias import ITEM_DAMPING, USER_DAMPING
from worker.ranking.top_k import recommend_all
from worker.trial import fit_data


def fit_baseline(architecture, dataset, split):
    """The scorer, and how many numbers were learned."""
    data = fit_data(dataset, split, Protocol())
    family = family_of(architecture)
    fitted = family.fit(architecture, None, data, FitContext())
    return family.make_scorer(architecture, fitted.weights, data), fitted.n_parameters


@pytest.fixture
def small():
    """Training: items 0, 1, 1, 2 with ratings 5, 4, 3, 1; the last rating is for validation."""
    dataset = make_dataset(3, 4, [(0, 0), (0, 1), (1, 1), (1, 2), (2, 3)], [5, 4, 3, 1, 2])
    return dataset, Split(train=np.arange(4), validation=np.array([4]))


def test_item_popularity_counts_training_ratings(small):
    scorer, n_parameters = fit_baseline(ItemPopularity(), *small)

    assert scorer.score_block(np.array([0, 2])).tolist() == [[1, 2, 1, 0]] * 2
    assert n_parameters == 4


def test_item_popularity_recommends_the_most_rated_unseen_items():
    dataset = make_dataset(3, 3, [(0, 0), (0, 1), (1, 1), (2, 2), (1, 2)], [5, 4, 3, 1, 2])
    split = Split(train=np.arange(5), validation=np.arange(0))
    scorer, _ = fit_baseline(ItemPopularity(), dataset, split)

    recommended = recommend_all(scorer, dataset, split, Protocol()).recommendations

    assert lists_of(recommended, 3) == [[2], [0], [1, 0]]


def test_user_item_bias_by_hand():
    # Two pairs that share neither user nor item: mean 3, deviations +1 and -1.
    dataset = make_dataset(2, 2, [(0, 0), (1, 1)], [4, 2])
    scorer, n_parameters = fit_baseline(UserItemBias(), dataset, Split(np.arange(2), np.arange(0)))

    # b = user bias, c = item bias: 16 b + c = 1 and b + 11 c = 1, so b = 10/175 and c = 15/175.
    assert scorer.score_pairs(np.array([0, 0]), np.array([0, 1])) == pytest.approx(
        [3 + 25 / 175, 3 - 5 / 175]
    )
    assert n_parameters == 1 + 2 + 2


def test_user_item_bias_solves_the_damped_least_squares():
    dataset = random_dataset(30, 40, 300)
    split = split_ratings(dataset, Protocol())
    scorer, _ = fit_baseline(UserItemBias(), dataset, split)

    # The same problem as one dense ridge regression over 30 + 40 biases.
    rows = split.train
    design = np.zeros((len(rows), 70))
    design[np.arange(len(rows)), dataset.user_index[rows]] = 1
    design[np.arange(len(rows)), 30 + dataset.item_index[rows]] = 1
    mean = dataset.ratings[rows].mean(dtype=np.float64)
    penalty = np.diag([USER_DAMPING] * 30 + [ITEM_DAMPING] * 40)
    biases = np.linalg.solve(design.T @ design + penalty, design.T @ (dataset.ratings[rows] - mean))
    expected = mean + np.add.outer(biases[:30], biases[30:]).ravel()
    assert scorer.score_pairs(*all_pairs(30, 40)) == pytest.approx(expected, abs=1e-6)


def test_user_item_bias_is_the_mean_for_whom_nothing_is_known(small):
    scorer, _ = fit_baseline(UserItemBias(), *small)

    assert scorer.predict_ratings(np.array([2]), np.array([3])).tolist() == [13 / 4]
