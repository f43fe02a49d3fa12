"""From rows of the embeddings to predictions, as cheaply as the architecture allows."""

from collections.abc import Sequence
from functools import lru_cache

import keras
import tensorflow as tf

from shared.domain.families.tower import Merge, Tower
from worker.engine.network import Forward, LeaveOut, NoisyForward, repeat_users
from worker.families.tower.merges import MERGES
from worker.families.tower.model import build_model

_CACHE_SIZE = 4


@lru_cache(maxsize=_CACHE_SIZE)
def make_forward(architecture: Tower) -> Forward:
    """The same function of the same weights as the head of `build_model(architecture, …)`.

    With biases a row ends in one, which is added to every output.
    """
    head = _make_head(architecture)
    size = architecture.embedding_size

    def forward(parameters: Sequence[tf.Tensor], user_rows: tf.Tensor, item_rows: tf.Tensor) -> tf.Tensor:
        user_rows = repeat_users(user_rows, item_rows)
        if not architecture.biases:
            return head(parameters, user_rows, item_rows)
        outputs = head(parameters, user_rows[:, :size], item_rows[:, :size])
        return outputs + user_rows[:, size:] + item_rows[:, size:]

    return forward


def make_noisy_forward(architecture: Tower) -> NoisyForward:
    """The same layer by layer, with dropout of what enters each dense layer."""
    size = architecture.embedding_size
    merge = MERGES[architecture.merge].layer()
    activate = keras.activations.get(architecture.activation)

    def forward(
        parameters: Sequence[tf.Tensor], user_rows: tf.Tensor, item_rows: tf.Tensor, leave_out: LeaveOut
    ) -> tf.Tensor:
        user_rows = repeat_users(user_rows, item_rows)
        # (n_pairs, 1, n_inputs); of dot the outer products, (n_pairs, embedding_size, embedding_size).
        tensor = merge([user_rows[:, tf.newaxis, :size], item_rows[:, tf.newaxis, :size]])
        for layer in range(0, len(parameters), 2):
            if layer:
                tensor = activate(tensor)
            tensor = tf.tensordot(leave_out(tensor), parameters[layer], 1) + parameters[layer + 1]
        outputs = tensor[..., 0]
        return outputs + user_rows[:, size:] + item_rows[:, size:] if architecture.biases else outputs

    return forward


def _make_head(architecture: Tower) -> Forward:
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
