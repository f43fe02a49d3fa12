"""Autoencoders: what they score, against plain NumPy; early stopping, resume, history, the smallest data."""

from dataclasses import fields, replace

import numpy as np
import pytest

from shared.datasets import split_ratings
from shared.domain.families.autoencoder import Autoencoder
from shared.domain.families.ease import Ease
from shared.domain.families.user_item_bias import UserItemBias
from shared.domain.protocol import Protocol
from shared.domain.training import TrainingConfig
from shared.domain.trial import TrialConfig
from shared.errors import TrialError
from tests.unit.family_cases import all_scores, fit_data, random_ratings
from tests.unit.ranking_cases import random_dataset
from tests.unit.test_item_item import data_of
from tests.unit.test_tower_training import MemoryStore
from worker.families import autoencoder, ease, user_item_bias
from worker.families.contract import FitContext
from worker.metrics.objective import objective_on_validation

TRAINING = TrainingConfig(optimizer="adam", learning_rate=0.01, batch_size=16, max_epochs=3, patience=3)
AUTOREC = Autoencoder(kind="autorec", size=3)
OF_USERS = [
    Autoencoder(kind="linear", size=3),
    Autoencoder(kind="linear", size=3, loss="softmax", target="ones"),
    Autoencoder(kind="dae", size=3, hidden_size=5, input="from_threshold", target="from_threshold"),
    Autoencoder(kind="mult_vae", size=3, loss="softmax", kl_epochs=2),
    Autoencoder(kind="mult_vae", size=3, hidden_size=4, dropout=0.0, kl_epochs=0, l2=0.1),
    Autoencoder(kind="linear", size=3, ease_weight=2.0, ease_l2=5.0),
]
ARCHITECTURES = [*OF_USERS, AUTOREC]


# Of the module: tests of one architecture follow each other, and share what was compiled.
@pytest.fixture(params=ARCHITECTURES, ids=lambda one: one.label, scope="module")
def architecture(request):
    return request.param


@pytest.fixture(scope="module")
def data():
    return fit_data(random_ratings(50, 30), validation=[(0, 1, 4), (3, 2, 5)])


def fit(architecture, data, training=TRAINING, **context):
    return autoencoder.fit(architecture, training, data, FitContext(**context))


def fit_scorer(architecture, data, training=TRAINING):
    fitted = fit(architecture, data, training)
    return autoencoder.make_scorer(architecture, fitted.weights, data), fitted


@pytest.mark.parametrize(
    "change", [{"size": 4}, {"l2": 1.0}, {"dropout": 0.1}, {"kind": "dae"}], ids=lambda one: next(iter(one))
)
def test_a_checkpoint_of_another_configuration_is_ignored_with_a_warning(data, change, caplog):
    store, epochs = MemoryStore(), []
    fit(OF_USERS[0], data, checkpoint=store)
    fit(
        replace(OF_USERS[0], **change),
        data,
        checkpoint=store,
        on_epoch=lambda record: epochs.append(record.epoch),
    )
    assert epochs == [1, 2, 3]
    assert "checkpoint ignored" in caplog.text


def test_learned_numbers_are_counted(architecture, data):
    fitted = fit(architecture, data)
    sizes = {name: array.size for name, array in fitted.weights.items() if not name.startswith("ease_")}
    # An EASE has a number for every pair of the 28 items that were rated.
    n_beside = 28 * 27 if architecture.ease_weight else 0
    assert fitted.n_parameters == sum(sizes.values()) + n_beside


def dense_inputs(architecture, ratings):
    """The input rows of users by hand: values, then divided by their length."""
    values = ratings / ratings.max() if architecture.input == "stars" else (ratings >= 4).astype(float)
    lengths = np.linalg.norm(values, axis=1, keepdims=True)
    return values / np.where(lengths, lengths, 1)


def test_scores_of_users_are_those_of_the_layers(architecture, data):
    if architecture == AUTOREC:
        return  # It has a test of its own.
    of_users, ratings = architecture, data.by_user.toarray()
    scorer, fitted = fit_scorer(of_users, data)
    w = fitted.weights

    code = dense_inputs(of_users, ratings)
    if of_users.hidden_size:
        code = np.tanh(code @ w["hidden_kernel"] + w["hidden_bias"])
    code = (code @ w["code_kernel"] + w["code_bias"])[:, : of_users.size]
    if of_users.kind == "dae":
        code = np.tanh(code)
    expected = code @ w["output_kernel"] + w["output_bias"]
    if of_users.ease_weight:
        beside = Ease(l2=of_users.ease_l2, user_weight=0.5, item_scaling=0.25)
        of_ease = ease.make_scorer(beside, ease.fit(beside, None, data, FitContext()).weights, data)
        expected = expected + of_users.ease_weight * all_scores(of_ease, 50)
    np.testing.assert_allclose(all_scores(scorer, 50), expected, atol=1e-5)


def test_predictions_of_autorec_are_those_of_the_layers():
    ratings = random_ratings(50, 30)
    data = fit_data(ratings)
    scorer, fitted = fit_scorer(AUTOREC, data)
    w, biases = fitted.weights, user_item_bias.fit(UserItemBias(), None, data, FitContext()).weights

    expected = biases["mean"] + biases["user_bias"][:, None] + biases["item_bias"]
    is_rated = ratings > 0
    n_ratings = is_rated.sum(axis=0)
    weights = np.sqrt(n_ratings[n_ratings > 0].mean() / np.maximum(n_ratings, 1))
    inputs = np.where(is_rated, ratings - expected, 0) * weights
    code = 1 / (1 + np.exp(-(inputs.T @ w["code_kernel"] + w["code_bias"])))
    expected += (code @ w["output_kernel"] + w["output_bias"]).T
    np.testing.assert_allclose(all_scores(scorer, 50), expected, atol=1e-5)
    assert scorer.predict_ratings(np.array([3]), np.array([4]))[0] == all_scores(scorer, 50)[3, 4]


def test_cold_users_and_items_of_autorec_have_a_defined_answer(data):
    # The last user rated nothing; nobody rated the last two items.
    scorer, fitted = fit_scorer(AUTOREC, data)
    predicted, w = all_scores(scorer, 50), fitted.weights
    np.testing.assert_allclose(predicted[-1], data.train.rating.mean() + w["item_bias"], rtol=1e-6)
    code = 1 / (1 + np.exp(-w["code_bias"]))
    outputs = code @ w["output_kernel"] + w["output_bias"]
    np.testing.assert_allclose(predicted[:, -1], outputs + w["mean"] + w["user_bias"], rtol=1e-5)


def test_squared_error_and_softmax_learn_to_rank_what_was_rated():
    # Two kinds of users, each rates items of one half; they should score the rest of it higher.
    rng = np.random.default_rng(0)
    half = np.arange(80) % 2
    ratings = (rng.random((80, 20)) < 0.5) * (half[:, None] == np.arange(20) // 10) * 4.0
    for of_users in OF_USERS[:3]:
        scorer, _ = fit_scorer(of_users, fit_data(ratings), replace(TRAINING, max_epochs=40))
        scores = all_scores(scorer, 80)
        unrated = ratings == 0
        own = half[:, None] == np.arange(20) // 10
        assert scores[unrated & own].mean() > scores[unrated & ~own].mean()
        assert (scores.argmax(axis=1) // 10 == half).mean() > 0.95


def test_autorec_predicts_better_than_the_mean():
    rng = np.random.default_rng(0)
    taste = rng.normal(size=(60, 1)) * rng.normal(size=(1, 40))
    full = np.clip(np.round(3 + 1.2 * taste), 1, 5)
    is_train = rng.random(full.shape) < 0.6
    user, item = np.nonzero(~is_train)
    held_out = np.column_stack([user, item, full[user, item]])
    of_items = fit_data(full * is_train, validation=held_out)
    fitted = fit(AUTOREC, of_items, replace(TRAINING, max_epochs=60, patience=10))
    assert fitted.val_rmse < 0.8 * full[~is_train].std()
    scorer = autoencoder.make_scorer(AUTOREC, fitted.weights, of_items)
    error = scorer.predict_ratings(user, item) - full[user, item]
    assert fitted.val_rmse == pytest.approx(np.sqrt((error**2).mean()), rel=1e-9)


@pytest.mark.parametrize("of_users", [OF_USERS[0], OF_USERS[-1]], ids=lambda one: one.label)
def test_training_stops_by_the_objective_and_keeps_its_best_epoch(of_users):
    dataset = random_dataset(60, 150, 1500)
    protocol = Protocol(objective="ndcg")
    split = split_ratings(dataset, protocol)
    patient = replace(TRAINING, max_epochs=30, patience=2)
    objective_of = objective_on_validation(dataset, split, protocol, predicts_ratings=False)

    fitted = fit(of_users, data_of(dataset, split), patient, objective_of=objective_of)

    values = [record.objective for record in fitted.epochs]
    assert fitted.best_epoch == values.index(max(values)) + 1
    assert len(values) == min(fitted.best_epoch + 2, 30)
    scorer = autoencoder.make_scorer(of_users, fitted.weights, data_of(dataset, split))
    assert objective_of(scorer) == max(values)


def test_a_loss_that_is_not_finite_ends_the_trial(data):
    wild = TrainingConfig(optimizer="sgd", learning_rate=1e12, batch_size=16, max_epochs=9)
    with pytest.raises(TrialError) as failure:
        fit(Autoencoder(kind="linear", size=3, dropout=0.0), data, wild)
    assert failure.value.reason == "not_finite_loss"


def test_settings_without_a_meaning_make_no_other_trial():
    plain = TrialConfig(Autoencoder(kind="autorec"), TRAINING)
    for name, value in {"loss": "softmax", "ease_weight": 1.0, "input": "ones", "hidden_size": 9}.items():
        same = TrialConfig(Autoencoder(kind="autorec", **{name: value}), TRAINING)
        assert (same, same.config_hash) == (plain, plain.config_hash)
    assert Autoencoder(kind="linear", hidden_size=9, kl_weight=1.0) == Autoencoder(kind="linear")
    assert Autoencoder(loss="softmax", zero_weight=0.5) == Autoencoder(loss="softmax")
    assert Autoencoder(kind="mult_vae", hidden_size=9, kl_weight=1.0).kl_weight == 1.0


def test_it_is_trained_by_default_as_suits_batches_of_users():
    config = TrialConfig(Autoencoder(), Autoencoder.default_training)
    assert config.label == "autoencoder"
    assert config.training.optimizer == "adam"
    changed = TrialConfig(Autoencoder(kind="linear"), replace(Autoencoder.default_training, batch_size=64))
    assert changed.label == "autoencoder_linear_batch64"
    assert {field.name for field in fields(Autoencoder)} >= {"kind", "size", "loss"}
