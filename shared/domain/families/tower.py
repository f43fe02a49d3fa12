"""Towers: two embeddings, how they merge, and the dense layers above. The 16 architectures of 2020."""

from itertools import pairwise
from typing import ClassVar, Literal

from pydantic.dataclasses import dataclass

from shared.domain.families.label import label_by_differences
from shared.domain.families.pairs import (
    N_NEGATIVES,
    TARGET,
    ZERO_WEIGHT,
    Activation,
    DenseLayers,
    PairLoss,
    Target,
    forget_what_has_no_meaning,
)
from shared.domain.rules import STRICT, NonNegativeFloat, PositiveFloat, PositiveInt, Share
from shared.domain.training import Schedule, TrainingConfig

Merge = Literal["concatenate", "multiply", "average", "dot"]

_TOLD_BY_NAME = ("merge", "embedding_size", "dense_layers", "activation")


@dataclass(frozen=True, config=STRICT)
class Tower:
    """One model: two embeddings, how they merge, and the dense layers above.

    `activation` follows every dense layer but the last, which is always linear. So it has no meaning with a
    single dense layer, and is "linear" there whatever was asked for: the same function is one architecture.
    The same holds of `n_negatives`, `zero_weight` and `target` with a loss that does not look at them.

    `biases`: a number for each user and each item is added to the score, and the last dense bias begins at
    the mean rating. `l2`: times the sum of squares of a pair's two rows, biases included, for each rating;
    not of kernels, for a penalty of all three factors of a product pulls them to zero. `dropout`: the share
    of the inputs of every dense layer that is left out at random while it learns. `loss`: see
    shared/domain/families/pairs.py. `n_negatives`: unrated items drawn for each rating. `zero_weight`: what
    each of them weighs beside a rating. `target`: what a rating is worth to a loss that knows the unrated:
    its share of the largest rating, one, or one from `protocol.relevance_threshold` up and nothing below.
    """

    family: ClassVar[str] = "tower"
    has_epochs: ClassVar[bool] = True
    scores_histories: ClassVar[bool] = False
    schedules: ClassVar[tuple[Schedule, ...]] = ("constant",)

    merge: Merge
    embedding_size: PositiveInt
    dense_layers: DenseLayers
    activation: Activation = "linear"
    biases: bool = False
    l2: NonNegativeFloat = 0.0
    dropout: Share = 0.0
    loss: PairLoss = "squared_error"
    n_negatives: PositiveInt = N_NEGATIVES
    zero_weight: PositiveFloat = ZERO_WEIGHT
    target: Target = TARGET

    def __post_init__(self) -> None:
        if len(self.dense_layers) == 1:
            object.__setattr__(self, "activation", "linear")
        forget_what_has_no_meaning(self, self.loss)

    @property
    def predicts_ratings(self) -> bool:
        """Whether its score is a rating: not with a loss that knows the unrated."""
        return self.loss == "squared_error"

    @property
    def is_linear(self) -> bool:
        """Whether the head is one affine map of the merged vector."""
        return self.activation == "linear"

    @property
    def label(self) -> str:
        """As the log of 2020 names them: `concatenate_50_64_32_1`; then what differs from the defaults."""
        parts = [self.merge, str(self.embedding_size), *map(str, self.dense_layers)]
        if not self.is_linear:
            parts.append(self.activation)
        return label_by_differences(self, "_".join(parts), leave_out=_TOLD_BY_NAME)

    def expected_cost(self, training: TrainingConfig | None) -> float:
        """Seconds: a step has a fixed part and one that grows with batch and multiplications of the head.

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
        if self.loss != "squared_error":
            per_rating *= 1 + self.n_negatives
        # The outer product of `dot` learns slowly: it runs to the last epoch where the others stop early.
        epochs = training.max_epochs if self.merge == "dot" else training.max_epochs / 2
        return epochs * ((10.0 + per_step / 2000) / training.batch_size + per_rating / 2000)
