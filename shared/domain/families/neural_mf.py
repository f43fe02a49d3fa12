"""Neural matrix factorisation: a dot product beside a network of dense layers.

He et al. 2017, Neural collaborative filtering (NeuMF); here the dot product has no kernel of its own, and
features enter as in Macau and LightFM, by a linear map that is added to the rows.
"""

from itertools import pairwise
from typing import ClassVar

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


@dataclass(frozen=True, config=STRICT)
class NeuralMf:
    """Score = p·q + dense layers of (p', q') + a bias of the user and one of the item.

    p and q have `size` numbers, p' and q', the inputs of the dense layers, `input_size`. `activation` follows
    every dense layer but the last. `side_information`: the features of users and items where the source has
    them, times a kernel, are added to all of these, so that a user or item without ratings is scored by its
    features alone. `l2`: times the sum of squares of a pair's two rows, biases included, for each rating.
    `dropout`: the share of the inputs of every dense layer that is left out at random while it learns.
    `loss`: see shared/domain/families/pairs.py; `n_negatives`, `zero_weight` and `target` as of a tower.
    """

    family: ClassVar[str] = "neural_mf"
    has_epochs: ClassVar[bool] = True
    scores_histories: ClassVar[bool] = False
    default_training: ClassVar[TrainingConfig] = TrainingConfig(
        optimizer="adam", learning_rate=0.003, batch_size=4096, max_epochs=30, patience=3
    )
    schedules: ClassVar[tuple[Schedule, ...]] = ("constant",)

    size: PositiveInt = 64
    input_size: PositiveInt = 16
    dense_layers: DenseLayers = (16, 1)
    activation: Activation = "relu"
    side_information: bool = True
    l2: NonNegativeFloat = 0.001
    dropout: Share = 0.0
    loss: PairLoss = "squared_error_with_zeros"
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
    def label(self) -> str:
        """By what differs from the defaults."""
        return label_by_differences(self, self.family)

    def expected_cost(self, training: TrainingConfig | None) -> float:
        """Seconds: of a step, and of the pairs."""
        training = training or self.default_training
        widths = (2 * self.input_size, *self.dense_layers)
        products = sum(a * b for a, b in pairwise(widths)) + self.size * 6.0
        n_pairs = 1 if self.predicts_ratings else 1 + self.n_negatives
        return training.max_epochs / 2 * (25.0 / training.batch_size + products * n_pairs / 800)
