"""Epochs over ratings with two tables: against plain steps on whole arrays, whichever way a table moves."""

import numpy as np
import pytest

from shared.domain.training import TrainingConfig
from shared.errors import TrialError
from worker.engine.batches import shuffle_batches
from worker.engine.factor_epoch import WholeTable, compile_factor_epoch, is_moved_whole
from worker.engine.factor_training import FactorTrainer
from worker.engine.fitting import Judgement
from worker.engine.optimizers import BETA_1, BETA_2, EPSILON
from worker.observations import Observations

N_USERS, N_ITEMS, WIDTH = 40, 12, 3


def ratings_of(n_ratings=30):
    """Nobody knows user 0, nor item 0."""
    rng = np.random.default_rng(0)
    places = rng.choice((N_USERS - 1) * (N_ITEMS - 1), n_ratings, replace=False)
    users, items = np.divmod(places, N_ITEMS - 1)
    return Observations(
        (users + 1).astype(np.int32), (items + 1).astype(np.int32), rng.normal(size=n_ratings).astype("f")
    )


def initial_tables():
    rng = np.random.default_rng(1)
    return [rng.normal(size=(n, WIDTH)).astype(np.float32) for n in (N_USERS, N_ITEMS)]


RIDGES = tuple(np.linspace(0.1, 0.3, n).astype(np.float32) for n in (N_USERS, N_ITEMS))


def loss(users, items, ratings):
    predicted = (users * items) @ np.ones((WIDTH, 1), np.float32)
    return (ratings - predicted[:, 0]) ** 2


def make_trainer(training, ratings=None, check_stop=lambda: None):
    return FactorTrainer(
        ratings_of() if ratings is None else ratings,
        lambda optimizer, batch_size: compile_factor_epoch(loss, optimizer, batch_size, "test"),
        *initial_tables(),
        RIDGES,
        training=training,
        check_stop=check_stop,
        name_weights=lambda users, items: {"users": users, "items": items},
        judge=lambda weights: Judgement(objective=float(weights["users"].sum())),
    )


def run_epochs(trainer, n_epochs):
    state = trainer.initial_state()
    for epoch in range(1, n_epochs + 1):
        state, value = trainer.train_epoch(state, epoch)
    return state, value


def plain_epochs(training, n_epochs):
    """The same steps in float64, each optimizer as its paper has it; and the last loss."""
    tables = [array.astype(np.float64) for array in initial_tables()]
    moments = [(np.zeros_like(array), np.zeros_like(array)) for array in tables]
    ratings, step = ratings_of(), 0
    batch_size = min(training.batch_size, len(ratings))
    for epoch in range(1, n_epochs + 1):
        batches = shuffle_batches(ratings, batch_size, training.random_seed, epoch)
        rate, losses = training.learning_rate_of(epoch), []
        for number in range(batches.rating.shape[0]):
            step += 1
            real = slice(0, min(batch_size, len(ratings) - number * batch_size))
            places = [index[number].numpy()[real] for index in (batches.user_index, batches.item_index)]
            rows = [table[place] for table, place in zip(tables, places, strict=True)]
            error = (rows[0] * rows[1]).sum(axis=1) - batches.rating[number].numpy()[real]
            losses += (error**2).tolist()
            for side in (0, 1):
                ridge = RIDGES[side][places[side]][:, None]
                entries = (2 * error[:, None] * rows[1 - side] + 2 * ridge * rows[side]) / len(error)
                gradient = np.zeros_like(tables[side])
                np.add.at(gradient, places[side], entries)
                if training.optimizer == "sgd":
                    tables[side] = tables[side] - rate * gradient
                    continue
                mean, other = moments[side]
                moved = mean_of = BETA_1 * mean + (1 - BETA_1) * gradient
                if training.optimizer == "adam":
                    other = BETA_2 * other + (1 - BETA_2) * gradient**2
                    corrected = rate * np.sqrt(1 - BETA_2**step) / (1 - BETA_1**step)
                    tables[side] = tables[side] - corrected * moved / (np.sqrt(other) + EPSILON)
                    moments[side] = mean_of, other
                    continue
                # Adamax leaves rows alone that the batch does not touch.
                ours = np.isin(np.arange(len(gradient)), places[side])[:, None]
                largest = np.maximum(BETA_2 * other, np.abs(gradient))
                change = rate / (1 - BETA_1**step) * moved / (largest + EPSILON)
                tables[side] = tables[side] - np.where(ours, change, 0)
                moments[side] = np.where(ours, mean_of, mean), np.where(ours, largest, other)
    return tables, float(np.mean(losses))


def test_a_table_moves_whole_where_the_batch_is_large_beside_it():
    state = make_trainer(TrainingConfig(batch_size=7)).initial_state()
    # Seven entries are fewer than a third of 40 users, and more than a third of 12 items.
    assert not is_moved_whole(N_USERS, 7)
    assert [isinstance(table, WholeTable) for table in (state.user_table, state.item_table)] == [False, True]


@pytest.mark.parametrize(
    ("optimizer", "batch_size"),
    [("sgd", 7), ("adam", 1), ("adam", 7), ("adam", 100), ("adamax", 7), ("adamax", 100)],
)
def test_epochs_are_the_steps_of_the_whole_arrays(optimizer, batch_size):
    training = TrainingConfig(
        optimizer, learning_rate=0.02, batch_size=batch_size, max_epochs=3, schedule="cosine"
    )
    trainer = make_trainer(training)
    state, value = run_epochs(trainer, 3)
    expected, expected_loss = plain_epochs(training, 3)
    assert value == pytest.approx(expected_loss, rel=1e-4)
    for name, array in zip(("users", "items"), expected, strict=True):
        np.testing.assert_allclose(trainer.weights(state)[name], array, atol=5e-5)
    # Nothing is known of user 0 and item 0: they stay.
    np.testing.assert_array_equal(trainer.weights(state)["users"][0], initial_tables()[0][0])
    np.testing.assert_array_equal(trainer.weights(state)["items"][0], initial_tables()[1][0])


def test_how_an_epoch_is_cut_changes_no_bit(monkeypatch):
    training = TrainingConfig("adam", learning_rate=0.02, batch_size=7)
    results = []
    for first_chunk in (1, 100):
        trainer = make_trainer(training)
        monkeypatch.setattr(trainer._pace, "_chunk_steps", first_chunk)
        state, value = run_epochs(trainer, 2)
        results.append((value, [array.tolist() for array in trainer.weights(state).values()]))
    assert results[0] == results[1]


def test_without_ratings_nothing_moves():
    nothing = Observations(np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros(0, np.float32))
    trainer = make_trainer(TrainingConfig(), nothing)
    state, value = trainer.train_epoch(trainer.initial_state(), 1)
    assert value == 0.0
    np.testing.assert_array_equal(trainer.weights(state)["users"], initial_tables()[0])


def test_a_loss_that_is_not_finite_ends_the_trial():
    trainer = make_trainer(TrainingConfig("sgd", learning_rate=1e6, batch_size=3))
    with pytest.raises(TrialError, match="loss must stay finite"):
        run_epochs(trainer, 9)
