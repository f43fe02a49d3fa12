"""Every optimizer in the compiled epoch against its formula in NumPy float64, and Adam against Keras' own."""

from dataclasses import dataclass, field

import keras
import numpy as np
import pytest
import tensorflow as tf

from shared.domain.families.tower import Tower
from worker.engine.adam import Adam
from worker.engine.batches import Batches
from worker.engine.epoch import compile_epoch
from worker.engine.optimizers import Adamax, Sgd
from worker.engine.state import catch_up_all, initial_state, weights_of
from worker.families.tower.model import build_model
from worker.families.tower.network import tower_network
from worker.families.tower.weights import from_named

N_USERS, N_ITEMS, BATCH_SIZE, N_RATINGS = 12, 9, 8, 8 * 399 + 3
N_STEPS = 400
ARCHITECTURE = Tower("multiply", 4, (3, 1))
# The weights grow to about 1; float32 rounding over 400 steps leaves less than 1e-5.
TOLERANCE = 2e-5
KERAS_ARCHITECTURES = {merge: Tower(merge, 4, (3, 1), "tanh") for merge in ("concatenate", "dot")}


@dataclass
class Parameter:
    """A float64 array with the moments of its optimizer."""

    value: np.ndarray
    mean: np.ndarray = field(init=False)
    scale: np.ndarray = field(init=False)

    def __post_init__(self):
        self.value = self.value.astype(np.float64)
        self.mean = np.zeros_like(self.value)
        self.scale = np.zeros_like(self.value)


def sgd(parameter, gradient, rows, step, rate):
    del step
    parameter.value[rows] -= rate * gradient[rows]


def adamax(parameter, gradient, rows, step, rate):
    parameter.mean[rows] = 0.9 * parameter.mean[rows] + 0.1 * gradient[rows]
    parameter.scale[rows] = np.maximum(0.999 * parameter.scale[rows], np.abs(gradient[rows]))
    parameter.value[rows] -= rate / (1 - 0.9**step) * parameter.mean[rows] / (parameter.scale[rows] + 1e-7)


def dense_adam(parameter, gradient, rows, step, rate):
    del rows  # The dense optimizer moves every row at every step.
    parameter.mean = 0.9 * parameter.mean + 0.1 * gradient
    parameter.scale = 0.999 * parameter.scale + 0.001 * gradient**2
    corrected = rate * np.sqrt(1 - 0.999**step) / (1 - 0.9**step)
    parameter.value -= corrected * parameter.mean / (np.sqrt(parameter.scale) + 1e-7)


def train_in_numpy(weights, update, rate, ratings):
    """The multiply model with two dense layers, gradients written out by hand."""
    user_index, item_index, rating = ratings
    users, items = Parameter(weights.user_embedding), Parameter(weights.item_embedding)
    (kernel_1, bias_1), (kernel_2, bias_2) = (
        (Parameter(kernel), Parameter(bias)) for kernel, bias in weights.dense
    )
    losses = []
    for step, start in enumerate(range(0, len(rating), BATCH_SIZE), start=1):
        batch = slice(start, start + BATCH_SIZE)
        u, i = users.value[user_index[batch]], items.value[item_index[batch]]
        hidden = (u * i) @ kernel_1.value + bias_1.value
        error = hidden @ kernel_2.value + bias_2.value - rating[batch, np.newaxis]
        losses.append((error**2).mean())
        to_output = 2 * error / len(error)
        to_hidden = to_output @ kernel_2.value.T
        to_merged = to_hidden @ kernel_1.value.T
        to_users, to_items = np.zeros_like(users.value), np.zeros_like(items.value)
        np.add.at(to_users, user_index[batch], to_merged * i)
        np.add.at(to_items, item_index[batch], to_merged * u)
        gradients = [
            (users, to_users, np.unique(user_index[batch])),
            (items, to_items, np.unique(item_index[batch])),
            (kernel_2, hidden.T @ to_output, ...),
            (bias_2, to_output.sum(0), ...),
            (kernel_1, (u * i).T @ to_hidden, ...),
            (bias_1, to_hidden.sum(0), ...),
        ]
        for parameter, gradient, rows in gradients:
            update(parameter, gradient, rows, step, rate)
    return [p.value for p in (users, items, kernel_1, bias_1, kernel_2, bias_2)], losses


def flatten(weights):
    return [weights.user_embedding, weights.item_embedding, *(a for layer in weights.dense for a in layer)]


@pytest.fixture(scope="module")
def ratings():
    """In training order. Rows repeat in every batch; user 11 and item 8 first occur in step 301."""
    rng = np.random.default_rng(7)
    user_index = rng.integers(0, N_USERS - 1, N_RATINGS).astype(np.int32)
    item_index = rng.integers(0, N_ITEMS - 1, N_RATINGS).astype(np.int32)
    late = np.arange(8 * 300, N_RATINGS, 5)
    user_index[late] = N_USERS - 1
    item_index[late + 1] = N_ITEMS - 1
    # Users 0 and 1 stay away for 200 steps in the middle: Adam must catch them up.
    middle = slice(8 * 50, 8 * 250)
    user_index[middle] = np.maximum(user_index[middle], 2)
    rating = (rng.integers(1, 6, N_RATINGS)).astype(np.float32)
    return user_index, item_index, rating


def as_batches(user_index, item_index, rating):
    padding = -len(rating) % BATCH_SIZE
    arrays = [
        np.append(array, np.repeat(array[-1:], padding)).reshape(-1, BATCH_SIZE)
        for array in (user_index, item_index, rating)
    ]
    users, items, rating_matrix = arrays
    return Batches(*map(tf.constant, (users, items, rating_matrix.astype("float32"), len(rating))))


def keras_batches(model, ratings):
    """(users, items, targets) of every batch; every output is compared with the one rating."""
    for start in range(0, N_RATINGS, BATCH_SIZE):
        users, items, rating = (array[start : start + BATCH_SIZE, np.newaxis] for array in ratings)
        yield users, items, np.repeat(rating.astype("float32"), model.n_outputs, axis=1)


def assert_weights_close(trained, expected):
    for array, reference in zip(flatten(trained), expected, strict=True):
        np.testing.assert_allclose(array, reference, rtol=0, atol=TOLERANCE)


def train_in_engine(model, optimizer, ratings):
    network = tower_network(model.architecture)
    run_steps = compile_epoch(network, optimizer, BATCH_SIZE)
    state, loss_sum = run_steps(
        as_batches(*ratings),
        tf.constant(0),
        tf.constant(N_STEPS),
        initial_state(network, model.weights().named(), optimizer),
        tf.constant(0.0, tf.float64),
    )
    trained = from_named(weights_of(network, catch_up_all(state, optimizer), optimizer))
    return trained, float(loss_sum) / N_RATINGS


@pytest.mark.parametrize(
    ("optimizer", "update", "rate"),
    [(Sgd(0.05), sgd, 0.05), (Adamax(0.01), adamax, 0.01), (Adam(0.01), dense_adam, 0.01)],
    ids=["sgd", "adamax", "adam"],
)
def test_optimizer_agrees_with_its_formula_in_float64_over_400_steps(ratings, optimizer, update, rate):
    model = build_model(ARCHITECTURE, N_USERS, N_ITEMS, random_seed=1)
    expected, losses = train_in_numpy(model.weights(), update, rate, ratings)

    trained, loss = train_in_engine(model, optimizer, ratings)

    n_last = N_RATINGS % BATCH_SIZE
    sizes = [BATCH_SIZE] * (N_STEPS - 1) + [n_last]
    assert loss == pytest.approx(np.average(losses, weights=sizes), rel=1e-5)
    assert_weights_close(trained, expected)


@pytest.mark.parametrize("merge", ["concatenate", "dot"])
def test_adam_agrees_with_train_on_batch_of_the_full_keras_model(merge):
    # No row repeats within a batch: Keras 3 squares the gradients of a repeated row before it sums them.
    rng = np.random.default_rng(3)
    user_index, item_index = (
        np.concatenate([rng.permutation(n_rows)[:BATCH_SIZE] for _ in range(N_STEPS)])[:N_RATINGS]
        for n_rows in (N_USERS, N_ITEMS)
    )
    ratings = user_index.astype("int32"), item_index.astype("int32"), rng.integers(1, 6, N_RATINGS)
    model = build_model(KERAS_ARCHITECTURES[merge], N_USERS, N_ITEMS, random_seed=1)
    trained, _ = train_in_engine(model, Adam(0.01), ratings)

    model.training.compile(optimizer=keras.optimizers.Adam(0.01), loss="mse")
    for users, items, targets in keras_batches(model, ratings):
        model.training.train_on_batch([users, items], targets)

    assert_weights_close(trained, flatten(model.weights()))


@pytest.mark.parametrize("merge", ["concatenate", "dot"])
def test_adam_agrees_with_keras_adam_on_dense_gradients_of_repeated_rows(ratings, merge):
    model = build_model(KERAS_ARCHITECTURES[merge], N_USERS, N_ITEMS, random_seed=1)
    trained, _ = train_in_engine(model, Adam(0.01), ratings)

    optimizer = keras.optimizers.Adam(0.01)
    variables = model.training.trainable_variables
    optimizer.build(variables)

    @tf.function(reduce_retracing=True)
    def train_step(users, items, targets):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(model.training([users, items]) - targets))
        sparse = tape.gradient(loss, [variable.value for variable in variables])
        optimizer.apply([tf.convert_to_tensor(gradient) for gradient in sparse], variables)

    for batch in keras_batches(model, ratings):
        train_step(*map(tf.constant, batch))

    assert_weights_close(trained, flatten(model.weights()))


@pytest.mark.parametrize("size", [1e-9, 1e-6, 1e-5, 1e-2])
@pytest.mark.parametrize(
    ("last_step", "step"), [(1, 2), (1, 40), (5, 6), (700, 703), (700, 9000), (40000, 40100)]
)
def test_adam_catch_up_is_within_2e_5_of_the_missed_steps(size, last_step, step):
    # Gradients of every size against epsilon 1e-7: the two ends of the formula and between them.
    mean, square = 0.3 * size, 0.001 * size**2
    parameter, m, v = 0.0, mean, square
    for missed in range(last_step + 1, step + 1):
        m, v = 0.9 * m, 0.999 * v
        rate = 0.001 * np.sqrt(1 - 0.999**missed) / (1 - 0.9**missed)
        parameter -= rate * m / (np.sqrt(v) + 1e-7)

    slots = [tf.constant([[value]], tf.float32) for value in (0.0, mean, square)]
    caught_up = Adam(0.001).catch_up(tuple(slots), tf.constant([last_step]), tf.constant(step))

    # parameter 0: the error is relative to the movement
    assert caught_up[0].numpy().item() == pytest.approx(parameter, rel=2e-5)
    assert caught_up[1].numpy().item() == pytest.approx(m, rel=1e-5, abs=1e-37)
    assert caught_up[2].numpy().item() == pytest.approx(v, rel=1e-5)


def test_adam_catch_up_of_no_missed_step_changes_nothing():
    slots = tuple(tf.constant([[value]], tf.float32) for value in (0.25, 0.5, 0.125))
    caught_up = Adam(0.001).catch_up(slots, tf.constant([17]), tf.constant(17))
    assert [slot.numpy().item() for slot in caught_up] == [0.25, 0.5, 0.125]
