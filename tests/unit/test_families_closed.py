"""What families without epochs have in common; and the two baselines by hand."""

import importlib

import numpy as np
import pytest

from shared.datasets import split_ratings
from shared.domain.families.ease import Ease
from shared.domain.families.item_knn import ItemKnn
from shared.domain.families.item_popularity import ItemPopularity
from shared.domain.families.user_item_bias import UserItemBias
from shared.domain.families.weighted_als import WeightedAls
from shared.domain.protocol import Protocol
from tests.unit.family_cases import all_scores, as_saved, fit_data, random_ratings
from tests.unit.ranking_cases import brute_force, lists_of, random_dataset
from tests.unit.test_item_item import data_of
from worker.families.contract import FitContext
from worker.families.user_item_bias import ITEM_DAMPING, USER_DAMPING
from worker.ranking.scorers import exact_scores
from worker.ranking.top_k import recommend_all

ARCHITECTURES = [
    Ease(l2=5),
    Ease(l2=5, input="from_threshold", user_weight=0.5, item_scaling=0.25, dropout=0.1),
    ItemKnn(neighbours=5),
    WeightedAls(size=4),
    WeightedAls(size=4, target="from_threshold"),
    ItemPopularity(),
    UserItemBias(),
]


class StoppedError(Exception):
    pass


def module_of(architecture):
    return importlib.import_module(f"worker.families.{architecture.family}")


def fit_scorer(architecture, data):
    module = module_of(architecture)
    fitted = module.fit(architecture, None, data, FitContext())
    return module.make_scorer(architecture, fitted.weights, data), fitted


@pytest.fixture(params=ARCHITECTURES, ids=str)
def architecture(request):
    return request.param


def test_fits_are_the_same_again(architecture):
    data = fit_data(random_ratings(50, 30))
    first, again = (fit_scorer(architecture, data)[1] for _ in range(2))

    assert first.n_parameters == again.n_parameters
    for name, array in first.weights.items():
        np.testing.assert_array_equal(array, again.weights[name])


def test_saved_weights_score_alike(architecture):
    data = fit_data(random_ratings(50, 30))
    scorer, fitted = fit_scorer(architecture, data)

    loaded = module_of(architecture).make_scorer(architecture, as_saved(fitted.weights), data)

    np.testing.assert_array_equal(all_scores(loaded, 50), all_scores(scorer, 50))
    np.testing.assert_array_equal(loaded.score_block(np.arange(50)), scorer.score_block(np.arange(50)))


def test_a_fit_stops_when_it_is_told(architecture):
    if architecture == ItemPopularity():
        return  # One count, over before anybody could ask.

    def stop():
        raise StoppedError

    data = fit_data(random_ratings(50, 30))
    with pytest.raises(StoppedError):
        module_of(architecture).fit(architecture, None, data, FitContext(check_stop=stop))


def test_lists_equal_brute_force(architecture):
    dataset = random_dataset(60, 150, 1500)
    split = split_ratings(dataset, Protocol())
    scorer, _ = fit_scorer(architecture, data_of(dataset, split))
    scores = exact_scores(scorer, np.repeat(np.arange(60), 150), np.tile(np.arange(150), 60))

    recommended = recommend_all(scorer, dataset, split, Protocol()).recommendations

    expected = brute_force(scores.reshape(60, 150), dataset, split, Protocol())
    assert lists_of(recommended, 60) == expected


def test_cold_users_and_items_have_a_defined_score(architecture):
    scores = all_scores(fit_scorer(architecture, fit_data(random_ratings(50, 30)))[0], 50)

    assert np.isfinite(scores).all()
    if architecture.family in ("ease", "item_knn", "weighted_als"):
        assert (scores[-1] == 0).all()
        assert (scores[:, -2:] == 0).all()
        assert (scores[:-1, :-2] != 0).any()


@pytest.mark.parametrize(
    "ratings", [[[4]], [[3]], [[5, 5, 5]], [[2], [2]], np.full((5, 4), 3), np.eye(4) * 5, [[0, 0], [0, 3]]]
)
def test_the_smallest_data_can_be_fitted_and_ranked(architecture, ratings):
    data = fit_data(ratings)

    scorer, _ = fit_scorer(architecture, data)

    scores = scorer.score_block(np.arange(data.n_users))
    assert scores.shape == (data.n_users, data.n_items)
    assert np.isfinite(scores).all()
    errors = np.abs(scores - all_scores(scorer, data.n_users)).max(axis=1)
    assert (errors <= scorer.error_bound(np.arange(data.n_users))).all()


def test_a_scorer_predicts_ratings_where_the_family_says_so(architecture):
    scorer, _ = fit_scorer(architecture, fit_data(random_ratings(20, 10)))

    assert scorer.predicts_ratings == architecture.predicts_ratings
    if not scorer.predicts_ratings:
        with pytest.raises(NotImplementedError):
            scorer.predict_ratings(np.array([0]), np.array([0]))


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
