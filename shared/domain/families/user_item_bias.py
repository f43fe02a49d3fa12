"""Mean, user bias and item bias: the baseline of rating predictions."""

from typing import ClassVar

from pydantic.dataclasses import dataclass

from shared.domain.rules import STRICT
from shared.domain.training import TrainingConfig


@dataclass(frozen=True, config=STRICT)
class UserItemBias:
    """Score: mean + user bias + item bias (Koren 2010, eq. 3)."""

    family: ClassVar[str] = "user_item_bias"
    has_epochs: ClassVar[bool] = False
    scores_histories: ClassVar[bool] = False
    predicts_ratings: ClassVar[bool] = True

    @property
    def label(self) -> str:
        """As version 0.1 named it."""
        return "baseline_user_item_bias"

    def expected_cost(self, training: TrainingConfig | None) -> float:
        """Next to nothing."""
        del training
        return 0.0
