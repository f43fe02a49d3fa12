"""Neural matrix factorisation: what it learns, its scorer, features, cold rows, resume and stop."""

import json
from dataclasses import replace

import numpy as np
import pytest

from shared.datasets import split_ratings
from shared.domain.families.neural_mf import NeuralMf
from shared.domain.protocol import Protocol
from shared.domain.training import TrainingConfig
from shared.domain.trial import TrialConfig, parse_trial_config
from shared.errors import TrialError
from tests.unit.family_cases import all_scores, fit_data, random_ratings
from tests.unit.ranking_cases import brute_force, lists_of, random_dataset
from tests.unit.test_item_item import data_of
from tests.unit.test_tower_training import MemoryStore
from worker.families import neural_mf
from worker.families.contract import FitContext
from worker.families.registry import pack_model, read_model
from worker.ranking.scorers import exact_scores
from worker.ranking.top_k import recommend_all

# Keras 3.15 reads variables in a way that NumPy 2 deprecates.
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"
)

N_USERS, N_ITEMS = 30, 20
SMALL = NeuralMf(size=4, input_size=3, dense_layers=(5, 1), n_negatives=2)
TRAINING = TrainingConfig(optimizer="adam", learning_rate=0.02, batch_size=16, max_epochs=3, patience=3)
LOSSES = ("squared_error", "squared_error_with_zeros", "bce", "bpr")


class StoppedError(Exception):
    pass


def make_data(seed=0):
    rng = np.random.default_rng(seed)
    validation = [(user, N_ITEMS - 3, rng.integers(1, 6)) for user in range(N_USERS - 1)]
    ratings = random_ratings(N_USERS, N_ITEMS, seed=seed)
    ratings[:, N_ITEMS - 3] = 0
    return replace(
        fit_data(ratings, validation=validation),
        user_features=rng.integers(0, 2, (N_USERS, 3)).astype(np.float32),
        item_features=rng.integers(0, 2, (N_ITEMS, 2)).astype(np.float32),
    )


def fit(architecture=SMALL, training=TRAINING, data=None, **context):
    return neural_mf.fit(architecture, training, data or make_data(), FitContext(**context))


def scores_of(architecture, weights, data=None):
    scorer = neural_mf.make_scorer(architecture, weights, data or make_data())
    return all_scores(scorer, len(weights["user_bias"]))


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_falls_and_tells_whether_a_score_is_a_rating(loss):
    architecture = replace(SMALL, loss=loss)
    fitted = fit(architecture, replace(TRAINING, max_epochs=6, patience=6))

    assert fitted.epochs[-1].loss < fitted.epochs[0].loss
    predicts = loss == "squared_error"
    assert architecture.predicts_ratings == predicts
    assert (fitted.val_rmse is not None) == predicts
    scorer = neural_mf.make_scorer(architecture, fitted.weights, make_data())
    assert scorer.predicts_ratings == predicts
    if predicts:
        data = make_data().validation
        predicted = scorer.predict_ratings(data.user_index, data.item_index)
        # The engine sums in float32.
        assert np.sqrt(np.mean((predicted - data.rating) ** 2)) == pytest.approx(fitted.val_rmse, rel=1e-5)
    else:
        with pytest.raises(NotImplementedError, match="they are no ratings"):
            scorer.predict_ratings(np.array([0]), np.array([0]))


def test_scores_are_the_dot_product_the_layers_and_the_biases():
    rng = np.random.default_rng(3)
    shapes = {
        **{f"user_{name}": (N_USERS, width) for name, width in (("vectors", 4), ("inputs", 3), ("bias", 1))},
        **{f"item_{name}": (N_ITEMS, width) for name, width in (("vectors", 4), ("inputs", 3), ("bias", 1))},
        **{"kernel_1": (6, 5), "bias_1": (5,), "kernel_2": (5, 1), "bias_2": (1,)},
    }
    weights = {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    wide = {name: array.astype(np.float64) for name, array in weights.items()}
    pairs = np.concatenate(
        [
            np.repeat(wide["user_inputs"], N_ITEMS, axis=0),
            np.tile(wide["item_inputs"], (N_USERS, 1)),
        ],
        axis=1,
    )
    layers = np.maximum(pairs @ wide["kernel_1"] + wide["bias_1"], 0) @ wide["kernel_2"] + wide["bias_2"]
    expected = wide["user_vectors"] @ wide["item_vectors"].T + layers.reshape(N_USERS, N_ITEMS)
    expected += wide["user_bias"] + wide["item_bias"].T

    scorer = neural_mf.make_scorer(SMALL, weights, make_data())

    np.testing.assert_allclose(all_scores(scorer, N_USERS), expected, rtol=1e-12)
    errors = np.abs(scorer.score_block(np.arange(N_USERS)) - expected)
    bound = scorer.error_bound(np.arange(N_USERS))[:, None]
    assert (errors <= bound).all()
    # A bound that is far too large would score everything twice.
    assert (bound < 1e-3).all()
    assert (np.abs(expected) <= scorer.largest_score(np.arange(N_USERS))[:, None]).all()


@pytest.mark.parametrize("dense_layers", [(5, 1), (1,)])
def test_lists_equal_brute_force(dense_layers):
    dataset = random_dataset(40, 90, 700)
    split = split_ratings(dataset, Protocol())
    architecture = replace(SMALL, dense_layers=dense_layers)
    data = data_of(dataset, split)
    scorer = neural_mf.make_scorer(architecture, fit(architecture, data=data).weights, data)
    scores = exact_scores(scorer, np.repeat(np.arange(40), 90), np.tile(np.arange(90), 40)).reshape(40, 90)

    for options in ({}, {"block_scores": 3 * 90, "n_threads": 3}):
        recommended = recommend_all(scorer, dataset, split, Protocol(), **options).recommendations
        assert lists_of(recommended, 40) == brute_force(scores, dataset, split, Protocol())


def assert_same(first, second):
    assert [(one.loss, one.val_loss, one.objective) for one in first.epochs] == [
        (one.loss, one.val_loss, one.objective) for one in second.epochs
    ]
    assert first.weights.keys() == second.weights.keys()
    for name, array in first.weights.items():
        np.testing.assert_array_equal(array, second.weights[name])


def test_the_seed_decides_and_saved_weights_score_alike():
    first, again, other = (fit(training=replace(TRAINING, random_seed=seed)) for seed in (1, 1, 2))

    assert_same(first, again)
    assert (first.weights["user_vectors"] != other.weights["user_vectors"]).any()
    np.testing.assert_array_equal(
        scores_of(SMALL, read_model(neural_mf, pack_model(neural_mf, first))), scores_of(SMALL, first.weights)
    )


@pytest.mark.parametrize(
    "architecture", [replace(SMALL, dropout=0.3, l2=0.01), replace(SMALL, loss="squared_error")], ids=str
)
def test_resume_after_any_epoch_ends_bit_equal(architecture):
    store = MemoryStore()
    whole = fit(architecture, checkpoint=store)
    assert len(store.contents) == 3

    for content in store.contents[:2]:
        assert_same(fit(architecture, checkpoint=MemoryStore(content)), whole)


def test_a_checkpoint_of_other_features_is_ignored(caplog):
    store = MemoryStore()
    fit(training=replace(TRAINING, max_epochs=1), checkpoint=store)
    data = make_data()
    fit(
        training=replace(TRAINING, max_epochs=1),
        data=replace(data, user_features=1 - data.user_features),
        checkpoint=store,
    )
    assert "checkpoint ignored" in caplog.text


def test_the_objective_of_lists_chooses_the_epoch_and_stops():
    values = iter([0.1, 0.3, 0.2, 0.25, 0.29, 0.4])
    fitted = fit(
        training=replace(TRAINING, max_epochs=6, patience=2), objective_of=lambda scorer: next(values)
    )
    assert [one.objective for one in fitted.epochs] == [0.1, 0.3, 0.2, 0.25]
    assert fitted.best_epoch == 2


def test_an_objective_of_ratings_leaves_the_choice_to_the_loss():
    def refuse(scorer):
        raise AssertionError("it is not asked")

    fitted = fit(replace(SMALL, loss="squared_error"), objective_of=refuse, is_larger_better=False)
    assert fitted.val_loss == min(one.val_loss for one in fitted.epochs)


def test_check_stop_stops_within_an_epoch():
    def stop():
        raise StoppedError

    with pytest.raises(StoppedError):
        fit(check_stop=stop, on_epoch=lambda _: pytest.fail("an epoch has passed"))


def test_features_alone_score_users_and_items_without_ratings():
    # Who has the feature rates what has it with 5 and the rest with 1; the last user rated nothing.
    is_fan, is_loved = np.arange(N_USERS) % 2, np.arange(N_ITEMS) % 2
    ratings = np.where(is_fan[:, None] == is_loved, 5, 1).astype(np.float32)
    ratings[-2:] = 0
    ratings[:, -2:] = 0
    data = replace(
        fit_data(ratings),
        user_features=np.eye(2, dtype=np.float32)[is_fan],
        item_features=np.eye(2, dtype=np.float32)[is_loved],
    )
    architecture = replace(SMALL, loss="squared_error")
    training = replace(TRAINING, max_epochs=40)
    scores = scores_of(architecture, fit(architecture, training, data).weights, data)
    # On the right side of the mean, 3, of what is true of them, 5 and 1.
    assert (np.sign(scores[-2:, -2:] - 3) == [[1, -1], [-1, 1]]).all()
    assert (np.abs(scores[-2:, -2:] - 3) > 0.5).all()

    blind = replace(architecture, side_information=False)
    without = scores_of(blind, fit(blind, training, data).weights, data)
    # Nothing tells the two users, nor the two items, apart.
    np.testing.assert_allclose(without[-2:, -2:], without[-1, -1])


def test_data_without_features_are_learned_from_too():
    data = replace(make_data(), user_features=None, item_features=None)
    fitted = fit(data=data)
    assert np.isfinite(scores_of(SMALL, fitted.weights, data)).all()
    # Rows of size 4, 3 and 1; dense 6·5 + 5 + 5·1 + 1.
    assert fitted.n_parameters == (N_USERS + N_ITEMS) * 8 + 41
    # With features: 3 and 2 of them, a row of 8 each.
    assert fit().n_parameters == fitted.n_parameters + 5 * 8


def test_without_validation_every_epoch_is_trained_and_the_last_kept():
    data = replace(make_data(), validation=fit_data([[1]], validation=()).validation)
    fitted = fit(training=replace(TRAINING, patience=1), data=data)
    assert fitted.best_epoch == len(fitted.epochs) == 3
    assert fitted.val_loss is None


@pytest.mark.parametrize("loss", ["squared_error", "bpr"])
@pytest.mark.parametrize("ratings", [[[4]], [[5, 5, 5]], np.full((5, 4), 4)], ids=str)
def test_the_smallest_data_can_be_fitted_and_ranked(ratings, loss):
    data = fit_data(ratings)
    architecture = replace(SMALL, loss=loss)
    scorer = neural_mf.make_scorer(architecture, fit(architecture, data=data).weights, data)
    assert np.isfinite(scorer.score_block(np.arange(data.n_users))).all()


def test_nothing_to_learn_from_is_told_in_a_line():
    with pytest.raises(TrialError, match="training needs a rating to learn from") as failure:
        fit(replace(SMALL, target="from_threshold"), data=fit_data([[3, 3], [1, 2]], threshold=4.0))
    assert failure.value.reason == "dataset"


def test_weights_that_are_not_finite_rank_nothing():
    weights = {**fit().weights}
    weights["item_bias"] = np.full_like(weights["item_bias"], np.nan)
    with pytest.raises(TrialError, match="all weights must be finite"):
        neural_mf.make_scorer(SMALL, weights, make_data())


def test_a_configuration_is_known_by_what_has_a_meaning():
    bpr = TrialConfig(replace(SMALL, loss="bpr", zero_weight=3.0), NeuralMf.default_training)
    assert bpr == TrialConfig(replace(SMALL, loss="bpr"), NeuralMf.default_training)
    rated = replace(SMALL, loss="squared_error", n_negatives=9, target="ones")
    assert rated == replace(SMALL, loss="squared_error")
    assert replace(SMALL, dense_layers=(1,)) == replace(SMALL, dense_layers=(1,), activation="tanh")
    assert parse_trial_config(json.loads(json.dumps(bpr.canonical))) == bpr
    assert TrialConfig(NeuralMf(), NeuralMf.default_training).label == "neural_mf"
    assert bpr.label == "neural_mf_size-4_inputsize-3_denselayers-5-1_bpr_nnegatives-2"
