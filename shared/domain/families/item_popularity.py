"""The most rated items for everybody: the baseline that a recommender has to beat."""

from typing import ClassVar

from pydantic.dataclasses import dataclass

from shared.domain.families.rules import STRICT


@dataclass(frozen=True, config=STRICT)
class ItemPopularity:
    """Score of an item: how many training ratings it has, the same for every user. That is no rating."""

    family: ClassVar[str] = "item_popularity"
    predicts_ratings: ClassVar[bool] = False
    has_epochs: ClassVar[bool] = False
