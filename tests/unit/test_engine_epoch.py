"""The compiled epoch: batches, padding, chunks, repeated rows, evaluation."""

import numpy as np
import pytest
import tensorflow as tf

from shared.domain.families.tower import Tower
from worker.engine.adam import Adam
from worker.engine.batches import shuffle_batches
from worker.engine.epoch import compile_epoch, sum_by_row
from worker.engine.evaluation import evaluate
from worker.engine.forward import make_forward
from worker.engine.optimizers import Adamax, Sgd
from worker.engine.state import initial_state, weights_of
from worker.families.tower.model import build_model
from worker.families.tower.network import tower_network
from worker.families.tower.weights import from_named
from worker.observations import Observations

N_USERS, N_ITEMS = 12, 9
OPTIMIZERS = {"adamax": Adamax(0.01), "adam": Adam(0.01), "sgd": Sgd(0.05)}
MERGES = ("concatenate", "multiply", "average", "dot")


def make_ratings(n_ratings, n_users=N_USERS, n_items=N_ITEMS):
    rng = np.random.default_rng(5)
    return Observations(
        user_index=rng.integers(0, n_users, n_ratings).astype(np.int32),
        item_index=rng.integers(0, n_items, n_ratings).astype(np.int32),
        rating=rng.integers(1, 6, n_ratings).astype(np.float32),
    )


def start_of(model, optimizer):
    return initial_state(tower_network(model.architecture), model.weights().named(), optimizer)


def run_epoch(model, optimizer, ratings, batch_size, chunks=()):
    """State and loss sum after one epoch, run in chunks that end at the given steps."""
    run_steps = compile_epoch(tower_network(model.architecture), optimizer, batch_size)
    batches = shuffle_batches(ratings, batch_size, random_seed=0, epoch=1)
    state, loss_sum, first = start_of(model, optimizer), tf.constant(0.0, tf.float64), 0
    for stop in (*chunks, batches.rating.shape[0]):
        state, loss_sum = run_steps(batches, tf.constant(first), tf.constant(stop), state, loss_sum)
        first = stop
    return state, float(loss_sum)


def arrays_of(state):
    return [tensor.numpy() for tensor in tf.nest.flatten(state)]


def test_epoch_holds_every_rating_once_and_repeats_the_last_as_padding():
    ratings = Observations(*(np.arange(10).astype(kind) for kind in ("int32", "int32", "float32")))
    batches = shuffle_batches(ratings, 4, random_seed=0, epoch=1)

    entries = batches.rating.numpy().ravel()
    assert batches.rating.shape == (3, 4)
    assert int(batches.n_ratings) == 10
    assert sorted(entries[:10]) == list(range(10))
    assert list(entries[10:]) == [entries[9]] * 2
    np.testing.assert_array_equal(batches.user_index, batches.item_index)
    np.testing.assert_array_equal(batches.user_index, batches.rating)


def test_batches_of_one_rating_hold_it_twice_the_second_as_padding():
    batches = shuffle_batches(make_ratings(5), 1, random_seed=0, epoch=1)
    assert batches.rating.shape == (5, 2)
    np.testing.assert_array_equal(batches.user_index[:, 0], batches.user_index[:, 1])


def test_shuffle_depends_on_random_seed_and_epoch_alone():
    ratings = make_ratings(50)

    def order(random_seed, epoch):
        return shuffle_batches(ratings, 8, random_seed, epoch).rating.numpy().tolist()

    assert order(0, 1) == order(0, 1)
    assert order(0, 1) != order(0, 2)
    assert order(0, 1) != order(1, 1)


@pytest.mark.parametrize("n_entries", [1, 2, 17, 300])
def test_gradients_of_equal_rows_are_summed(n_entries):
    rng = np.random.default_rng(0)
    index = rng.integers(0, 9, n_entries).astype(np.int32)
    gradient = rng.normal(size=(n_entries, 4)).astype(np.float32)
    is_equal = index[:, np.newaxis] == index[np.newaxis, :]
    left_behind = tf.constant(rng.integers(0, n_entries, 9), tf.int32)

    summed, _ = sum_by_row(tf.constant(gradient), tf.constant(index), left_behind)

    np.testing.assert_allclose(summed, is_equal.astype(np.float64) @ gradient, rtol=1e-4, atol=1e-5)


def test_chunks_do_not_change_the_result_by_one_bit():
    model = build_model(Tower("concatenate", 4, (3, 1)), N_USERS, N_ITEMS, random_seed=1)
    whole, loss = run_epoch(model, Adam(0.01), make_ratings(50), 8)
    in_chunks, same_loss = run_epoch(model, Adam(0.01), make_ratings(50), 8, chunks=(0, 1, 4))

    assert loss == same_loss
    for array, same in zip(arrays_of(whole), arrays_of(in_chunks), strict=True):
        np.testing.assert_array_equal(array, same)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_padding_changes_nothing(optimizer):
    # 5 ratings as one full batch, and the same 5 as a batch of 8 with 3 entries of padding.
    model = build_model(Tower("average", 4, (3, 1)), N_USERS, N_ITEMS, random_seed=1)
    full, loss = run_epoch(model, OPTIMIZERS[optimizer], make_ratings(5), 5)
    padded, same_loss = run_epoch(model, OPTIMIZERS[optimizer], make_ratings(5), 8)

    assert loss == pytest.approx(same_loss, rel=1e-6)
    for array, same in zip(arrays_of(full), arrays_of(padded), strict=True):
        np.testing.assert_allclose(array, same, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_rows_outside_the_batches_keep_every_bit(optimizer):
    model = build_model(Tower("average", 4, (3, 1)), N_USERS, N_ITEMS, random_seed=1)
    ratings = make_ratings(13, n_users=N_USERS - 2, n_items=N_ITEMS - 2)
    state, _ = run_epoch(model, OPTIMIZERS[optimizer], ratings, 4)
    before = start_of(model, OPTIMIZERS[optimizer])

    for table, old in ((state.user_table, before.user_table), (state.item_table, before.item_table)):
        np.testing.assert_array_equal(table.rows[-2:], old.rows[-2:])
        np.testing.assert_array_equal(table.last_step[-2:], old.last_step[-2:])


@pytest.mark.parametrize("batch_size", [1, 3, 50, 200, 400])
def test_loss_of_an_untrained_epoch_is_its_evaluation_at_any_batch_size(batch_size):
    # With a learning rate of almost 0 the weights stay, and the mean of the batch losses is the loss.
    model = build_model(Tower("dot", 4, (3, 1), "tanh"), N_USERS, N_ITEMS, random_seed=1)
    ratings = make_ratings(200)
    state, loss_sum = run_epoch(model, Sgd(1e-30), ratings, batch_size)
    weights = from_named(weights_of(tower_network(model.architecture), state, Sgd(1e-30)))
    parameters = [array for layer in weights.dense for array in layer]

    evaluation = evaluate(
        make_forward(model.architecture),
        parameters,
        (weights.user_embedding, weights.item_embedding),
        ratings,
        16,
    )
    assert loss_sum / 200 == pytest.approx(evaluation.loss, rel=1e-6)


@pytest.mark.parametrize("merge", MERGES)
@pytest.mark.parametrize("dense_layers", [(1,), (3, 1), (5, 3, 2, 1)], ids=len)
def test_folded_linear_layers_equal_the_keras_head(merge, dense_layers):
    model = build_model(Tower(merge, 4, dense_layers), N_USERS, N_ITEMS, random_seed=1)
    rng = np.random.default_rng(0)
    for variable in model.head.trainable_variables:  # Biases start as zeros: they must take part.
        variable.assign(rng.normal(size=variable.shape))
    users, items = rng.normal(size=(2, 6, 4)).astype(np.float32)
    parameters = [variable.value for variable in model.head.trainable_variables]

    folded = make_forward(model.architecture)(parameters, tf.constant(users), tf.constant(items))

    np.testing.assert_allclose(folded, model.head([users, items]), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("merge", MERGES)
def test_gradients_through_folded_layers_equal_those_through_the_keras_head(merge):
    model = build_model(Tower(merge, 4, (3, 2, 1)), N_USERS, N_ITEMS, random_seed=1)
    users, items = np.random.default_rng(0).normal(size=(2, 6, 4)).astype(np.float32)
    sources = [tf.constant(users), tf.constant(items), *(v.value for v in model.head.trainable_variables)]

    def gradients(outputs_of):
        with tf.GradientTape() as tape:
            tape.watch(sources)
            loss = tf.reduce_mean(tf.square(outputs_of() - 3.0))
        return [tf.convert_to_tensor(gradient) for gradient in tape.gradient(loss, sources)]

    folded = gradients(lambda: make_forward(model.architecture)(sources[2:], *sources[:2]))
    layer_by_layer = gradients(lambda: model.head.stateless_call(sources[2:], [], sources[:2])[0])

    for gradient, expected in zip(folded, layer_by_layer, strict=True):
        np.testing.assert_allclose(gradient, expected, rtol=1e-4, atol=1e-6)


def test_evaluation_by_hand():
    # Outputs are user + item; dot-like: two outputs a rating. Ratings 3 and 1.
    ratings = Observations(np.array([0, 1]), np.array([1, 0]), np.array([3, 1], np.float32))
    users, items = tf.constant([[1.0, 2.0], [0.0, 2.0]]), tf.constant([[1.0, 0.0], [1.0, 3.0]])

    evaluation = evaluate(lambda parameters, u, i: u + i, [], (users, items), ratings, numbers_per_rating=2)

    # outputs (2, 5) and (1, 2); errors (-1, 2) and (0, 1); means of squares 2.5 and 0.5
    assert evaluation.loss == pytest.approx((2.5 + 0.5) / 2)
    # served 3.5 and 1.5; errors 0.5 and 0.5
    assert evaluation.rmse == pytest.approx(0.5)


def test_evaluation_does_not_depend_on_the_block_size():
    model = build_model(Tower("multiply", 4, (3, 1), "relu"), N_USERS, N_ITEMS, random_seed=1)
    weights = model.weights()
    parameters = [array for layer in weights.dense for array in layer]
    embeddings = (weights.user_embedding, weights.item_embedding)

    whole, one_by_one = (
        evaluate(make_forward(model.architecture), parameters, embeddings, make_ratings(20), numbers)
        for numbers in (1, 1 << 22)
    )
    assert whole.loss == pytest.approx(one_by_one.loss, rel=1e-6)
    assert whole.rmse == pytest.approx(one_by_one.rmse, rel=1e-6)
