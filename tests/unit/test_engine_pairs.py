"""What pairs add to an epoch: unrated items, losses that know them, penalties, dropout, whole tables."""

import math

import numpy as np
import pytest
import tensorflow as tf

from shared.domain.families.tower import Tower
from tests.unit.test_engine_epoch import N_ITEMS, N_USERS, OPTIMIZERS, make_ratings, start_of
from worker.engine import epoch as epoch_module
from worker.engine.batches import shuffle_batches
from worker.engine.epoch import compile_epoch
from worker.engine.evaluation import evaluate_with_negatives
from worker.engine.losses import PairLoss
from worker.engine.negatives import draw_items, draw_to_judge, known_items
from worker.engine.optimizers import Sgd
from worker.engine.pair_steps import Surroundings, _make_dropout
from worker.engine.state import catch_up_all, weights_of
from worker.families.tower.model import build_model
from worker.families.tower.network import tower_network
from worker.observations import Observations


def softplus(x):
    return math.log1p(math.exp(x))


def observations(*pairs):
    user, item, rating = np.array(pairs, np.float32).T
    return Observations(user.astype(np.int32), item.astype(np.int32), rating)


def test_losses_by_hand():
    # One rated pair with score 0.5, worth 0.8; unrated with scores 1 and -2, of which the last is rated.
    rated, unrated = tf.constant([0.5]), tf.constant([[1.0], [-2.0], [3.0]])
    target, counts = tf.constant([0.8]), tf.constant([[1.0], [1.0], [0.0]])

    def loss(name):
        return PairLoss(name, 3, 0.25).of_scores(rated, unrated, target, counts).numpy().item()

    # (0.5 - 0.8)² + 0.25 (1 + 4)
    assert loss("squared_error_with_zeros") == pytest.approx(0.09 + 1.25)
    entropy = softplus(0.5) - 0.8 * 0.5
    assert loss("bce") == pytest.approx(entropy + 0.25 * (softplus(1) + softplus(-2)), rel=1e-6)
    # The order: 1 - 0.5 and -2 - 0.5, of three drawn.
    assert loss("bpr") == pytest.approx(0.8 * (softplus(0.5) + softplus(-2.5)) / 3, rel=1e-6)


def test_squared_error_looks_at_every_output():
    outputs = tf.constant([[1.0, 3.0], [2.0, 2.0]])
    # ((1 - 2)² + (3 - 2)²) / 2 and ((2 - 5)² + (2 - 5)²) / 2
    assert PairLoss().of_outputs(outputs, tf.constant([2.0, 5.0])).numpy().tolist() == [1.0, 9.0]


@pytest.mark.parametrize("n_negatives", [1, 5])
def test_draws_that_are_rated_count_nothing_and_name_the_item_of_the_pair(n_negatives):
    ratings = make_ratings(60)
    known = known_items(ratings, N_USERS, N_ITEMS)
    rated = set(zip(ratings.user_index.tolist(), ratings.item_index.tolist(), strict=True))

    items, counts = draw_items(
        known,
        tf.constant(ratings.user_index),
        tf.constant(ratings.item_index),
        n_negatives,
        tf.constant([3, 9]),
    )

    assert items.shape == counts.shape == (n_negatives, 60)
    assert set(counts.numpy().ravel()) == {0.0, 1.0}
    for row in range(n_negatives):
        for user, own, item, counted in zip(
            ratings.user_index, ratings.item_index, items.numpy()[row], counts.numpy()[row], strict=True
        ):
            assert counted == ((user, item) not in rated)
            assert counted or item == own


def test_draws_are_uniform_over_the_unrated_and_follow_seed_and_step():
    # User 0 has rated item 2 of four: items 0, 1 and 3 are left; user 1 has rated nothing.
    known = known_items(observations((0, 2, 5)), 2, 4)
    users, items = tf.constant([0, 1] * 6000), tf.constant([2, 0] * 6000)

    def draw(*seed):
        return [one.numpy() for one in draw_items(known, users, items, 1, tf.constant(seed))]

    drawn, counts = draw(1, 1)
    of_first, of_second = drawn[0, ::2][counts[0, ::2] == 1], drawn[0, 1::2]
    # 6,000 draws with a chance of 1/4: 1,500 each, standard deviation 34.
    assert set(of_first) == {0, 1, 3}
    assert np.abs(np.bincount(of_first, minlength=4)[[0, 1, 3]] - 1500).max() < 170
    assert np.abs(np.bincount(of_second, minlength=4) - 1500).max() < 170
    np.testing.assert_array_equal(drawn, draw(1, 1)[0])
    assert (drawn != draw(1, 2)[0]).any()
    assert (drawn != draw(2, 1)[0]).any()


def test_pairs_to_judge_by_are_the_same_again_and_count_what_has_no_training_rating():
    train, judged = observations((0, 0, 3), (0, 1, 4), (1, 2, 5)), observations(*[(0, 2, 4)] * 200)
    found = draw_to_judge(train, judged, 3, 2, random_seed=4)

    np.testing.assert_array_equal(found.drawn, draw_to_judge(train, judged, 3, 2, random_seed=4).drawn)
    # User 0 has rated items 0 and 1 in training; the rating to judge by is not known there.
    np.testing.assert_array_equal(found.counts, found.drawn == 2)


def run(architecture, optimizer, ratings, batch_size, surroundings=None):
    model = build_model(architecture, N_USERS, N_ITEMS, random_seed=1)
    batches = shuffle_batches(ratings, batch_size, random_seed=0, epoch=1)
    others = () if surroundings is None else (surroundings,)
    network = tower_network(architecture)
    state, loss = compile_epoch(network, optimizer, batch_size)(
        batches,
        tf.constant(0),
        tf.constant(batches.rating.shape[0]),
        start_of(model, optimizer),
        tf.constant(0.0, tf.float64),
        *others,
    )
    return (
        model.weights().named(),
        weights_of(network, catch_up_all(state, optimizer), optimizer),
        float(loss),
    )


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_whole_tables_are_updated_like_their_rows(optimizer, monkeypatch):
    # 30 entries a batch, 12 users and 9 items; the last of each are in no batch.
    ratings = make_ratings(300, n_users=N_USERS - 1, n_items=N_ITEMS - 1)
    architecture = Tower("multiply", 4, (3, 1))
    compile_epoch.cache_clear()
    _, whole, loss = run(architecture, OPTIMIZERS[optimizer], ratings, 30)
    monkeypatch.setattr(epoch_module, "_is_dense", lambda *_: False)
    compile_epoch.cache_clear()
    start, by_row, same_loss = run(architecture, OPTIMIZERS[optimizer], ratings, 30)
    compile_epoch.cache_clear()

    assert loss == pytest.approx(same_loss, rel=1e-6)
    for name, array in whole.items():
        np.testing.assert_allclose(array, by_row[name], rtol=0, atol=2e-6)
    assert (whole["user_embedding"][:-1] != start["user_embedding"][:-1]).any()
    np.testing.assert_array_equal(whole["user_embedding"][-1], start["user_embedding"][-1])
    np.testing.assert_array_equal(whole["item_embedding"][-1], start["item_embedding"][-1])


def test_l2_draws_the_rows_of_a_pair_to_zero_and_no_kernel():
    # One rating, one step: l2 adds rate · 2 l2 θ to the step of each number of its two rows.
    ratings = observations((3, 5, 4.0))
    rate, l2 = 0.1, 0.25
    settings = {"merge": "multiply", "embedding_size": 4, "dense_layers": (1,), "biases": True}
    around = Surroundings(tf.constant(0))
    start, plain, loss = run(Tower(**settings), Sgd(rate), ratings, 1)
    _, drawn, same_loss = run(Tower(**settings, l2=l2), Sgd(rate), ratings, 1, around)

    # The penalty is no part of the loss that is told.
    assert loss == pytest.approx(same_loss, rel=1e-6)
    for name, is_counted in (
        ("user_embedding", True),
        ("item_bias", True),
        ("kernel_1", False),
        ("bias_1", False),
    ):
        shrunk = rate * 2 * l2 * start[name] * is_counted
        if name.startswith(("user", "item")):
            shrunk[np.arange(len(shrunk)) != (3 if name.startswith("user") else 5)] = 0
        np.testing.assert_allclose(drawn[name], plain[name] - shrunk, atol=1e-6)


def test_dropout_leaves_out_its_share_and_keeps_the_mean():
    leave_out = _make_dropout(0.25, tf.constant(5), tf.constant(2))
    first, second = (leave_out(tf.ones((100, 100))).numpy() for _ in range(2))

    assert set(first.ravel()) == {0.0, np.float32(1 / 0.75)}
    # 10,000 draws: a standard deviation of 0.0043.
    assert (first == 0).mean() == pytest.approx(0.25, abs=0.025)
    assert (first != second).any()
    np.testing.assert_array_equal(
        first, _make_dropout(0.25, tf.constant(5), tf.constant(2))(tf.ones((100, 100)))
    )


@pytest.mark.parametrize("merge", ["concatenate", "multiply", "average", "dot"])
@pytest.mark.parametrize("activation", ["linear", "relu"])
def test_the_layers_with_dropout_are_those_without(merge, activation):
    architecture = Tower(merge, 4, (3, 1), activation, biases=True, dropout=0.5)
    network = tower_network(architecture)
    rng = np.random.default_rng(0)
    weights = build_model(architecture, N_USERS, N_ITEMS, random_seed=1).weights().named()
    dense = [
        tf.constant(weights[name] + rng.normal(size=weights[name].shape).astype("f"))
        for name in network.dense
    ]
    users, items = (tf.constant(rng.normal(size=(6, 5)).astype(np.float32)) for _ in range(2))

    same = network.noisy_forward(dense, users, items, lambda values: values)

    np.testing.assert_allclose(same, network.forward(dense, users, items), rtol=1e-4, atol=1e-5)


def test_evaluation_with_negatives_by_hand():
    # Scores are products of single numbers; batches of any size give the same.
    loss = {"loss": "squared_error_with_zeros", "n_negatives": 4, "zero_weight": 0.5}
    network = tower_network(Tower("multiply", 1, (1,), **loss))
    dense = [tf.constant([[1.0]]), tf.constant([0.0])]
    rows = (tf.constant([[1.0], [2.0]]), tf.constant([[0.5], [1.0], [3.0]]))
    train, judged = observations((0, 1, 1.0)), observations((0, 0, 1.0), (1, 1, 0.5))
    drawn = draw_to_judge(train, judged, 3, 4, random_seed=0)

    expected = 0.0
    for column, (user, score, target) in enumerate([(0, 0.5, 1.0), (1, 2.0, 0.5)]):
        zeros = [
            (rows[0].numpy()[user, 0] * rows[1].numpy()[item, 0]) ** 2
            for item in drawn.drawn[:, column]
            if (user, item) != (0, 1)
        ]
        expected += (score - target) ** 2 + 0.5 * sum(zeros)
    for numbers_per_pair in (1, 1 << 22):
        found = evaluate_with_negatives(network, dense, rows, drawn, numbers_per_pair)
        assert found.loss == pytest.approx(expected / 2, rel=1e-6)
        assert found.rmse is None
