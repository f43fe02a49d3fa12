"""SVD++: matrix factorisation that knows which items a user rated.

Koren 2008, Factorization meets the neighborhood: a multifaceted collaborative filtering model, eq. 15.
"""

from typing import ClassVar

from pydantic.dataclasses import dataclass

from shared.domain.families.label import label_by_differences
from shared.domain.rules import STRICT, NonNegativeFloat, PositiveInt
from shared.domain.training import TrainingConfig


@dataclass(frozen=True, config=STRICT)
class SvdPlusPlus:
    """Prediction: mean + user bias + item bias + item vector · (user vector + n^-1/2 Σ implicit vectors).

    The sum is over the n items that the user rated, whatever the rating. `implicit` False: without it, which
    is biased matrix factorisation. Vectors are of `size` numbers. Every rating costs user_l2 |user row|² +
    item_l2 |item row|² + implicit_l2 |implicit vector|², rows with their biases.
    `training.batch_size` counts ratings.
    """

    family: ClassVar[str] = "svd_plus_plus"
    predicts_ratings: ClassVar[bool] = True
    scores_histories: ClassVar[bool] = False
    has_epochs: ClassVar[bool] = True
    default_training: ClassVar[TrainingConfig] = TrainingConfig(
        "adam", 0.005, batch_size=4096, max_epochs=12, patience=5, schedule="cosine"
    )

    size: PositiveInt = 64
    user_l2: NonNegativeFloat = 0.1
    item_l2: NonNegativeFloat = 0.05
    implicit_l2: NonNegativeFloat = 0.4
    implicit: bool = True

    def __post_init__(self) -> None:
        if not self.implicit:
            object.__setattr__(self, "implicit_l2", type(self).__dataclass_fields__["implicit_l2"].default)

    @property
    def label(self) -> str:
        """By what differs from the defaults."""
        return label_by_differences(self, self.family)

    def expected_cost(self, training: TrainingConfig | None) -> float:
        """Seconds, as measured."""
        training = training or self.default_training
        return training.max_epochs * (0.05 + self.size * (0.012 if self.implicit else 0.006))
