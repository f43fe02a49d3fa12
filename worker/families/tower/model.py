"""The Keras models: two embeddings, their merge, the dense layers above; summary, save and load."""

from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from shared.domain.families.tower import Tower
from worker.families.tower.merges import MERGES
from worker.families.tower.weights import Weights

_EMBEDDING_LIMIT = 0.05
_SUMMARY_WIDTH = 80  # Columns; rich, which draws the table for Keras, cuts what is wider.


@dataclass(frozen=True, eq=False)
class RatingModel:
    """One architecture as three Keras models over the same layers, hence over the same weights.

    training: (user_index, item_index), each (batch, 1) int -> (batch, n_outputs): what the loss sees
    serving: the same inputs -> (batch, 1): the predicted rating, for dot the mean over the outputs; the
    model that is summarised and saved
    head: user vector, item vector, each (batch, embedding_size) -> (batch, n_outputs); without the biases of
    users and items
    `n_outputs` is embedding_size for dot and 1 for every other merge.
    """

    architecture: Tower
    n_outputs: int
    training: keras.Model
    serving: keras.Model
    head: keras.Model

    @property
    def n_parameters(self) -> int:
        """Trained numbers, embeddings included."""
        return int(self.serving.count_params())

    def summary(self) -> str:
        """Keras' table of the layers of the served model."""
        lines: list[str] = []
        self.serving.summary(line_length=_SUMMARY_WIDTH, print_fn=lines.append)
        return "\n".join(lines)

    def weights(self) -> Weights:
        """A copy of the current weights."""
        dense = [variable.numpy() for variable in self.head.trainable_variables]
        return Weights(
            user_embedding=self._embedding("user_embedding").numpy(),
            item_embedding=self._embedding("item_embedding").numpy(),
            dense=tuple(zip(dense[0::2], dense[1::2], strict=True)),
            user_bias=self._embedding("user_bias").numpy() if self.architecture.biases else None,
            item_bias=self._embedding("item_bias").numpy() if self.architecture.biases else None,
        )

    def set_weights(self, weights: Weights) -> None:
        """Replace every weight; shapes must be those of `weights()`."""
        self._embedding("user_embedding").assign(weights.user_embedding)
        self._embedding("item_embedding").assign(weights.item_embedding)
        for name, bias in (("user_bias", weights.user_bias), ("item_bias", weights.item_bias)):
            if bias is not None:
                self._embedding(name).assign(bias)
        arrays = [array for layer in weights.dense for array in layer]
        for variable, array in zip(self.head.trainable_variables, arrays, strict=True):
            variable.assign(array)

    def start_at(self, rating: float) -> None:
        """Let the last dense bias be this rating."""
        self.head.trainable_variables[-1].assign([rating])

    def save(self, path: Path) -> None:
        """Write the serving model; the name of `path` ends in .keras."""
        self.serving.save(path)

    def _embedding(self, name: str) -> keras.Variable:
        return self.serving.get_layer(name).embeddings


def build_model(architecture: Tower, n_users: int, n_item_rows: int, random_seed: int) -> RatingModel:
    """Freshly initialised model: embeddings uniform in ±0.05, kernels Glorot uniform, all biases zero.

    The initial weights depend on the architecture, the sizes and `random_seed` alone.
    """
    seeds = _layer_seeds(random_seed, 2 + len(architecture.dense_layers))
    embedding_size = architecture.embedding_size
    is_dot = architecture.merge == "dot"
    merge = MERGES[architecture.merge].layer()
    dense = [
        keras.layers.Dense(
            width,
            activation=architecture.activation if number < len(architecture.dense_layers) else "linear",
            kernel_initializer=keras.initializers.GlorotUniform(seed=seed),
            name=f"dense_{number}",
        )
        for number, (width, seed) in enumerate(
            zip(architecture.dense_layers, seeds[2:], strict=True), start=1
        )
    ]

    def connect(user_row: keras.KerasTensor, item_row: keras.KerasTensor) -> keras.KerasTensor:
        # Rows are (batch, 1, embedding_size). Dot(axes=1) makes their outer product, of which every row
        # passes through the dense layers: (batch, embedding_size, 1). The others end as (batch, 1, 1).
        tensor = merge([user_row, item_row])
        for layer in dense:
            tensor = layer(tensor)
        return tensor

    user_index = keras.Input((1,), name="user_index", dtype="int32")
    item_index = keras.Input((1,), name="item_index", dtype="int32")
    user_row = _embedding_layer("user_embedding", n_users, embedding_size, seeds[0])(user_index)
    item_row = _embedding_layer("item_embedding", n_item_rows, embedding_size, seeds[1])(item_index)
    tensor = connect(user_row, item_row)
    if architecture.biases:
        # (batch, 1, 1) each, added to every row.
        biases = [
            keras.layers.Embedding(n_rows, 1, embeddings_initializer="zeros", name=f"{side}_bias")(index)
            for side, n_rows, index in (("user", n_users, user_index), ("item", n_item_rows, item_index))
        ]
        tensor = keras.layers.Add(name="with_biases")([tensor, *biases])
    outputs = keras.layers.Flatten(name="outputs")(tensor)
    rating_layer = keras.layers.GlobalAveragePooling1D if is_dot else keras.layers.Flatten
    rating = rating_layer(name="rating")(tensor)

    user_vector = keras.Input((embedding_size,), name="user_vector")
    item_vector = keras.Input((embedding_size,), name="item_vector")
    as_row = keras.layers.Reshape((1, embedding_size), name="as_row")
    head_outputs = keras.layers.Flatten(name="head_outputs")(
        connect(as_row(user_vector), as_row(item_vector))
    )
    return RatingModel(
        architecture=architecture,
        n_outputs=embedding_size if is_dot else 1,
        training=keras.Model([user_index, item_index], outputs, name="training"),
        serving=keras.Model([user_index, item_index], rating, name="serving"),
        head=keras.Model([user_vector, item_vector], head_outputs, name="head"),
    )


def load_model(path: Path) -> keras.Model:
    """The serving model that `RatingModel.save` wrote, read in safe mode: no code comes out of the file."""
    return keras.models.load_model(path, compile=False, safe_mode=True)


def weights_of(model: keras.Model) -> Weights:
    """The weights of a saved serving model."""
    layers = {layer.name: layer for layer in model.layers}
    biases = {name: layers[name].embeddings.numpy() for name in ("user_bias", "item_bias") if name in layers}
    names = sorted((name for name in layers if name.startswith("dense_")), key=lambda name: int(name[6:]))
    return Weights(
        user_embedding=layers["user_embedding"].embeddings.numpy(),
        item_embedding=layers["item_embedding"].embeddings.numpy(),
        dense=tuple((layers[name].kernel.numpy(), layers[name].bias.numpy()) for name in names),
        **biases,
    )


def _embedding_layer(name: str, n_rows: int, embedding_size: int, seed: int) -> keras.layers.Layer:
    initializer = keras.initializers.RandomUniform(-_EMBEDDING_LIMIT, _EMBEDDING_LIMIT, seed=seed)
    return keras.layers.Embedding(n_rows, embedding_size, embeddings_initializer=initializer, name=name)


def _layer_seeds(random_seed: int, n_layers: int) -> list[int]:
    # One seed a layer: with a shared one, both embeddings would begin with the same rows.
    return [int(word) for word in np.random.SeedSequence(random_seed).generate_state(n_layers) >> 1]
