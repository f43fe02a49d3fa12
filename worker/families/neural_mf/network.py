"""Neural matrix factorisation as the engine sees it, and the weights that it begins with."""

from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from shared.domain.families.neural_mf import NeuralMf
from worker.engine.losses import PairLoss
from worker.engine.network import Forward, LeaveOut, Network, NoisyForward, repeat_users
from worker.engine.state import Weights

_CACHE_SIZE = 4
_ROW_DEVIATION = 0.05


@lru_cache(maxsize=_CACHE_SIZE)
def neural_mf_network(architecture: NeuralMf, featured: tuple[bool, bool]) -> Network:
    """A row is vector, inputs and bias side by side. `featured`: whether users, and items, have features."""
    n_layers = len(architecture.dense_layers)
    dense = [f"{name}_{number}" for number in range(1, n_layers + 1) for name in ("kernel", "bias")]
    dense += [f"{side}_feature_kernel" for side, has in zip(("user", "item"), featured, strict=True) if has]
    n_negatives = 0 if architecture.loss == "squared_error" else architecture.n_negatives

    def parts(side: str) -> tuple[tuple[str, int], ...]:
        return (
            (f"{side}_vectors", architecture.size),
            (f"{side}_inputs", architecture.input_size),
            (f"{side}_bias", 1),
        )

    return Network(
        architecture,
        user_parts=parts("user"),
        item_parts=parts("item"),
        dense=tuple(dense),
        loss=PairLoss(architecture.loss, n_negatives, architecture.zero_weight),
        forward=_forward(architecture),
        noisy_forward=_noisy_forward(architecture) if architecture.dropout else None,
        dropout=architecture.dropout,
        l2=architecture.l2,
        featured=featured,
    )


def initial_weights(
    architecture: NeuralMf,
    n_rated: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]],
    n_features: tuple[int, int],
    start: float,
    random_seed: int,
) -> Weights:
    """Rows normal with deviation 0.05, kernels Glorot uniform, biases and the kernels of features zero.

    n_rated: of each user and of each item row, how many training ratings; a row without any begins at zero,
    so that its features alone say what it is. start: the last bias.
    """
    generator = np.random.default_rng((random_seed, 0x6E6D66))
    weights: dict[str, npt.NDArray[np.float32]] = {}
    for side, counts in zip(("user", "item"), n_rated, strict=True):
        for name, width in (("vectors", architecture.size), ("inputs", architecture.input_size)):
            rows = generator.standard_normal((len(counts), width), np.float32) * np.float32(_ROW_DEVIATION)
            rows[counts == 0] = 0
            weights[f"{side}_{name}"] = rows
        weights[f"{side}_bias"] = np.zeros((len(counts), 1), np.float32)
    widths = (2 * architecture.input_size, *architecture.dense_layers)
    for number, (n_inputs, n_outputs) in enumerate(pairwise(widths), start=1):
        limit = (6 / (n_inputs + n_outputs)) ** 0.5
        kernel = generator.uniform(-limit, limit, (n_inputs, n_outputs))
        weights[f"kernel_{number}"] = kernel.astype(np.float32)
        weights[f"bias_{number}"] = np.zeros(n_outputs, np.float32)
    weights[f"bias_{len(architecture.dense_layers)}"][:] = start
    row_width = architecture.size + architecture.input_size + 1
    for side, n_columns in zip(("user", "item"), n_features, strict=True):
        if n_columns:
            weights[f"{side}_feature_kernel"] = np.zeros((n_columns, row_width), np.float32)
    return weights


def _forward(architecture: NeuralMf) -> Forward:
    def forward(dense: Sequence[tf.Tensor], users: tf.Tensor, items: tf.Tensor) -> tf.Tensor:
        return _score(architecture, dense, users, items, None)

    return forward


def _noisy_forward(architecture: NeuralMf) -> NoisyForward:
    def forward(
        dense: Sequence[tf.Tensor], users: tf.Tensor, items: tf.Tensor, leave_out: LeaveOut
    ) -> tf.Tensor:
        return _score(architecture, dense, users, items, leave_out)

    return forward


def _score(
    architecture: NeuralMf,
    dense: Sequence[tf.Tensor],
    users: tf.Tensor,
    items: tf.Tensor,
    leave_out: LeaveOut | None,
) -> tf.Tensor:
    """(n_pairs, 1)."""
    sizes = [architecture.size, architecture.input_size, 1]
    item_vectors, item_inputs, item_bias = tf.split(items, sizes, axis=1)
    n_users = users.shape[0]
    user_vectors, user_inputs, user_bias = tf.split(users, sizes, axis=1)
    by_user = tf.reshape(item_vectors, (-1, n_users, architecture.size))
    products = tf.reshape(tf.reduce_sum(by_user * user_vectors, axis=2), (-1, 1))
    activate = keras.activations.get(architecture.activation)
    width = architecture.input_size
    if leave_out is None:
        # The user's share of the first layer is the same for all items of a user.
        of_users = repeat_users(user_inputs @ dense[0][:width], items)
        tensor = of_users + item_inputs @ dense[0][width:] + dense[1]
    else:
        inputs = tf.concat([repeat_users(user_inputs, items), item_inputs], axis=1)
        tensor = leave_out(inputs) @ dense[0] + dense[1]
    for layer in range(2, len(dense), 2):
        tensor = activate(tensor)
        tensor = (tensor if leave_out is None else leave_out(tensor)) @ dense[layer] + dense[layer + 1]
    return products + tensor + repeat_users(user_bias, items) + item_bias
