"""EASE, an item-item model in closed form.

Steck 2019, Embarrassingly shallow autoencoders for sparse data; Steck 2020, Autoencoders that don't overfit
towards the identity.
"""

from typing import ClassVar, Literal

from pydantic.dataclasses import dataclass

from shared.domain.families.label import label_by_differences
from shared.domain.families.memory import items_squared_bytes
from shared.domain.rules import STRICT, Exponent, PositiveFloat, Share
from shared.domain.training import TrainingConfig

Input = Literal["stars", "ones", "from_threshold"]


@dataclass(frozen=True, config=STRICT)
class Ease:
    """Score of a user: the row of what was rated, times an item-item matrix with a zero diagonal.

    `input`: "stars" are ratings as shares of the largest, "ones" 1 for every rating, "from_threshold" 1 for
    those of `protocol.relevance_threshold` or more. `user_weight`: a user's row counts activity^-user_weight.
    `item_scaling`: columns are divided by popularity^item_scaling before the fit and multiplied after it.
    Activity and popularity are multiples of their mean, so that `l2` means the same with any exponent.
    `dropout`: the expected effect of dropping this share of the input (EDLAE, Steck 2020).
    """

    family: ClassVar[str] = "ease"
    predicts_ratings: ClassVar[bool] = False
    has_epochs: ClassVar[bool] = False
    scores_histories: ClassVar[bool] = True

    l2: PositiveFloat = 300.0
    input: Input = "stars"
    user_weight: Exponent = 0.0
    item_scaling: Exponent = 0.0
    dropout: Share = 0.0

    @property
    def label(self) -> str:
        """By what differs from the defaults."""
        return label_by_differences(self, self.family)

    def expected_cost(self, training: TrainingConfig | None) -> float:
        """Seconds, as measured."""
        del training
        return 0.6

    def expected_memory_bytes(self, n_users: int, n_items: int, n_ratings: int) -> int:
        """The matrix of items."""
        del n_users, n_ratings
        return items_squared_bytes(n_items)
