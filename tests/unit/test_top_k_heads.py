"""Scores and lists of every head against a plain float64 evaluation, and against the saved Keras model."""

import math
from itertools import product

import numpy as np
import pytest

from shared.datasets import split_ratings
from shared.domain.families.tower import Tower
from shared.domain.protocol import Protocol
from tests.unit.ranking_cases import all_pairs, assert_same, brute_force, lists_of, random_dataset
from worker.families.tower.model import build_model, load_model
from worker.families.tower.scorer import weights_scorer
from worker.families.tower.weights import Weights
from worker.ranking.scorers import LinearScorer, exact_scores
from worker.ranking.top_k import recommend_all

N_USERS, N_ITEMS, N_RATINGS = 40, 90, 700
MERGES = ["concatenate", "multiply", "average", "dot"]
ACTIVATIONS = ["linear", "relu", "gelu", "tanh", "sigmoid", "elu", "selu", "silu", "softplus"]
HEADS = list(product(MERGES, ACTIVATIONS))

_erfc = np.vectorize(math.erfc)
# TensorFlow rounds this constant of gelu to float32, in float64 too.
_ROOT_OF_HALF = float(np.float32(math.sqrt(0.5)))
_SELU_ALPHA, _SELU_SCALE = 1.6732632423543772, 1.0507009873554805
# Keras 3's definitions: gelu is the exact one, elu has alpha 1.
REFERENCE = {
    "linear": lambda x: x,
    "relu": lambda x: np.maximum(x, 0),
    "gelu": lambda x: 0.5 * x * _erfc(-x * _ROOT_OF_HALF),
    "tanh": np.tanh,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "elu": lambda x: np.where(x > 0, x, np.expm1(x)),
    "selu": lambda x: _SELU_SCALE * np.where(x > 0, x, _SELU_ALPHA * np.expm1(x)),
    "silu": lambda x: x / (1 + np.exp(-x)),
    "softplus": lambda x: np.logaddexp(x, 0),
}


def random_weights(architecture, seed=0, scale=1.0, n_item_rows=N_ITEMS + 3):
    rng = np.random.default_rng(seed)
    size = architecture.embedding_size
    n_inputs = 2 * size if architecture.merge == "concatenate" else size
    dense = []
    for n_outputs in architecture.dense_layers:
        kernel = rng.normal(scale=scale / math.sqrt(n_inputs), size=(n_inputs, n_outputs))
        dense.append((kernel.astype(np.float32), rng.normal(scale=0.1, size=n_outputs).astype(np.float32)))
        n_inputs = n_outputs
    users = rng.normal(scale=scale, size=(N_USERS, size)).astype(np.float32)
    items = rng.normal(scale=scale, size=(n_item_rows, size)).astype(np.float32)
    return Weights(users, items, tuple(dense))


def reference_scores(architecture, weights):
    """All scores, (N_USERS, N_ITEMS), layer by layer as Keras has them, in float64."""
    users, items = (
        table.astype(np.float64) for table in (weights.user_embedding, weights.item_embedding[:N_ITEMS])
    )
    user, item = users[:, None, None, :], items[None, :, None, :]  # (users, items, 1, embedding_size)
    if architecture.merge == "concatenate":
        tensor = np.concatenate(np.broadcast_arrays(user, item), axis=3)
    elif architecture.merge == "multiply":
        tensor = user * item
    elif architecture.merge == "average":
        tensor = (user + item) / 2
    else:
        tensor = (
            users[:, None, :, None] * item
        )  # Outer products, (users, items, embedding_size, embedding_size).
    for number, (kernel, bias) in enumerate(weights.dense, start=1):
        tensor = tensor @ kernel.astype(np.float64) + bias.astype(np.float64)
        if number < len(weights.dense):
            tensor = REFERENCE[architecture.activation](tensor)
    return tensor[..., 0].mean(axis=2)


def fill_ties(weights):
    """The same vector for items 10 to 39: 30 items that no user can tell apart."""
    weights.item_embedding[10:40] = weights.item_embedding[10]
    return weights


@pytest.fixture(scope="module")
def dataset():
    return random_dataset(N_USERS, N_ITEMS, N_RATINGS)


@pytest.mark.parametrize(("merge", "activation"), HEADS)
def test_lists_equal_brute_force_with_ties(merge, activation, dataset):
    architecture = Tower(merge, 6, (8, 4, 1), activation)
    weights = fill_ties(random_weights(architecture))
    split = split_ratings(dataset, Protocol())
    scorer = weights_scorer(architecture, weights, N_ITEMS)

    recommended = recommend_all(scorer, dataset, split, Protocol()).recommendations

    scores = reference_scores(architecture, weights).astype(np.float32)
    assert lists_of(recommended, N_USERS) == brute_force(scores, dataset, split, Protocol())
    np.testing.assert_allclose(
        recommended.score, scores[recommended.user_index, recommended.item_index], rtol=1e-6, atol=1e-7
    )


@pytest.mark.parametrize("scale", [0.05, 1.0, 30.0])
@pytest.mark.parametrize(("merge", "activation"), HEADS)
def test_blocks_stay_within_the_error_bound(merge, activation, scale):
    architecture = Tower(merge, 12, (16, 8, 1), activation)
    scorer = weights_scorer(architecture, random_weights(architecture, scale=scale), N_ITEMS)
    users = np.arange(N_USERS)

    errors = np.abs(
        scorer.score_block(users) - scorer.score_pairs(*all_pairs(N_USERS, N_ITEMS)).reshape(N_USERS, -1)
    )

    assert (errors.max(axis=1) <= scorer.error_bound(users)).all()


@pytest.mark.parametrize(("merge", "activation"), HEADS)
def test_pairs_are_scored_as_in_float64(merge, activation):
    architecture = Tower(merge, 6, (8, 4, 1), activation)
    weights = random_weights(architecture)
    scorer = weights_scorer(architecture, weights, N_ITEMS)

    scores = scorer.score_pairs(*all_pairs(N_USERS, N_ITEMS)).reshape(N_USERS, N_ITEMS)

    np.testing.assert_allclose(scores, reference_scores(architecture, weights), rtol=1e-12, atol=1e-13)
    assert scorer.predict_ratings(np.array([3]), np.array([5]))[0] == pytest.approx(scores[3, 5], rel=1e-14)


@pytest.mark.parametrize("dense_layers", [(1,), (5, 1)])
@pytest.mark.parametrize("merge", MERGES)
def test_short_heads_are_scored_as_in_float64(merge, dense_layers):
    architecture = Tower(merge, 1, dense_layers, "relu")
    weights = random_weights(architecture)
    scorer = weights_scorer(architecture, weights, N_ITEMS)

    scores = scorer.score_pairs(*all_pairs(N_USERS, N_ITEMS)).reshape(N_USERS, N_ITEMS)

    np.testing.assert_allclose(scores, reference_scores(architecture, weights), rtol=1e-12, atol=1e-13)


def test_a_linear_head_that_is_no_product_of_vectors_is_scored_as_one_that_is(monkeypatch):
    # What `Elementwise` does for a merge that says no more than it must.
    architecture, users = Tower("multiply", 6, (8, 4, 1)), np.arange(N_USERS)
    weights = random_weights(architecture)
    monkeypatch.setattr("worker.families.tower.merges.Multiply.linear_scorer", lambda *_: None)
    scorer = weights_scorer(architecture, weights, N_ITEMS)

    scores = scorer.score_pairs(*all_pairs(N_USERS, N_ITEMS)).reshape(N_USERS, N_ITEMS)

    assert not isinstance(scorer, LinearScorer)
    np.testing.assert_allclose(scores, reference_scores(architecture, weights), rtol=1e-12, atol=1e-13)
    errors = np.abs(scorer.score_block(users) - scores).max(axis=1)
    assert (errors <= scorer.error_bound(users)).all()


@pytest.mark.parametrize("merge", MERGES)
def test_items_and_users_are_cut_into_tiles(merge, monkeypatch):
    architecture = Tower(merge, 6, (8, 4, 1), "relu")
    weights = random_weights(architecture)
    whole = weights_scorer(architecture, weights, N_ITEMS).score_block(np.arange(N_USERS))
    monkeypatch.setattr(
        "worker.families.tower.scorer._BLOCK_TILE_NUMBERS", 8 * 6 * 40
    )  # 40 pairs for dot, else 240.

    tiled = weights_scorer(architecture, weights, N_ITEMS).score_block(np.arange(N_USERS))

    np.testing.assert_allclose(tiled, whole, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("activation", ["linear", "relu", "gelu"])
@pytest.mark.parametrize("merge", MERGES)
def test_lists_of_heads_do_not_depend_on_block_size_or_threads(merge, activation, dataset):
    architecture = Tower(merge, 6, (8, 4, 1), activation)
    split = split_ratings(dataset, Protocol())
    scorer = weights_scorer(architecture, random_weights(architecture), N_ITEMS)
    expected = recommend_all(scorer, dataset, split, Protocol())

    got = recommend_all(scorer, dataset, split, Protocol(), block_scores=3 * N_ITEMS, n_threads=3)

    assert_same(got.recommendations, expected.recommendations)
    assert_same(got.evaluated["validation"], expected.evaluated["validation"])


def test_a_collapsed_head_recommends_in_item_order(dataset):
    # Every hidden unit is off: all scores are the last bias.
    architecture = Tower("concatenate", 6, (8, 4, 1), "relu")
    weights = random_weights(architecture)
    weights.dense[0][1][:] = -1000
    weights.dense[1][1][:] = -1
    split = split_ratings(dataset, Protocol())
    scorer = weights_scorer(architecture, weights, N_ITEMS)

    recommended = recommend_all(scorer, dataset, split, Protocol()).recommendations

    assert lists_of(recommended, N_USERS) == brute_force(
        np.zeros((N_USERS, N_ITEMS)), dataset, split, Protocol()
    )
    assert set(recommended.score.tolist()) == {float(weights.dense[2][1][0])}


# Keras reads its own variables in a way that NumPy 2 deprecates.
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.parametrize(("merge", "activation"), HEADS)
def test_lists_are_those_of_the_saved_keras_model(merge, activation, dataset, tmp_path):
    """Keras predicts in float32, so its scores differ from the exact ones by rounding.

    Its own list may differ from the exact one only where its scores are nearer to each other than twice that
    rounding: at every rank, both lists hold items whose Keras scores agree within it.
    """
    architecture = Tower(merge, 6, (8, 4, 1), activation)
    model = build_model(architecture, N_USERS, N_ITEMS + 3, random_seed=1)
    model.set_weights(random_weights(architecture))
    model.save(tmp_path / "model.keras")
    split = split_ratings(dataset, Protocol())
    scorer = weights_scorer(architecture, model.weights(), N_ITEMS)
    user_index, item_index = all_pairs(N_USERS, N_ITEMS)

    recommended = recommend_all(scorer, dataset, split, Protocol()).recommendations

    inputs = [user_index[:, None], item_index[:, None]]
    keras_scores = load_model(tmp_path / "model.keras")(inputs).numpy()
    keras_scores = keras_scores.reshape(N_USERS, N_ITEMS)
    exact = exact_scores(scorer, user_index, item_index).reshape(N_USERS, N_ITEMS)
    rounding = np.abs(keras_scores - exact).max()
    assert rounding < 2e-6 * max(1, np.abs(exact).max())
    keras_lists = brute_force(keras_scores, dataset, split, Protocol())
    for user, (ours, theirs) in enumerate(zip(lists_of(recommended, N_USERS), keras_lists, strict=True)):
        assert len(ours) == len(theirs)
        assert np.abs(keras_scores[user, ours] - keras_scores[user, theirs]).max(initial=0) <= 2 * rounding
