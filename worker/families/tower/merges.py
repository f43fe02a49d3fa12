"""How the two rows of a pair become the inputs of the dense layers: all that the product knows of a merge.

A merge of one number of the user with one of the item is an `Elementwise`: it says what it makes of two
numbers, and is trained, scored and bounded by that alone. The others are of another shape, or faster.
"""

import abc
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from shared.domain.families.tower import Merge
from worker.ranking.scorers import Float64s, LinearScorer


class Merging(abc.ABC):
    """A merge of two rows; u and v stand for the entries of the user's and of the item's.

    The first dense layer, of kernel K and bias b, is computed from a user part, (n_copies, width) of each
    user, and an item part, (width,), of each item.
    """

    @abc.abstractmethod
    def layer(self) -> keras.layers.Layer:
        """The layer of the Keras model, named "merge"; its inputs are two tensors (batch, 1, size)."""

    @abc.abstractmethod
    def forward(
        self, user_rows: tf.Tensor, item_rows: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor
    ) -> tf.Tensor:
        """Outputs of rows (batch, size) where all dense layers are one: kernel (n_inputs, 1), bias (1, 1)."""

    def linear_scorer(
        self, users: Float64s, items: Float64s, weight: Float64s, bias: float
    ) -> LinearScorer | None:
        """Where all dense layers are one, weight (n_inputs,): the scorer, if it is a product of vectors."""
        del users, items, weight, bias
        return None

    @abc.abstractmethod
    def split(
        self, users: Float64s, items: Float64s, kernel: Float64s, bias: Float64s
    ) -> tuple[Float64s, Float64s]:
        """User part, (n_users, n_copies, width), and item part, (n_items, width)."""

    @abc.abstractmethod
    def first_layer(self, user_part: Any, item_part: Any, kernel: Any, bias: Any) -> Any:  # noqa: ANN401  Tensors.
        """The first layer, before its activation, of parts that broadcast."""

    @abc.abstractmethod
    def first_layer_size(
        self, user_part: Float64s, largest_item: Float64s, kernel: Float64s, bias: Float64s
    ) -> tuple[Float64s, int]:
        """What its entries do not exceed, given |user part| and the largest |item part|; its roundings."""


class Elementwise(Merging):
    """One number of each row gives one of the merged row; the parts are the rows."""

    @abc.abstractmethod
    def merge(self, user_rows: Any, item_rows: Any) -> Any:  # noqa: ANN401  Tensors.
        """The merged rows, (…, size), of two tensors that broadcast."""

    @abc.abstractmethod
    def size(self, user_size: Float64s, largest_item: Float64s) -> Float64s:
        """What no merged number exceeds in size, given |u| and the largest |v| of any item."""

    def forward(
        self, user_rows: tf.Tensor, item_rows: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor
    ) -> tf.Tensor:
        """The merged rows times the kernel."""
        return self.merge(user_rows, item_rows) @ kernel + bias

    def split(
        self, users: Float64s, items: Float64s, kernel: Float64s, bias: Float64s
    ) -> tuple[Float64s, Float64s]:
        """The rows."""
        del kernel, bias
        return users[:, None], items

    def first_layer(self, user_part: Any, item_part: Any, kernel: Any, bias: Any) -> Any:  # noqa: ANN401
        """The merged rows times the kernel."""
        return tf.tensordot(self.merge(user_part, item_part), kernel, 1) + bias

    def first_layer_size(
        self, user_part: Float64s, largest_item: Float64s, kernel: Float64s, bias: Float64s
    ) -> tuple[Float64s, int]:
        """The merged sizes times those of the kernel: rounded are kernel, merge, products, sum and bias."""
        return self.size(user_part, largest_item) @ np.abs(kernel) + np.abs(bias), len(kernel) + 3


class Multiply(Elementwise):
    """u·v."""

    def layer(self) -> keras.layers.Layer:
        """Keras' product."""
        return keras.layers.Multiply(name="merge")

    def merge(self, user_rows: Any, item_rows: Any) -> Any:  # noqa: ANN401
        """The products."""
        return user_rows * item_rows

    def size(self, user_size: Float64s, largest_item: Float64s) -> Float64s:
        """The products of the sizes."""
        return user_size * largest_item

    def linear_scorer(self, users: Float64s, items: Float64s, weight: Float64s, bias: float) -> LinearScorer:
        """(u∘w)·v + c."""
        return LinearScorer(users * weight, items, np.full(len(users), bias), np.zeros(len(items)))


class _Sum(Merging):
    """A first layer that is the sum of one of the user's row and one of the item's."""

    @abc.abstractmethod
    def kernels(self, kernel: Float64s) -> tuple[Float64s, Float64s]:
        """Those of the user's and of the item's row."""

    def linear_scorer(self, users: Float64s, items: Float64s, weight: Float64s, bias: float) -> LinearScorer:
        """u·w₁ + v·w₂ + c: two offsets."""
        user_weight, item_weight = self.kernels(weight)
        # einsum without `optimize` adds in one order, whatever the number of threads.
        return LinearScorer(
            users[:, :0],
            items[:, :0],
            np.full(len(users), bias) + np.einsum("ij,j->i", users, user_weight),
            np.zeros(len(items)) + np.einsum("ij,j->i", items, item_weight),
        )

    def split(
        self, users: Float64s, items: Float64s, kernel: Float64s, bias: Float64s
    ) -> tuple[Float64s, Float64s]:
        """U K₁ + b and V K₂."""
        user_kernel, item_kernel = self.kernels(kernel)
        user_part = np.einsum("ij,jk->ik", users, user_kernel) + bias
        return user_part[:, None], np.einsum("ij,jk->ik", items, item_kernel)

    def first_layer(self, user_part: Any, item_part: Any, kernel: Any, bias: Any) -> Any:  # noqa: ANN401
        """The sum."""
        del kernel, bias
        return user_part + item_part

    def first_layer_size(
        self, user_part: Float64s, largest_item: Float64s, kernel: Float64s, bias: Float64s
    ) -> tuple[Float64s, int]:
        """The sum of the sizes."""
        del kernel, bias
        return user_part + largest_item, 3


class Concatenate(_Sum):
    """The user's row, then the item's."""

    def layer(self) -> keras.layers.Layer:
        """Keras' own."""
        return keras.layers.Concatenate(name="merge")

    def forward(
        self, user_rows: tf.Tensor, item_rows: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor
    ) -> tf.Tensor:
        """The same as the concatenated rows times the kernel, without building them."""
        size = user_rows.shape[1]
        return user_rows @ kernel[:size] + item_rows @ kernel[size:] + bias

    def kernels(self, kernel: Float64s) -> tuple[Float64s, Float64s]:
        """Its two halves."""
        size = len(kernel) // 2
        return kernel[:size], kernel[size:]


class Average(_Sum):
    """(u + v) / 2."""

    def layer(self) -> keras.layers.Layer:
        """Keras' own."""
        return keras.layers.Average(name="merge")

    def forward(
        self, user_rows: tf.Tensor, item_rows: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor
    ) -> tf.Tensor:
        """The mean row times the kernel."""
        return ((user_rows + item_rows) * 0.5) @ kernel + bias

    def kernels(self, kernel: Float64s) -> tuple[Float64s, Float64s]:
        """Half the kernel, twice."""
        return kernel / 2, kernel / 2


class Dot(Merging):
    """The outer product u vᵀ: each of its rows passes through the dense layers; the score is their mean."""

    def layer(self) -> keras.layers.Layer:
        """Dot(axes=1) of rows (batch, 1, size) is their outer product."""
        return keras.layers.Dot(axes=1, name="merge")

    def forward(
        self, user_rows: tf.Tensor, item_rows: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor
    ) -> tf.Tensor:
        """Row e of the outer product is user[e] * item: it becomes user[e] * (item @ kernel) + bias."""
        return user_rows * (item_rows @ kernel) + bias

    def linear_scorer(self, users: Float64s, items: Float64s, weight: Float64s, bias: float) -> LinearScorer:
        """The mean over the outer product's rows: mean(u) (v·w) + c."""
        item_vectors = np.einsum("ij,j->i", items, weight)[:, None]
        offsets = np.full(len(users), bias), np.zeros(len(items))
        return LinearScorer(users.mean(axis=1, keepdims=True), item_vectors, *offsets)

    def split(
        self, users: Float64s, items: Float64s, kernel: Float64s, bias: Float64s
    ) -> tuple[Float64s, Float64s]:
        """A copy for each entry of the user's row; V K."""
        del bias
        return users[:, :, None], np.einsum("ij,jk->ik", items, kernel)

    def first_layer(self, user_part: Any, item_part: Any, kernel: Any, bias: Any) -> Any:  # noqa: ANN401
        """u (V K) + b."""
        del kernel
        return user_part * item_part + bias

    def first_layer_size(
        self, user_part: Float64s, largest_item: Float64s, kernel: Float64s, bias: Float64s
    ) -> tuple[Float64s, int]:
        """The products of the sizes, and the bias."""
        del kernel
        return user_part * largest_item + np.abs(bias), 3


MERGES: Mapping[Merge, Merging] = {
    "concatenate": Concatenate(),
    "multiply": Multiply(),
    "average": Average(),
    "dot": Dot(),
}
