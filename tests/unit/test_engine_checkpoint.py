"""TrainingProgress as bytes: what is written is read back bit for bit, and nothing else is taken for it."""

import io
import zipfile

import numpy as np
import pytest
import tensorflow as tf

from shared.domain.families.tower import Tower
from shared.domain.results import EpochRecord
from worker.engine.adam import Adam
from worker.engine.checkpoint import TrainingProgress, pack_progress, unpack_progress
from worker.engine.state import initial_state
from worker.families.tower.model import build_model
from worker.families.tower.network import tower_network


def make_progress(embedding_size=4, epochs=()):
    architecture = Tower("multiply", embedding_size, (3, 1))
    weights = build_model(architecture, 5, 6, random_seed=1).weights().named()
    return TrainingProgress(initial_state(tower_network(architecture), weights, Adam(0.01)), weights, epochs)


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
    assert list(restored.best) == list(progress.best)
    for name, array in progress.best.items():
        np.testing.assert_array_equal(restored.best[name], array)


def test_what_an_epoch_does_not_have_is_read_back_as_none():
    epochs = (
        EpochRecord(1, 0.5, None, None, 0.25, objective=1 / 3),
        EpochRecord(2, 0.5, None, 0.9, 0.25),
    )
    content = pack_progress(make_progress(epochs=epochs), "abc")
    assert unpack_progress(content, "abc", make_progress()).epochs == epochs


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


def judged_epochs(*values, is_larger_better):
    # The losses say the opposite of the objective.
    sign = 1 if is_larger_better else -1
    epochs = tuple(
        EpochRecord(n, 1.0, sign * value, sign * value, 0.25, value) for n, value in enumerate(values, 1)
    )
    return TrainingProgress((), {}, epochs, is_larger_better)


def test_the_objective_decides_in_its_own_direction_where_there_is_one():
    assert judged_epochs(0.1, 0.3, 0.3, 0.2, is_larger_better=True).best_epoch == 2
    assert judged_epochs(0.9, 0.8, 0.8, 0.95, is_larger_better=False).best_epoch == 2


def test_epochs_that_nothing_judges_go_on_to_the_end_and_the_last_is_kept():
    epochs = tuple(EpochRecord(n, 1.0, None, None, 0.25) for n in range(1, 5))
    progress = TrainingProgress((), {}, epochs)
    assert progress.best_epoch == 4
    assert not progress.is_over(max_epochs=5, patience=1)
    assert progress.is_over(max_epochs=4, patience=1)


def test_an_rmse_decides_where_there_is_neither_objective_nor_loss():
    epochs = tuple(EpochRecord(n, 1.0, None, rmse, 0.25) for n, rmse in enumerate((0.9, 0.8, 0.85), 1))
    assert TrainingProgress((), {}, epochs).best_epoch == 2
