"""The learned numbers of one model as NumPy arrays: what is scored, checkpointed and compared in tests."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Weights:
    """Embeddings and dense layers, float32.

    user_embedding: (n_users, embedding_size)      item_embedding: (n_item_rows, embedding_size); rows from
    n_items on belong to no item      dense: (kernel (n_inputs, n_outputs), bias (n_outputs,)) a layer
    """

    user_embedding: Array
    item_embedding: Array
    dense: tuple[tuple[Array, Array], ...]
