"""Towers: two embeddings, how they merge, and the dense layers above. The 16 architectures of 2020."""

from itertools import pairwise
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator
from pydantic.dataclasses import dataclass

from shared.domain.rules import STRICT, PositiveInt
from shared.domain.training import Schedule, TrainingConfig

Merge = Literal["concatenate", "multiply", "average", "dot"]
Activation = Literal["linear", "relu", "gelu", "tanh", "sigmoid", "elu", "selu", "silu", "softplus"]


def _end_in_one(dense_layers: tuple[int, ...]) -> tuple[int, ...]:
    if not dense_layers or dense_layers[-1] != 1:
        raise ValueError(f"the last dense layer must be 1, the predicted rating; got {list(dense_layers)}")
    return dense_layers


@dataclass(frozen=True, config=STRICT)
class Tower:
    """One model: two embeddings, how they merge, and the dense layers above.

    `activation` follows every dense layer but the last, which is always linear. So it has no meaning with a
    single dense layer, and is "linear" there whatever was asked for: the same function is one architecture.
    """

    family: ClassVar[str] = "tower"
    has_epochs: ClassVar[bool] = True
    scores_histories: ClassVar[bool] = False
    predicts_ratings: ClassVar[bool] = True
    schedules: ClassVar[tuple[Schedule, ...]] = ("constant",)

    merge: Merge
    embedding_size: PositiveInt
    dense_layers: Annotated[tuple[PositiveInt, ...], AfterValidator(_end_in_one)]
    activation: Activation = "linear"

    def __post_init__(self) -> None:
        if len(self.dense_layers) == 1:
            object.__setattr__(self, "activation", "linear")

    @property
    def is_linear(self) -> bool:
        """Whether the head is one affine map of the merged vector."""
        return self.activation == "linear"

    @property
    def label(self) -> str:
        """As the log of 2020 names them: `concatenate_50_64_32_1`."""
        parts = [self.merge, str(self.embedding_size), *map(str, self.dense_layers)]
        return "_".join([*parts, *([] if self.is_linear else [self.activation])])

    def expected_cost(self, training: TrainingConfig | None) -> float:
        """A step has a fixed part and one that grows with the batch and the multiplications of the head.

        Without an activation the dense layers are one map, folded once a step.
        """
        training = training or TrainingConfig()
        width = self.embedding_size * (2 if self.merge == "concatenate" else 1)
        products = float(sum(a * b for a, b in pairwise((width, *self.dense_layers))))
        per_rating = self.embedding_size * 6.0
        if self.is_linear:
            per_step = products
        else:
            per_step = 0.0
            per_rating += products * (self.embedding_size if self.merge == "dot" else 1)
        # The outer product of `dot` learns slowly: it runs to the last epoch where the others stop early.
        epochs = training.max_epochs if self.merge == "dot" else training.max_epochs / 2
        return epochs * ((20_000.0 + per_step) / training.batch_size + per_rating)
