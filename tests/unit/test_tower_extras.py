"""What a tower of 0.1 did not have: biases, l2, dropout, and losses that know the unrated."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from shared.domain.families.tower import Tower
from shared.domain.training import TrainingConfig
from shared.domain.trial import TrialConfig
from tests.unit.family_cases import all_scores, fit_data, random_ratings
from tests.unit.test_tower_training import MemoryStore
from worker.families import tower
from worker.families.contract import FitContext
from worker.families.registry import pack_model
from worker.families.tower.model import build_model, load_model
from worker.families.tower.scorer import weights_scorer
from worker.families.tower.weights import from_named

# Keras 3.15 reads variables in a way that NumPy 2 deprecates.
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"
)

N_USERS, N_ITEMS = 30, 20
TRAINING = TrainingConfig(optimizer="adam", learning_rate=0.02, batch_size=16, max_epochs=4, patience=4)
PLAIN = Tower("multiply", 4, (1,))
LOSSES = ("squared_error_with_zeros", "bce", "bpr")

_EXTRAS = st.fixed_dictionaries(
    {
        "biases": st.booleans(),
        "l2": st.sampled_from([0.0, 0.01, 0.5]),
        "dropout": st.sampled_from([0.0, 0.25]),
        "loss": st.sampled_from(["squared_error", *LOSSES]),
        "n_negatives": st.sampled_from([1, 4, 8]),
        "zero_weight": st.sampled_from([0.5, 1.0]),
        "target": st.sampled_from(["stars", "ones", "from_threshold"]),
    }
)


def make_data():
    rng = np.random.default_rng(1)
    ratings = random_ratings(N_USERS, N_ITEMS)
    ratings[:, N_ITEMS - 3] = 0
    validation = [(user, N_ITEMS - 3, rng.integers(1, 6)) for user in range(N_USERS - 1)]
    return fit_data(ratings, validation=validation)


def fit(architecture, training=TRAINING, **context):
    return tower.fit(architecture, training, make_data(), FitContext(**context))


@given(_EXTRAS, _EXTRAS)
def test_labels_are_equal_exactly_when_configurations_are(first, second):
    one, other = (TrialConfig(replace(PLAIN, **extras), TrainingConfig()) for extras in (first, second))
    assert (one.label == other.label) == (one == other) == (one.config_hash == other.config_hash)


def test_what_a_loss_does_not_look_at_is_no_part_of_a_configuration():
    assert replace(PLAIN, n_negatives=9, zero_weight=3.0, target="ones") == PLAIN
    assert replace(PLAIN, loss="bpr", zero_weight=3.0) == replace(PLAIN, loss="bpr")
    assert replace(PLAIN, loss="bce", zero_weight=3.0) != replace(PLAIN, loss="bce")


def test_the_label_tells_what_is_not_as_in_version_0_1():
    architecture = replace(PLAIN, biases=True, l2=0.02, loss="bce", n_negatives=5)
    assert architecture.label == "multiply_4_1_biases-true_l2-0.02_bce_nnegatives-5"


def test_softmax_is_refused_with_what_to_take_instead():
    with pytest.raises(ValidationError, match="this family learns from pairs: take bpr or"):
        Tower("multiply", 4, (1,), loss="softmax")


@pytest.mark.parametrize("loss", LOSSES)
def test_a_loss_that_knows_the_unrated_falls_and_its_score_is_no_rating(loss):
    architecture = replace(PLAIN, loss=loss, biases=True)
    fitted = fit(architecture, replace(TRAINING, max_epochs=8, patience=8))

    assert fitted.epochs[-1].loss < fitted.epochs[0].loss
    assert not architecture.predicts_ratings
    assert fitted.val_rmse is None
    scorer = tower.make_scorer(architecture, fitted.weights, make_data())
    assert not scorer.predicts_ratings
    with pytest.raises(NotImplementedError, match="they are no ratings"):
        scorer.predict_ratings(np.array([0]), np.array([0]))


def test_rated_items_score_above_unrated_ones():
    data = make_data()
    for loss in LOSSES:
        architecture = replace(PLAIN, loss=loss, biases=True, target="ones")
        fitted = fit(architecture, replace(TRAINING, max_epochs=30, patience=30))
        scores = all_scores(tower.make_scorer(architecture, fitted.weights, data), N_USERS)
        is_rated = data.by_user.toarray() > 0
        assert scores[is_rated].mean() > scores[~is_rated].mean() + 0.05


@pytest.mark.parametrize(
    "extras",
    [
        {"loss": "bpr", "dropout": 0.2, "l2": 0.01, "biases": True},
        {"loss": "squared_error", "dropout": 0.2, "l2": 0.01, "biases": True},
    ],
    ids=["draws", "rated pairs"],
)
def test_the_seed_decides_and_resume_after_any_epoch_ends_bit_equal(extras):
    architecture, store = replace(PLAIN, **extras), MemoryStore()
    whole = fit(architecture, checkpoint=store)
    assert len(store.contents) == 4

    for content in (None, store.contents[0], store.contents[2]):
        again = fit(architecture, checkpoint=MemoryStore(content))
        assert [one.loss for one in again.epochs] == [one.loss for one in whole.epochs]
        for name, array in whole.weights.items():
            np.testing.assert_array_equal(array, again.weights[name])
    other = fit(architecture, replace(TRAINING, random_seed=5))
    assert [one.loss for one in other.epochs] != [one.loss for one in whole.epochs]


def test_the_objective_of_lists_chooses_the_epoch_of_any_loss():
    values = iter([0.2, 0.3, 0.1, 0.25])
    fitted = fit(PLAIN, replace(TRAINING, patience=2), objective_of=lambda scorer: next(values))
    assert (fitted.best_epoch, len(fitted.epochs)) == (2, 4)


def test_an_objective_of_ratings_leaves_the_choice_to_the_loss():
    def refuse(scorer):
        raise AssertionError("it is not asked")

    fitted = fit(PLAIN, objective_of=refuse, is_larger_better=False)
    assert fitted.val_loss == min(one.val_loss for one in fitted.epochs)


@pytest.mark.parametrize("activation", ["linear", "relu"])
@pytest.mark.parametrize("merge", ["concatenate", "multiply", "average", "dot"])
def test_biases_are_added_alike_by_keras_by_the_file_and_by_the_scorer(merge, activation, tmp_path):
    architecture = Tower(merge, 4, (3, 1), activation, biases=True)
    model = build_model(architecture, N_USERS, N_ITEMS + 2, random_seed=1)
    without = build_model(replace(architecture, biases=False), N_USERS, N_ITEMS + 2, random_seed=1)
    rng = np.random.default_rng(0)
    biases = {"user_bias": rng.normal(size=(N_USERS, 1)), "item_bias": rng.normal(size=(N_ITEMS + 2, 1))}
    model.set_weights(replace(model.weights(), **{name: b.astype("f") for name, b in biases.items()}))
    model.save(tmp_path / "model.keras")
    pairs = np.repeat(np.arange(N_USERS), N_ITEMS), np.tile(np.arange(N_ITEMS), N_USERS)
    inputs = [one[:, None] for one in pairs]
    expected = without.serving(inputs).numpy()[:, 0]
    expected = expected + biases["user_bias"][pairs[0], 0] + biases["item_bias"][pairs[1], 0]

    assert model.n_parameters == without.n_parameters + N_USERS + N_ITEMS + 2
    np.testing.assert_allclose(model.serving(inputs)[:, 0], expected, atol=1e-5)
    np.testing.assert_allclose(load_model(tmp_path / "model.keras")(inputs)[:, 0], expected, atol=1e-5)
    scorer = weights_scorer(architecture, model.weights(), N_ITEMS)
    np.testing.assert_allclose(scorer.score_pairs(*pairs), expected, atol=1e-5)
    exact = scorer.score_pairs(*pairs).reshape(N_USERS, N_ITEMS)
    users = np.arange(N_USERS)
    bound = scorer.error_bound(users)[:, None]
    assert (np.abs(scorer.score_block(users) - exact) <= bound).all()
    assert (bound < 1e-3).all()


def test_biases_begin_at_the_mean_rating_and_predict_what_was_recorded():
    data = make_data()
    architecture = replace(PLAIN, biases=True, l2=0.001)
    untrained = fit(architecture, replace(TRAINING, learning_rate=1e-30, max_epochs=1))
    fitted = fit(architecture)

    # Products of rows within ±0.05 are nothing beside the mean.
    scores = all_scores(tower.make_scorer(architecture, untrained.weights, data), N_USERS)
    np.testing.assert_allclose(scores, data.train.rating.mean(), atol=0.02)
    scorer = tower.make_scorer(architecture, fitted.weights, data)
    predicted = scorer.predict_ratings(data.validation.user_index, data.validation.item_index)
    rmse = np.sqrt(np.mean((predicted - data.validation.rating) ** 2))
    assert rmse == pytest.approx(fitted.val_rmse, rel=1e-5)


def test_the_saved_model_is_read_back_with_its_biases_and_opens_without_our_code(tmp_path):
    architecture = replace(PLAIN, biases=True, dropout=0.25)
    fitted = fit(architecture, replace(TRAINING, max_epochs=1))
    (tmp_path / "model.keras").write_bytes(pack_model(tower, fitted))
    read = tower.read_model(pack_model(tower, fitted))

    assert read.keys() == fitted.weights.keys()
    for name, array in read.items():
        np.testing.assert_array_equal(array, fitted.weights[name])
    code = (
        "import keras, numpy as np; model = keras.models.load_model('model.keras', safe_mode=True);"
        "print(model([np.array([[3]]), np.array([[5]])]).numpy()[0, 0])"
    )
    shown = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=120
    )
    scorer = weights_scorer(architecture, from_named(read), N_ITEMS)
    assert float(shown.stdout) == pytest.approx(scorer.score_pairs(np.array([3]), np.array([5]))[0], abs=1e-5)


def test_without_validation_the_last_epoch_is_kept():
    data = replace(make_data(), validation=fit_data([[1]]).validation)
    fitted = tower.fit(PLAIN, replace(TRAINING, patience=1), data, FitContext())
    assert fitted.best_epoch == len(fitted.epochs) == 4
