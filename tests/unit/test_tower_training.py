"""Training as a whole: determinism, resume, early stopping, best weights, stop and failure."""

import logging
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from shared.domain.families.tower import Tower
from shared.domain.training import TrainingConfig
from shared.errors import TrialError
from worker.families.tower.training import TrainingData, train
from worker.observations import Observations

# Keras 3.15 reads variables in a way that NumPy 2 deprecates.
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"
)

ARCHITECTURE = Tower("multiply", 4, (3, 1))
TRAINING = TrainingConfig(optimizer="adam", learning_rate=0.01, batch_size=16, max_epochs=4, patience=4)
# The loss on validation rises again after the best epoch.
OVERFITTING = replace(TRAINING, learning_rate=0.1, max_epochs=30, patience=3)


class MemoryStore:
    """Keeps every checkpoint; loads the last one."""

    def __init__(self, content=None):
        self.contents = [content] if content is not None else []

    def load(self):
        return self.contents[-1] if self.contents else None

    def save(self, content):
        self.contents.append(content)


@pytest.fixture(scope="module")
def data():
    """Ratings with a structure to learn: user and item each add to the rating."""
    rng = np.random.default_rng(11)
    user_index, item_index = rng.integers(0, 20, 330), rng.integers(0, 15, 330)
    taste, quality = rng.normal(0, 0.7, 20), rng.normal(0, 0.7, 15)
    rating = np.clip(np.round(3 + taste[user_index] + quality[item_index]), 1, 5)
    ratings = [user_index.astype(np.int32), item_index.astype(np.int32), rating.astype(np.float32)]
    train_part, validation_part = (
        Observations(*(a[part] for a in ratings)) for part in (slice(283), slice(283, 330))
    )
    return TrainingData(20, 15, train_part, validation_part)


def run(data, architecture=ARCHITECTURE, training=TRAINING, checkpoint=None, **callbacks):
    callbacks = {"on_epoch": lambda record: None, "check_stop": lambda: None, **callbacks}
    return train(architecture, training, data, checkpoint=checkpoint, **callbacks)


def losses_of(trained):
    return [(record.epoch, record.loss, record.val_loss, record.val_rmse) for record in trained.epochs]


def assert_bit_equal(first, second):
    assert losses_of(first) == losses_of(second)
    assert first.best_epoch == second.best_epoch
    one, other = first.model.weights(), second.model.weights()
    np.testing.assert_array_equal(one.user_embedding, other.user_embedding)
    np.testing.assert_array_equal(one.item_embedding, other.item_embedding)
    for layer, same in zip(one.dense, other.dense, strict=True):
        np.testing.assert_array_equal(layer[0], same[0])
        np.testing.assert_array_equal(layer[1], same[1])


@pytest.mark.parametrize("optimizer", ["adamax", "adam", "sgd"])
def test_resume_after_any_epoch_ends_bit_equal(data, optimizer):
    training = replace(TRAINING, optimizer=optimizer)
    store = MemoryStore()
    uninterrupted = run(data, training=training, checkpoint=store)
    assert len(store.contents) == 4

    for content in store.contents:
        assert_bit_equal(run(data, training=training, checkpoint=MemoryStore(content)), uninterrupted)


def test_a_refit_learns_as_the_chosen_trial_did_and_judges_nothing(data):
    nothing = Observations(*(array[:0] for array in vars(data.validation).values()))
    chosen = run(data, training=OVERFITTING)
    assert chosen.best_epoch < len(chosen.epochs)
    # The same training part: what validation chose comes out again without it.
    refit = run(replace(data, validation=nothing), training=OVERFITTING, n_epochs=chosen.best_epoch)
    assert [record.loss for record in refit.epochs] == [
        record.loss for record in chosen.epochs[: chosen.best_epoch]
    ]
    assert (refit.best_epoch, refit.val_loss, refit.val_rmse) == (chosen.best_epoch, None, None)
    np.testing.assert_array_equal(refit.model.weights().item_embedding, chosen.model.weights().item_embedding)


def test_resume_trains_and_reports_only_the_missing_epochs(data):
    store, epochs = MemoryStore(), []
    run(data, checkpoint=store)
    resumed = run(
        data,
        checkpoint=MemoryStore(store.contents[1]),
        on_epoch=lambda record: epochs.append(record.epoch),
    )
    assert epochs == [3, 4]
    assert [record.epoch for record in resumed.epochs] == [1, 2, 3, 4]


@pytest.mark.parametrize(
    "change",
    [{"learning_rate": 0.02}, {"batch_size": 8}, {"random_seed": 1}, {"optimizer": "sgd"}, {"max_epochs": 3}],
    ids=lambda change: next(iter(change)),
)
def test_checkpoint_of_another_training_is_ignored_with_a_warning(data, change, caplog):
    store, epochs = MemoryStore(), []
    run(data, training=replace(TRAINING, max_epochs=1), checkpoint=store)
    with caplog.at_level(logging.WARNING):
        run(
            data,
            training=replace(TRAINING, **{"max_epochs": 1, **change}),
            checkpoint=store,
            on_epoch=lambda record: epochs.append(record.epoch),
        )
    assert epochs[0] == 1
    assert "checkpoint ignored" in caplog.text


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("worker.engine.checkpoint.source_fingerprint", lambda *_: "0" * 64),
        ("worker.engine.checkpoint.tf.__version__", "2.0.0"),
        ("worker.families.tower.training.keras.__version__", "2.0.0"),
    ],
)
def test_checkpoint_of_another_version_is_ignored_with_a_warning(data, monkeypatch, caplog, name, other):
    store = MemoryStore()
    run(data, training=replace(TRAINING, max_epochs=1), checkpoint=store)
    monkeypatch.setattr(name, other)
    run(data, training=replace(TRAINING, max_epochs=1), checkpoint=store)
    assert "checkpoint ignored" in caplog.text


def test_model_has_the_weights_of_the_best_epoch(data):
    trained = run(data, training=OVERFITTING)

    val_losses = [record.val_loss for record in trained.epochs]
    assert trained.best_epoch < len(val_losses)
    assert trained.val_loss == min(val_losses) == val_losses[trained.best_epoch - 1]
    validation = data.validation
    predicted = trained.model.serving([validation.user_index[:, None], validation.item_index[:, None]])
    rmse = np.sqrt(np.mean((predicted[:, 0] - validation.rating) ** 2))
    assert rmse == pytest.approx(trained.val_rmse, rel=1e-5)


def test_training_stops_when_patience_is_used_up(data):
    trained = run(data, training=OVERFITTING)
    assert len(trained.epochs) == trained.best_epoch + 3 < 30


@pytest.mark.parametrize("activation", ["linear", "relu"])
@pytest.mark.parametrize("merge", ["concatenate", "multiply", "average", "dot"])
def test_loss_metric_and_predictions_of_the_keras_models_agree(data, merge, activation):
    architecture = Tower(merge, 4, (3, 1), activation)
    trained = run(data, architecture, replace(TRAINING, optimizer="adamax", max_epochs=2))

    inputs = [data.validation.user_index[:, None], data.validation.item_index[:, None]]
    outputs, served = trained.model.training(inputs).numpy(), trained.model.serving(inputs).numpy()
    rating = data.validation.rating[:, None]
    assert np.mean((outputs - rating) ** 2) == pytest.approx(trained.val_loss, rel=1e-5)
    assert np.sqrt(np.mean((served - rating) ** 2)) == pytest.approx(trained.val_rmse, rel=1e-5)
    if merge != "dot":
        assert trained.val_rmse**2 == pytest.approx(trained.val_loss, rel=1e-9)
    assert trained.epochs[1].loss < trained.epochs[0].loss


def test_saved_model_rescores_to_the_recorded_rmse_in_a_fresh_process(data, tmp_path):
    trained = run(data, Tower("dot", 4, (3, 1)))
    trained.model.save(tmp_path / "model.keras")
    validation = data.validation
    np.savez(
        tmp_path / "validation.npz", u=validation.user_index, i=validation.item_index, r=validation.rating
    )
    code = (
        "import keras, numpy as np; v = np.load('validation.npz');"
        "model = keras.models.load_model('model.keras', safe_mode=True);"
        "predicted = model.predict([v['u'], v['i']], verbose=0)[:, 0];"
        "print(np.sqrt(np.mean((predicted - v['r']) ** 2)))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=120
    )
    assert float(result.stdout) == pytest.approx(trained.val_rmse, rel=1e-5)


@pytest.mark.parametrize("batch_size", [1, 283, 100_000])
def test_any_batch_size_trains(data, batch_size):
    trained = run(data, training=replace(TRAINING, batch_size=batch_size, max_epochs=2))
    assert trained.epochs[1].loss < trained.epochs[0].loss


@pytest.mark.parametrize("bad_rating", [np.nan, np.inf, 1e30])
def test_loss_that_is_not_finite_ends_the_trial_before_anything_is_written(data, bad_rating):
    rating = data.train.rating.copy()
    rating[7] = bad_rating
    store, epochs = MemoryStore(), []
    with pytest.raises(TrialError, match=r"loss must stay finite; it became \S+ in epoch 1") as failure:
        run(
            replace(data, train=replace(data.train, rating=rating)),
            checkpoint=store,
            on_epoch=epochs.append,
        )
    assert failure.value.reason == "not_finite_loss"
    assert not store.contents
    assert not epochs


def test_divergence_ends_the_trial(data):
    with pytest.raises(TrialError) as failure:
        run(data, training=replace(TRAINING, optimizer="sgd", learning_rate=100.0))
    assert failure.value.reason == "not_finite_loss"


def test_check_stop_stops_training_and_the_checkpoint_goes_on_bit_equal(data):
    class StoppedError(Exception):
        pass

    store, epochs = MemoryStore(), []

    def stop_in_third_epoch():
        if len(epochs) == 2:
            raise StoppedError

    with pytest.raises(StoppedError):
        run(data, checkpoint=store, on_epoch=epochs.append, check_stop=stop_in_third_epoch)

    assert_bit_equal(run(data, checkpoint=store), run(data))
