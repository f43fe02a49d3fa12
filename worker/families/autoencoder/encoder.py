"""From the ratings of a row to its code: in TensorFlow while training, in float64 wherever it is served.

A row is a user with the items rated, or an item with the users who rated it. Layers, by name:
hidden_kernel (n_columns, hidden_size), hidden_bias      only with a hidden layer
code_kernel (hidden_size or n_columns, size), code_bias      of mult_vae 2 size: means, then log variances
output_kernel (size, n_columns), output_bias (n_columns,)
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse
import scipy.special
import tensorflow as tf

from shared.domain.families.autoencoder import Autoencoder
from worker.ranking.scorers import Float32s, Float64s

NamedArrays = Mapping[str, npt.NDArray[Any]]
Tensors = Mapping[str, tf.Tensor]

# Rows that pass through a hidden layer at once.
_ROWS_AT_ONCE = 512
# The random numbers of dropout are not those of the order of the rows.
_OF_DROPOUT = 1


def initial_parameters(architecture: Autoencoder, n_columns: int, random_seed: int) -> dict[str, Float32s]:
    """Kernels Glorot uniform, biases zero; they depend on the arguments alone."""
    rng = np.random.default_rng(random_seed)

    def kernel(n_inputs: int, n_outputs: int) -> Float32s:
        limit = np.sqrt(6 / (n_inputs + n_outputs))
        return rng.uniform(-limit, limit, (n_inputs, n_outputs)).astype(np.float32)

    size, hidden_size = architecture.size, architecture.hidden_size
    code_size = 2 * size if architecture.kind == "mult_vae" else size
    layers = {}
    if hidden_size:
        layers["hidden_kernel"] = kernel(n_columns, hidden_size)
        layers["hidden_bias"] = np.zeros(hidden_size, np.float32)
    return {
        **layers,
        "code_kernel": kernel(hidden_size or n_columns, code_size),
        "code_bias": np.zeros(code_size, np.float32),
        "output_kernel": kernel(size, n_columns),
        "output_bias": np.zeros(n_columns, np.float32),
    }


def encode_batch(
    architecture: Autoencoder, parameters: Tensors, inputs: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor | None]:
    """(batch, n_columns) -> codes, (batch, size); of mult_vae their means, and the log variances."""
    if architecture.hidden_size:
        inputs = tf.tanh(tf.matmul(inputs, parameters["hidden_kernel"]) + parameters["hidden_bias"])
    code = tf.matmul(inputs, parameters["code_kernel"]) + parameters["code_bias"]
    match architecture.kind:
        case "linear":
            return code, None
        case "dae":
            return tf.tanh(code), None
        case "mult_vae":
            return code[:, : architecture.size], code[:, architecture.size :]
        case "autorec":
            return tf.sigmoid(code), None


def drop(values: Float32s, share: float, random_seed: int, epoch: int) -> Float32s:
    """A share of the inputs is 0, and the others are larger by as much: the expectation stays."""
    if not share:
        return values
    rng = np.random.default_rng((random_seed, epoch, _OF_DROPOUT))
    is_kept = rng.random(len(values), dtype=np.float32) >= share
    return np.where(is_kept, values / np.float32(1 - share), np.float32(0))


def squared_kernels(parameters: Tensors) -> tf.Tensor:
    """Σ kernels²."""
    kernels = [array for name, array in parameters.items() if name.endswith("_kernel")]
    return tf.add_n([tf.reduce_sum(tf.square(kernel)) for kernel in kernels])


def encode_rows(architecture: Autoencoder, weights: NamedArrays, inputs: scipy.sparse.csr_matrix) -> Float64s:
    """(n_rows, n_columns) -> (n_rows, size) float64; a row has the same code alone and among others."""
    size = architecture.size
    code_kernel, code_bias = (
        weights[name][..., :size].astype(np.float64) for name in ("code_kernel", "code_bias")
    )
    if not architecture.hidden_size:
        # SciPy adds the entries of a row one after the other.
        return _activate(architecture)(inputs.astype(np.float64) @ code_kernel + code_bias)
    kernel, bias = (weights[name].astype(np.float64) for name in ("hidden_kernel", "hidden_bias"))
    codes = np.empty((inputs.shape[0], size))
    for first in range(0, len(codes), _ROWS_AT_ONCE):
        tile = slice(first, first + _ROWS_AT_ONCE)
        hidden = np.tanh(inputs[tile].astype(np.float64) @ kernel + bias)
        # einsum without `optimize` adds in one order, whatever stands beside a row.
        codes[tile] = np.einsum("ij,jk->ik", hidden, code_kernel) + code_bias
    return _activate(architecture)(codes)


def _activate(architecture: Autoencoder) -> Callable[[Float64s], Float64s]:
    match architecture.kind:
        case "linear" | "mult_vae":
            return lambda code: code
        case "dae":
            return np.tanh
        case "autorec":
            return scipy.special.expit  # type: ignore[no-any-return]  # SciPy ships no types.
