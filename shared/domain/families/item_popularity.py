"""Everybody gets the most rated items: the baseline of lists."""

from typing import ClassVar

from pydantic.dataclasses import dataclass

from shared.domain.rules import STRICT
from shared.domain.training import TrainingConfig


@dataclass(frozen=True, config=STRICT)
class ItemPopularity:
    """Score of an item: its number of training ratings."""

    family: ClassVar[str] = "item_popularity"
    has_epochs: ClassVar[bool] = False
    scores_histories: ClassVar[bool] = False
    predicts_ratings: ClassVar[bool] = False

    @property
    def label(self) -> str:
        """As version 0.1 named it."""
        return "baseline_item_popularity"

    def expected_cost(self, training: TrainingConfig | None) -> float:
        """Next to nothing."""
        del training
        return 0.0
