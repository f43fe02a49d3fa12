"""Every architecture passes one contract: shapes, weight count, save and load, independent rows."""

import json
import zipfile

import numpy as np
import pytest

from shared.domain.families.tower import Tower
from worker.families.tower.model import build_model, load_model

# Keras 3.15 reads variables in a way that NumPy 2 deprecates.
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"
)

MERGES = ("concatenate", "multiply", "average", "dot")
N_USERS, N_ITEMS, SIZE = 7, 5, 4
USERS = np.array([0, 6, 3, 3, 1])
ITEMS = np.array([4, 0, 2, 2, 3])

architectures = pytest.mark.parametrize(
    "architecture",
    [
        Tower(merge, SIZE, (3, 2, 1), activation)
        for merge in MERGES
        for activation in ("linear", "relu", "gelu", "tanh")
    ]
    + [Tower(merge, SIZE, (1,)) for merge in MERGES],
    ids=lambda architecture: (
        f"{architecture.merge}-{len(architecture.dense_layers)}-{architecture.activation}"
    ),
)


@architectures
def test_outputs_have_their_shapes(architecture):
    model = build_model(architecture, N_USERS, N_ITEMS, random_seed=0)
    n_outputs = SIZE if architecture.merge == "dot" else 1
    vectors = np.ones((5, SIZE), np.float32)

    assert model.n_outputs == n_outputs
    assert model.training([USERS[:, None], ITEMS[:, None]]).shape == (5, n_outputs)
    assert model.serving([USERS[:, None], ITEMS[:, None]]).shape == (5, 1)
    assert model.head([vectors, vectors]).shape == (5, n_outputs)


@architectures
def test_n_parameters_counts_embeddings_kernels_and_biases(architecture):
    model = build_model(architecture, N_USERS, N_ITEMS, random_seed=0)
    n_inputs = 2 * SIZE if architecture.merge == "concatenate" else SIZE
    expected = (N_USERS + N_ITEMS) * SIZE
    for width in architecture.dense_layers:
        expected += (n_inputs + 1) * width
        n_inputs = width
    assert model.n_parameters == expected


@architectures
def test_saved_model_predicts_the_same_and_holds_no_code(architecture, tmp_path):
    model = build_model(architecture, N_USERS, N_ITEMS, random_seed=0)
    model.save(tmp_path / "model.keras")
    loaded = load_model(tmp_path / "model.keras")

    inputs = [USERS[:, None], ITEMS[:, None]]
    np.testing.assert_array_equal(loaded(inputs), model.serving(inputs))
    config = zipfile.ZipFile(tmp_path / "model.keras").read("config.json").decode()
    assert "Lambda" not in config
    assert {layer["module"].split(".")[0] for layer in json.loads(config)["config"]["layers"]} == {"keras"}


@architectures
def test_row_of_a_batch_equals_the_row_alone(architecture):
    model = build_model(architecture, N_USERS, N_ITEMS, random_seed=0)
    together = model.serving([USERS[:, None], ITEMS[:, None]]).numpy()
    for row in range(len(USERS)):
        alone = model.serving([USERS[row : row + 1, None], ITEMS[row : row + 1, None]]).numpy()
        np.testing.assert_allclose(together[row : row + 1], alone, rtol=1e-6, atol=1e-8)


@architectures
def test_head_training_and_serving_share_their_weights(architecture):
    model = build_model(architecture, N_USERS, N_ITEMS, random_seed=0)
    weights = model.weights()
    inputs = [USERS[:, None], ITEMS[:, None]]
    outputs = model.training(inputs).numpy()

    head = model.head([weights.user_embedding[USERS], weights.item_embedding[ITEMS]])
    np.testing.assert_allclose(head, outputs, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(model.serving(inputs)[:, 0], outputs.mean(1), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize(
    ("merge", "size", "dense_layers", "n_parameters"),
    [
        # (6040 + 3952) * 50 = 499600; dense: 100*64+64 + 64*32+32 + 32+1 = 8577
        ("concatenate", 50, (64, 32, 1), 508_177),
        # 499600 + 100*32+32 + 32*16+16 + 16+1 = 499600 + 3777
        ("concatenate", 50, (32, 16, 1), 503_377),
        # 999200 + 200*64+64 + 2080 + 33
        ("concatenate", 100, (64, 32, 1), 1_014_177),
        # 499600 + 50*64+64 + 2080 + 33
        ("multiply", 50, (64, 32, 1), 504_977),
        # 999200 + 100*32+32 + 528 + 17
        ("average", 100, (32, 16, 1), 1_002_977),
        # the dense layers see one row of the outer product: 100 inputs
        ("dot", 100, (64, 32, 1), 1_007_777),
    ],
)
def test_reference_models_have_the_parameter_counts_of_the_reference_run(
    merge, size, dense_layers, n_parameters
):
    assert build_model(Tower(merge, size, dense_layers), 6040, 3952, 0).n_parameters == n_parameters


def test_dot_outputs_pass_every_row_of_the_outer_product_through_the_dense_layers():
    model = build_model(Tower("dot", SIZE, (3, 1), "tanh"), N_USERS, N_ITEMS, random_seed=0)
    weights = model.weights()
    (kernel_1, bias_1), (kernel_2, bias_2) = weights.dense
    outer = np.outer(weights.user_embedding[6], weights.item_embedding[2])
    expected = np.tanh(outer @ kernel_1 + bias_1) @ kernel_2 + bias_2

    outputs = model.training([np.array([[6]]), np.array([[2]])])

    np.testing.assert_allclose(outputs[0], expected[:, 0], rtol=1e-5, atol=1e-9)


def test_initial_weights_depend_on_the_random_seed_alone():
    architecture = Tower("average", 8, (4, 1))
    first, again, other = (build_model(architecture, 40, 30, seed).weights() for seed in (3, 3, 4))

    np.testing.assert_array_equal(first.user_embedding, again.user_embedding)
    np.testing.assert_array_equal(first.dense[0][0], again.dense[0][0])
    assert not np.array_equal(first.user_embedding, other.user_embedding)
    assert not np.array_equal(first.user_embedding[:30], first.item_embedding)


def test_initial_embeddings_are_uniform_within_a_twentieth_and_biases_zero():
    weights = build_model(Tower("average", 8, (4, 1)), 400, 300, random_seed=0).weights()
    for embedding in (weights.user_embedding, weights.item_embedding):
        assert 0.045 < embedding.max() <= 0.05
        assert -0.05 <= embedding.min() < -0.045
    # Glorot uniform: the bound is sqrt(6 / (8 + 4)).
    assert np.abs(weights.dense[0][0]).max() <= np.sqrt(6 / 12)
    assert all(not bias.any() for _, bias in weights.dense)


def test_set_weights_replaces_all_of_them():
    architecture = Tower("concatenate", 4, (3, 1))
    model, other = (build_model(architecture, N_USERS, N_ITEMS, seed) for seed in (0, 1))
    model.set_weights(other.weights())
    inputs = [USERS[:, None], ITEMS[:, None]]
    np.testing.assert_array_equal(model.serving(inputs), other.serving(inputs))


def test_summary_lists_every_layer_and_the_parameter_count():
    summary = build_model(Tower("multiply", 4, (3, 1)), N_USERS, N_ITEMS, random_seed=0).summary()
    for name in (
        "user_index",
        "item_index",
        "user_embedding",
        "item_embedding",
        "merge",
        "dense_1",
        "dense_2",
    ):
        assert name in summary
    # (7 + 5) * 4 + 4*3+3 + 3+1
    assert "Total params: 67" in summary
    assert max(map(len, summary.splitlines())) <= 80
