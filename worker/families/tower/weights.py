"""The learned numbers of one model as NumPy arrays: what is scored, checkpointed and compared in tests."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Weights:
    """Embeddings and dense layers, float32.

    user_embedding: (n_users, embedding_size)      item_embedding: (n_item_rows, embedding_size); rows from
    n_items on belong to no item      dense: (kernel (n_inputs, n_outputs), bias (n_outputs,)) a layer
    user_bias: (n_users, 1)      item_bias: (n_item_rows, 1); both None where a tower has no biases
    """

    user_embedding: Array
    item_embedding: Array
    dense: tuple[tuple[Array, Array], ...]
    user_bias: Array | None = None
    item_bias: Array | None = None

    def named(self) -> dict[str, Array]:
        """Every array under a name: user_embedding, item_embedding, kernel_1, bias_1, kernel_2, …"""
        layers = {
            f"{name}_{number}": array
            for number, layer in enumerate(self.dense, start=1)
            for name, array in zip(("kernel", "bias"), layer, strict=True)
        }
        biases = {"user_bias": self.user_bias, "item_bias": self.item_bias}
        return {
            "user_embedding": self.user_embedding,
            "item_embedding": self.item_embedding,
            **layers,
            **{name: array for name, array in biases.items() if array is not None},
        }


def from_named(arrays: Mapping[str, Any]) -> Weights:
    """Undo `Weights.named`."""
    n_layers = sum(name.startswith("kernel_") for name in arrays)
    dense = tuple((arrays[f"kernel_{number}"], arrays[f"bias_{number}"]) for number in range(1, n_layers + 1))
    return Weights(
        arrays["user_embedding"],
        arrays["item_embedding"],
        dense,
        arrays.get("user_bias"),
        arrays.get("item_bias"),
    )
