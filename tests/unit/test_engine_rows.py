"""Batches of whole rows: what they hold, the compiled epoch against plain steps, padding, losses."""

import numpy as np
import pytest
import scipy.sparse
import tensorflow as tf

from shared.domain.training import TrainingConfig
from shared.errors import TrialError
from tests.unit.family_cases import random_ratings
from worker.engine.adam import make_optimizer
from worker.engine.fitting import Judgement
from worker.engine.losses import (
    bpr_loss,
    cross_entropy_with_zeros,
    softmax_loss,
    squared_error_of_rated,
    squared_error_with_zeros,
)
from worker.engine.optimizers import BETA_1, BETA_2, EPSILON, Sgd
from worker.engine.row_batches import CHUNK_ENTRIES, fitting_batch_size, shuffle_rows
from worker.engine.row_epoch import compile_row_epoch
from worker.engine.row_training import RowTrainer

N_ROWS, N_COLUMNS = 23, 9


def matrix_of(n_rows=N_ROWS, n_columns=N_COLUMNS, density=0.5):
    """The last row is empty, and so are the last two columns."""
    return scipy.sparse.csr_matrix(random_ratings(n_rows, n_columns, density))


def dense_batches(batches, batch_size, n_columns):
    """What a batch looks like when it is dense, by NumPy: rows, and a matrix for each channel."""
    for number, rows in enumerate(batches.row_index.numpy()):
        entries = slice(*batches.starts.numpy()[number : number + 2])
        channels = []
        for channel in batches.channels:
            dense = np.zeros(batch_size * n_columns, np.float32)
            dense[batches.places.numpy()[entries]] = channel.numpy()[entries]
            channels.append(dense.reshape(batch_size, n_columns))
        n_real = min(batches.n_rows.numpy() - number * batch_size, batch_size)
        yield rows[:n_real], [channel[:n_real] for channel in channels]


@pytest.mark.parametrize("batch_size", [1, 4, 22])
def test_batches_hold_every_row_with_entries_once(batch_size):
    matrix = matrix_of()
    doubled = 2 * matrix.data
    batches = shuffle_rows(matrix, (matrix.data, doubled), batch_size, random_seed=3, epoch=2)
    found = {}
    for rows, (values, twice) in dense_batches(batches, batch_size, N_COLUMNS):
        np.testing.assert_array_equal(twice, 2 * values)
        found |= dict(zip(rows.tolist(), values, strict=True))
    assert sorted(found) == list(range(N_ROWS - 1))
    np.testing.assert_array_equal([found[row] for row in range(N_ROWS - 1)], matrix.toarray()[:-1])


def test_order_depends_on_seed_and_epoch_alone():
    matrix = matrix_of()

    def order(seed, epoch):
        return shuffle_rows(matrix, (), 4, seed, epoch).row_index.numpy().ravel()[: N_ROWS - 1].tolist()

    assert order(0, 1) == order(0, 1)
    assert len({tuple(order(*key)) for key in ((0, 1), (0, 2), (1, 1))}) == 3


def test_padding_is_of_the_first_batch_and_has_no_entries():
    matrix = matrix_of()
    batches = shuffle_rows(matrix, (matrix.data,), 4, random_seed=0, epoch=1)
    # 22 rows are five batches of 4 and one of 2.
    rows = batches.row_index.numpy()
    assert rows.shape == (6, 4)
    assert rows[-1, 2:].tolist() == rows[0, :2].tolist()
    assert batches.starts.numpy()[-1] == matrix.nnz
    assert len(batches.places) == matrix.nnz + CHUNK_ENTRIES


def test_batch_size_is_at_most_the_rows_with_entries():
    assert fitting_batch_size(100, matrix_of()) == 22
    assert fitting_batch_size(5, matrix_of()) == 5
    assert fitting_batch_size(5, scipy.sparse.csr_matrix((3, 4))) == 1


def test_a_batch_too_large_to_count_is_refused_with_the_remedy():
    wide = scipy.sparse.csr_matrix((np.ones(3), (np.arange(3), np.arange(3))), (3, 2**30))
    with pytest.raises(ValueError, match="got batch_size 3: lower it"):
        fitting_batch_size(3, wide)


def factor_loss(parameters, batch):
    scores = parameters["rows"] @ tf.transpose(parameters["columns"]) + batch.fixed["bias"]
    return batch.mean(squared_error_with_zeros(scores, *batch.channels, zero_weight=0.3))


def initial_parameters(n_rows=N_ROWS, n_columns=N_COLUMNS):
    rng = np.random.default_rng(1)
    return {
        "rows": rng.normal(size=(n_rows, 3)).astype(np.float32),
        "columns": rng.normal(size=(n_columns, 3)).astype(np.float32),
    }


def make_trainer(matrix, training, loss=factor_loss, **options):
    n_rows, n_columns = matrix.shape
    return RowTrainer(
        matrix,
        lambda _epoch: (matrix.data / np.float32(5), np.ones(matrix.nnz, np.float32)),
        lambda optimizer, batch_size: compile_row_epoch(loss, optimizer, batch_size, n_columns, "test"),
        options.pop("initial", initial_parameters(n_rows, n_columns)),
        **{
            "training": training,
            "check_stop": lambda: None,
            "judge": lambda weights: Judgement(objective=float(weights["columns"].sum())),
            "tables": ("rows",),
            "fixed": {"bias": np.full(n_columns, 0.25, np.float32)},
            **options,
        },
    )


def plain_epochs(matrix, training, n_epochs):
    """The same steps on whole arrays in float64, each optimizer as its paper has it; and the last loss."""
    n_columns = matrix.shape[1]
    parameters = {name: array.astype(np.float64) for name, array in initial_parameters(*matrix.shape).items()}
    moments = {name: (np.zeros_like(array), np.zeros_like(array)) for name, array in parameters.items()}
    batch_size, step = fitting_batch_size(training.batch_size, matrix), 0
    for epoch in range(1, n_epochs + 1):
        channels = (matrix.data / np.float32(5), np.ones(matrix.nnz, np.float32))
        batches = shuffle_rows(matrix, channels, batch_size, training.random_seed, epoch)
        rate = training.learning_rate_of(epoch)
        losses = []
        for rows, (targets, is_rated) in dense_batches(batches, batch_size, n_columns):
            step += 1
            p, q = parameters["rows"][rows], parameters["columns"]
            error = p @ q.T + 0.25 - targets
            weighted = np.where(is_rated, 1, 0.3) * error
            losses += (weighted * error).sum(axis=1).tolist()
            gradients = {name: np.zeros_like(array) for name, array in parameters.items()}
            gradients["rows"][rows] = 2 * weighted @ q / len(rows)
            gradients["columns"] = 2 * weighted.T @ p / len(rows)
            for name, gradient in gradients.items():
                if training.optimizer == "sgd":
                    parameters[name] = parameters[name] - rate * gradient
                    continue
                mean, square = moments[name]
                mean = BETA_1 * mean + (1 - BETA_1) * gradient
                square = BETA_2 * square + (1 - BETA_2) * gradient**2
                moments[name] = mean, square
                corrected = rate * np.sqrt(1 - BETA_2**step) / (1 - BETA_1**step)
                parameters[name] = parameters[name] - corrected * mean / (np.sqrt(square) + EPSILON)
    return parameters, float(np.mean(losses))


def run_epochs(trainer, n_epochs):
    state = trainer.initial_state()
    for epoch in range(1, n_epochs + 1):
        state, loss = trainer.train_epoch(state, epoch)
    return state, loss


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("batch_size", [5, 11, 100])
def test_epochs_are_the_steps_of_the_whole_arrays(optimizer, batch_size):
    training = TrainingConfig(optimizer=optimizer, learning_rate=0.02, batch_size=batch_size)
    trainer = make_trainer(matrix_of(), training)
    state, loss = run_epochs(trainer, 3)
    expected, expected_loss = plain_epochs(matrix_of(), training, 3)
    assert loss == pytest.approx(expected_loss, rel=1e-5)
    weights = trainer.weights(state)
    for name, array in expected.items():
        np.testing.assert_allclose(weights[name], array, atol=2e-5)
    # Nothing is known of the last row: without a gradient it stays.
    np.testing.assert_array_equal(weights["rows"][-1], initial_parameters()["rows"][-1])


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_a_cosine_schedule_moves_less_from_epoch_to_epoch(optimizer):
    training = TrainingConfig(
        optimizer=optimizer, learning_rate=0.02, batch_size=5, max_epochs=3, schedule="cosine"
    )
    trainer = make_trainer(matrix_of(), training)
    state, _ = run_epochs(trainer, 3)
    expected, _ = plain_epochs(matrix_of(), training, 3)
    # Rows between two steps of theirs follow the schedule too.
    for name, array in expected.items():
        np.testing.assert_allclose(trainer.weights(state)[name], array, atol=2e-5)


def test_rows_of_many_entries_are_made_dense_in_several_chunks():
    matrix = matrix_of(8, 2000, density=0.9)
    assert matrix.nnz > 3 * CHUNK_ENTRIES
    training = TrainingConfig(optimizer="sgd", learning_rate=1e-4, batch_size=4)
    _, loss = run_epochs(make_trainer(matrix, training), 1)
    _, expected = plain_epochs(matrix, training, 1)
    assert loss == pytest.approx(expected, rel=1e-5)


def test_how_an_epoch_is_cut_changes_no_bit(monkeypatch):
    training = TrainingConfig(optimizer="adam", learning_rate=0.02, batch_size=3)
    results = []
    for first_chunk in (1, 100):
        monkeypatch.setattr("worker.engine.row_training._FIRST_CHUNK_STEPS", first_chunk)
        trainer = make_trainer(matrix_of(), training)
        state, loss = run_epochs(trainer, 2)
        results.append((loss, [array.tolist() for array in trainer.weights(state).values()]))
    assert results[0] == results[1]


def test_a_trainer_judges_the_weights_of_the_state():
    trainer = make_trainer(matrix_of(), TrainingConfig(batch_size=5))
    judged = trainer.judge(trainer.initial_state())
    assert judged.objective == pytest.approx(initial_parameters()["columns"].sum())


def test_without_any_entries_nothing_moves():
    trainer = make_trainer(scipy.sparse.csr_matrix((N_ROWS, N_COLUMNS), dtype=np.float32), TrainingConfig())
    state, loss = trainer.train_epoch(trainer.initial_state(), 1)
    assert loss == 0.0
    np.testing.assert_array_equal(trainer.weights(state)["columns"], initial_parameters()["columns"])


def test_a_loss_that_is_not_finite_ends_the_trial():
    trainer = make_trainer(matrix_of(), TrainingConfig(optimizer="sgd", learning_rate=1e6, batch_size=2))
    with pytest.raises(TrialError, match="loss must stay finite"):
        run_epochs(trainer, 9)


def test_seed_and_step_reach_the_loss_and_unused_parameters_stay():
    def loss(parameters, batch):
        return tf.reduce_sum(parameters["used"]) * tf.cast(batch.seed + batch.step, tf.float32)

    matrix = matrix_of()
    run = compile_row_epoch(loss, Sgd(1.0), 11, N_COLUMNS, "seed and step")
    trainer = make_trainer(
        matrix,
        TrainingConfig(optimizer="sgd", learning_rate=1.0, batch_size=11, random_seed=7),
        initial={"used": np.zeros(1, np.float32), "unused": np.ones(2, np.float32)},
        tables=(),
    )
    trainer._run_steps = run
    state, _ = trainer.train_epoch(trainer.initial_state(), 1)
    # Two steps with gradients 7 + 1 and 7 + 2.
    assert trainer.weights(state)["used"].tolist() == [-17.0]
    assert trainer.weights(state)["unused"].tolist() == [1.0, 1.0]


def test_optimizers_are_those_of_the_settings():
    names = {
        name: type(make_optimizer(TrainingConfig(optimizer=name))).__name__
        for name in ("adam", "adamax", "sgd")
    }
    assert names == {"adam": "Adam", "adamax": "Adamax", "sgd": "Sgd"}


def test_losses_by_hand():
    scores = np.array([[0.0, np.log(2.0), np.log(3.0)]], np.float32)
    targets = np.array([[0.5, 0.0, 1.0]], np.float32)
    rated = np.array([[1.0, 0.0, 1.0]], np.float32)
    # Shares of the softmax are 1/6, 2/6, 3/6.
    assert softmax_loss(scores, targets).numpy() == pytest.approx([0.5 * np.log(6) + np.log(2)])
    first, last = 0.5**2, (1 - np.log(3)) ** 2
    assert squared_error_of_rated(scores, targets, rated).numpy() == pytest.approx([first + last])
    zero = 0.1 * np.log(2) ** 2
    assert squared_error_with_zeros(scores, targets, rated, 0.1).numpy() == pytest.approx(
        [first + zero + last]
    )
    # Probabilities 1/2, 2/3, 3/4.
    expected = np.log(2) + 0.1 * np.log(3) + np.log(4 / 3)
    assert cross_entropy_with_zeros(scores, targets, rated, 0.1).numpy() == pytest.approx([expected])


def test_bpr_by_hand():
    scores = np.array([[0.0, np.log(2.0), np.log(3.0)]], np.float32)
    weights = np.array([[0.5, 0.0, 1.0]], np.float32)
    rated = np.array([[1.0, 0.0, 1.0]], np.float32)
    # One column back, around the end: column 0 meets 2, which is rated, and column 2 meets 1.
    back = np.log1p(2 / 3)
    assert bpr_loss(scores, weights, rated, tf.constant([1])).numpy() == pytest.approx([back])
    # Two back: column 0 meets 1, and column 2 meets 0, which is rated.
    two_back = 0.5 * np.log1p(2)
    both = bpr_loss(scores, weights, rated, tf.constant([1, 2])).numpy()
    assert both == pytest.approx([(back + two_back) / 2])
