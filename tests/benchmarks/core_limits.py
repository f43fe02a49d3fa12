"""What one core can do at most; called in fresh processes."""

import importlib
import time
from collections.abc import Callable


def matrix_product(*, n_repeats: int) -> dict[str, float]:
    """Best FLOP/s of a large float32 matrix product, by NumPy and by TensorFlow."""
    np, tf = (importlib.import_module(name) for name in ("numpy", "tensorflow"))
    size = 3072
    matrix = np.random.default_rng(0).random((size, size), np.float32)
    tensor = tf.constant(matrix)
    flop = 2 * size**3

    def multiply_tensor() -> None:
        (tensor @ tensor).numpy()

    return {
        "numpy": flop / _shortest(lambda: matrix @ matrix, n_repeats),
        "tensorflow": flop / _shortest(multiply_tensor, n_repeats),
    }


def memory_copy(*, n_repeats: int) -> dict[str, float]:
    """Best bytes a second read and written, from memory and within the size of the embedding tables."""
    np = importlib.import_module("numpy")

    def rate(n_bytes: int, n_copies: int) -> float:
        source = np.ones(n_bytes, np.uint8)
        target = np.empty_like(source)

        def copy() -> None:
            for _ in range(n_copies):
                np.copyto(target, source)

        return 2 * n_bytes * n_copies / _shortest(copy, n_repeats)

    return {"memory": rate(1 << 28, 1), "tables": rate(1 << 22, 32)}


def _shortest(call: Callable[[], object], n_repeats: int) -> float:
    call()
    times = []
    for _ in range(n_repeats):
        started = time.perf_counter()
        call()
        times.append(time.perf_counter() - started)
    return min(times)
