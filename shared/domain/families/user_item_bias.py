"""Who rates high and what is rated high: the baseline that a predictor of ratings has to beat."""

from typing import ClassVar

from pydantic.dataclasses import dataclass

from shared.domain.families.rules import STRICT


@dataclass(frozen=True, config=STRICT)
class UserItemBias:
    """Score: mean + user bias + item bias (Koren 2010, Factor in the neighbors, 2.1)."""

    family: ClassVar[str] = "user_item_bias"
    predicts_ratings: ClassVar[bool] = True
    has_epochs: ClassVar[bool] = False
