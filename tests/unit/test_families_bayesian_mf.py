"""Bayesian matrix factorisation: what it predicts. Its conditionals have tests of their own."""

import math
from dataclasses import replace

import numpy as np
import pytest
from pydantic import ValidationError

from shared.domain.families.bayesian_mf import BayesianMf
from tests.contract.fits import Checkpoints, StoppedError
from tests.unit.ranking_cases import all_pairs
from worker.families.bayesian_mf import fit, make_scorer
from worker.families.contract import FitContext, FitData
from worker.observations import Observations

SMALL = BayesianMf(size=3, sweeps=12, burn_in=3)


def observations(user_index, item_index, rating):
    return Observations(
        np.array(user_index, np.int32), np.array(item_index, np.int32), np.array(rating, np.float32)
    )


def fit_data(n_users, n_items, train, validation=((), (), ()), **features):
    train = observations(*train)
    ratings = train.rating.tolist()
    return FitData(
        n_users,
        n_items,
        train,
        observations(*validation),
        rating_range=(min(ratings), max(ratings)),
        relevance_threshold=4.0,
        **features,
    )


def random_data(n_users=20, n_items=15, n_ratings=150, seed=0, scale=lambda stars: stars):
    """The last user and the last two items have no training rating. Items have a flag and a year."""
    random = np.random.default_rng(seed)
    places = random.choice((n_users - 1) * (n_items - 2), n_ratings + 20, replace=False)
    users, items = np.divmod(places, n_items - 2)
    taste = random.normal(size=(n_users, 2)) @ random.normal(size=(2, n_items))
    ratings = scale(np.clip(np.round(3 + taste[users, items]), 1, 5))
    features = np.stack([random.integers(0, 2, n_items), random.uniform(1930, 2000, n_items)], axis=1)
    train, validation = slice(None, n_ratings), slice(n_ratings, None)
    return fit_data(
        n_users,
        n_items,
        (users[train], items[train], ratings[train]),
        (users[validation], items[validation], ratings[validation]),
        item_features=features.astype(np.float32),
    )


def predict_all(architecture, data, fitted):
    scorer = make_scorer(architecture, fitted.weights, data)
    pairs = all_pairs(data.n_users, data.n_items)
    return scorer.predict_ratings(*pairs).reshape(data.n_users, data.n_items)


def test_checkpoints_are_rare():
    store = Checkpoints()
    fit(SMALL, None, random_data(), FitContext(checkpoint=store))
    # All sweeps together take a fraction of ten seconds.
    assert store.contents == []


def test_a_chain_stops_when_it_is_told_to():
    n_looks = 0

    def check_stop():
        nonlocal n_looks
        n_looks += 1
        if n_looks == 20:
            raise StoppedError

    n_sweeps = []
    with pytest.raises(StoppedError):
        fit(SMALL, None, random_data(), FitContext(check_stop=check_stop, on_epoch=n_sweeps.append))
    # It looks several times a sweep.
    assert 0 < len(n_sweeps) < 10


def test_records_follow_the_mean_that_is_served():
    data, records = random_data(), []
    fitted = fit(SMALL, None, data, FitContext(on_epoch=records.append))
    validation = data.validation
    scorer = make_scorer(SMALL, fitted.weights, data)
    error = scorer.predict_ratings(validation.user_index, validation.item_index) - validation.rating

    assert [record.epoch for record in records] == list(range(1, 13))
    # Six sizes are kept, here more than there are items: nothing is cut.
    assert records[-1].val_rmse == pytest.approx(math.sqrt((error**2).mean()), abs=1e-5)
    assert records[-1].val_loss == pytest.approx(records[-1].val_rmse ** 2)
    assert fitted.epochs == ()


def test_validation_ratings_are_only_looked_at():
    data = random_data()
    other = FitData(
        data.n_users,
        data.n_items,
        data.train,
        observations([], [], []),
        data.rating_range,
        4.0,
        item_features=data.item_features,
    )
    records = []
    with_validation = fit(SMALL, None, data, FitContext())
    without = fit(SMALL, None, other, FitContext(on_epoch=records.append))

    for name, array in with_validation.weights.items():
        np.testing.assert_array_equal(array, without.weights[name])
    assert (records[-1].val_loss, records[-1].val_rmse) == (None, None)


def test_predictions_beat_the_mean_where_there_is_something_to_learn():
    data = random_data(60, 40, 1200)
    architecture = BayesianMf(size=4, sweeps=60, burn_in=15)
    predictions = predict_all(architecture, data, fit(architecture, None, data, FitContext()))
    validation = data.validation
    error = predictions[validation.user_index, validation.item_index] - validation.rating
    mean_error = data.train.rating.mean() - validation.rating

    assert math.sqrt((error**2).mean()) < 0.7 * math.sqrt((mean_error**2).mean())


@pytest.mark.parametrize("scale", [lambda stars: stars / 2, lambda stars: 5 * stars - 15])
def test_ratings_on_another_scale_give_the_same_predictions_on_that_scale(scale):
    data, scaled = random_data(), random_data(scale=scale)
    expected, predictions = (predict_all(SMALL, d, fit(SMALL, None, d, FitContext())) for d in (data, scaled))

    np.testing.assert_allclose(predictions, scale(expected), atol=0.02)


@pytest.mark.parametrize("is_implicit", [False, True])
def test_users_and_items_without_ratings_get_the_population_mean(is_implicit):
    random = np.random.default_rng(8)
    users, items = np.divmod(random.choice(400, 300, replace=False), 20)
    # Every user of the 20 rates 4 on average, user 20 and item 20 are unknown.
    ratings = 4 + random.choice([-1, 1], 300)
    data = fit_data(21, 21, (users, items, ratings))
    architecture = BayesianMf(
        size=2, sweeps=80, burn_in=20, implicit_items=is_implicit, implicit_users=is_implicit
    )
    predictions = predict_all(architecture, data, fit(architecture, None, data, FitContext()))

    assert predictions[20, 20] == pytest.approx(ratings.mean(), abs=0.25)
    # Nothing sets the unknown user apart: its predictions are those of the average user.
    np.testing.assert_allclose(predictions[20, :20], predictions[:20, :20].mean(axis=0), atol=0.15)
    np.testing.assert_allclose(predictions[:20, 20], predictions[:20, :20].mean(axis=1), atol=0.15)


def test_features_tell_users_and_items_without_ratings_apart():
    random = np.random.default_rng(9)
    n_items = 62
    genre = np.arange(n_items) % 2
    users, items = np.divmod(random.choice(40 * 60, 1200, replace=False), 60)
    ratings = 2 + 2 * genre[items] + random.choice([-1, 0, 1], 1200)
    flags = np.stack([genre, 1 - genre], axis=1).astype(np.float32)
    data = fit_data(40, n_items, (users, items, ratings), item_features=flags)
    architecture = BayesianMf(size=2, sweeps=60, burn_in=20, feature_precision=1.0)
    fitted = fit(architecture, None, data, FitContext())
    predictions = predict_all(architecture, data, fitted).mean(axis=0)

    # Items 60 and 61 have no ratings; items of their genres are rated 2 and 4 on average.
    assert predictions[60] == pytest.approx(2, abs=0.4)
    assert predictions[61] == pytest.approx(4, abs=0.4)
    blind = BayesianMf(size=2, sweeps=60, burn_in=20, side_information=False)
    predictions = predict_all(blind, data, fit(blind, None, data, FitContext())).mean(axis=0)
    assert predictions[60] == predictions[61]


def test_features_of_users_are_used_when_they_are_asked_for_and_change_nothing_else():
    random = np.random.default_rng(9)
    trait = np.arange(42) % 2
    users, items = np.divmod(random.choice(40 * 30, 800, replace=False), 30)
    ratings = 2 + 2 * trait[users] + random.choice([-1, 0, 1], 800)
    plain = fit_data(42, 30, (users, items, ratings))
    data = replace(plain, user_features=np.stack([trait, 1 - trait], axis=1).astype(np.float32))
    architecture = BayesianMf(size=2, sweeps=60, burn_in=20, feature_precision=1.0)
    asked = replace(architecture, user_features=True)

    # Users 40 and 41 have no ratings; users of their traits rate 2 and 4 on average.
    predictions = predict_all(asked, data, fit(asked, None, data, FitContext())).mean(axis=1)
    assert predictions[40] == pytest.approx(2, abs=0.4)
    assert predictions[41] == pytest.approx(4, abs=0.4)
    # What version 0.2 stored before sources told of users stays what it is.
    same, other = (fit(architecture, None, one, FitContext()).weights for one in (plain, data))
    for name, array in same.items():
        np.testing.assert_array_equal(array, other[name])
    assert replace(asked, side_information=False) == replace(architecture, side_information=False)


@pytest.mark.parametrize(
    ("n_users", "n_items", "train"),
    [(3, 3, ([0, 1, 2, 0], [0, 1, 2, 2], [4, 4, 4, 4])), (40, 40, (*all_pairs(40, 40), np.full(1600, 2.5)))],
)
def test_ratings_that_are_all_equal_are_predicted_with_features_that_say_nothing(n_users, n_items, train):
    data = fit_data(
        n_users,
        n_items,
        train,
        user_features=np.ones((n_users, 2), np.float32),
        item_features=np.zeros((n_items, 0), np.float32),
    )
    architecture = BayesianMf(size=8, sweeps=100, burn_in=20, user_features=True)
    predictions = predict_all(architecture, data, fit(architecture, None, data, FitContext()))

    # The fewer ratings, the more the prior of the noise counts: variance 1.
    np.testing.assert_allclose(predictions, train[2][0], atol=2 / math.sqrt(len(train[2])))


def test_parameters_are_the_numbers_of_one_sample():
    fitted = fit(SMALL, None, random_data(), FitContext())
    # 19 users and 13 items with ratings, 3 factors and a bias each; coefficients of 13 items for the users,
    # of 2 features and 19 users for the items.
    assert fitted.n_parameters == (19 + 13) * 4 + (13 + 2 + 19) * 4


def test_burn_in_must_leave_sweeps_to_average():
    with pytest.raises(
        ValidationError, match="burn_in must leave sweeps to average; got burn_in 5 of sweeps 5"
    ):
        BayesianMf(sweeps=5, burn_in=5)
