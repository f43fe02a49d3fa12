"""TrainingProgress as bytes: what is written is read back bit for bit, and nothing else is taken for it."""

import io
import zipfile

import numpy as np
import pytest
import tensorflow as tf

from shared.domain.families.tower import Tower
from shared.domain.records import EpochRecord
from worker.engine.adam import Adam
from worker.engine.checkpoint import TrainingProgress, pack_progress, unpack_progress
from worker.engine.state import initial_state
from worker.families.tower.model import build_model


def make_progress(embedding_size=4, epochs=()):
    model = build_model(Tower("multiply", embedding_size, (3, 1)), 5, 6, random_seed=1)
    return TrainingProgress(initial_state(model.weights(), Adam(0.01)), model.weights(), epochs)


def records(*val_losses):
    return tuple(EpochRecord(n, 1.0, loss, loss**0.5, 0.25) for n, loss in enumerate(val_losses, start=1))


def test_progress_is_read_back_bit_for_bit():
    progress = make_progress(epochs=records(1.1, 1 / 3))
    state = tf.nest.map_structure(lambda tensor: tensor + tf.ones_like(tensor), progress.state)
    progress = TrainingProgress(state, progress.best, progress.epochs)

    restored = unpack_progress(pack_progress(progress, "abc"), "abc", make_progress())

    assert restored.epochs == progress.epochs
    for array, same in zip(tf.nest.flatten(restored.state), tf.nest.flatten(state), strict=True):
        assert array.dtype == same.dtype
        np.testing.assert_array_equal(array, same)
    np.testing.assert_array_equal(restored.best.user_embedding, progress.best.user_embedding)
    np.testing.assert_array_equal(restored.best.dense[1][0], progress.best.dense[1][0])


def test_checkpoint_is_an_npz_archive_without_pickles():
    content = pack_progress(make_progress(epochs=records(1.0)), "abc")
    with np.load(io.BytesIO(content), allow_pickle=False) as archive:
        assert all(archive[name].dtype != object for name in archive.files)


@pytest.mark.parametrize("n_bytes", [0, 10, 1000, -1])
def test_truncated_checkpoint_is_ignored_with_a_warning(n_bytes, caplog):
    fresh = make_progress()
    content = pack_progress(make_progress(epochs=records(1.0)), "abc")
    assert unpack_progress(content[:n_bytes], "abc", fresh) is fresh
    assert "damaged" in caplog.text


def test_checkpoint_with_a_flipped_byte_is_ignored_with_a_warning(caplog):
    fresh = make_progress()
    content = bytearray(pack_progress(make_progress(epochs=records(1.0)), "abc"))
    info = zipfile.ZipFile(io.BytesIO(content)).getinfo("state_1.npy")
    content[info.header_offset + 300] ^= 1
    assert unpack_progress(bytes(content), "abc", fresh) is fresh
    assert "damaged" in caplog.text


def test_checkpoint_of_another_configuration_is_ignored_with_a_warning(caplog):
    fresh = make_progress()
    content = pack_progress(make_progress(epochs=records(1.0)), "abc")
    assert unpack_progress(content, "abd", fresh) is fresh
    assert "another configuration" in caplog.text


def test_checkpoint_of_other_shapes_is_ignored_with_a_warning(caplog):
    fresh = make_progress(embedding_size=8)
    content = pack_progress(make_progress(epochs=records(1.0)), "abc")
    assert unpack_progress(content, "abc", fresh) is fresh
    assert "state_1 must be float32 of shape (5, 24)" in caplog.text


@pytest.mark.parametrize(
    ("val_losses", "best_epoch", "is_over"),
    [
        ((), 0, False),
        ((1.0,), 1, False),
        ((1.0, 0.9, 0.95), 2, False),
        ((1.0, 0.9, 0.95, 0.91), 2, True),
        # An equal loss is no improvement.
        ((0.9, 0.9, 0.9), 1, True),
        ((1.0, 1.1, 0.9, 0.95, 0.8), 5, True),
    ],
)
def test_training_is_over_after_max_epochs_or_when_patience_is_used_up(val_losses, best_epoch, is_over):
    progress = make_progress(epochs=records(*val_losses))
    assert progress.best_epoch == best_epoch
    assert progress.is_over(max_epochs=5, patience=2) is is_over
