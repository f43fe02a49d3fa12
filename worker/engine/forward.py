"""From rows of the embeddings to predictions, as cheaply as the architecture allows."""

from collections.abc import Callable, Sequence
from functools import lru_cache

import tensorflow as tf

from shared.domain.families.tower import Merge, Tower
from worker.families.tower.merges import MERGES
from worker.families.tower.model import build_model

# (dense parameters: kernel, bias, kernel, …; user rows; item rows, (batch, embedding_size) each)
# -> (batch, n_outputs)
Forward = Callable[[Sequence[tf.Tensor], tf.Tensor, tf.Tensor], tf.Tensor]

_CACHE_SIZE = 4


@lru_cache(maxsize=_CACHE_SIZE)
def make_forward(architecture: Tower) -> Forward:
    """The same function of the same weights as the head of `build_model(architecture, …)`."""
    if architecture.is_linear:
        return _linear_forward(architecture.merge)
    return _keras_forward(architecture)


def _keras_forward(architecture: Tower) -> Forward:
    # The weights come with every call: those of this head, and its embeddings of one row, are never used.
    head = build_model(architecture, n_users=1, n_item_rows=1, random_seed=0).head
    non_trainable = [variable.value for variable in head.non_trainable_variables]

    def forward(parameters: Sequence[tf.Tensor], user_rows: tf.Tensor, item_rows: tf.Tensor) -> tf.Tensor:
        outputs, _ = head.stateless_call(list(parameters), non_trainable, [user_rows, item_rows])
        return outputs

    return forward


def _linear_forward(merge: Merge) -> Forward:
    def forward(parameters: Sequence[tf.Tensor], user_rows: tf.Tensor, item_rows: tf.Tensor) -> tf.Tensor:
        return MERGES[merge].forward(user_rows, item_rows, *_fold(parameters))

    return forward


def _fold(parameters: Sequence[tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
    """Kernel (n_inputs, 1) and bias (1, 1) of the dense layers taken together: W1 (W2 W3), …

    From the last layer backwards every product is a matrix times one column.
    """
    kernel, bias = parameters[-2], parameters[-1][tf.newaxis]
    for layer in range(len(parameters) - 4, -1, -2):
        bias += parameters[layer + 1][tf.newaxis] @ kernel
        kernel = parameters[layer] @ kernel
    return kernel, bias
