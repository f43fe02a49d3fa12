"""Item k-nearest neighbours (Sarwar et al. 2001; Deshpande, Karypis 2004, Item-based top-N)."""

from typing import ClassVar, Literal

from pydantic.dataclasses import dataclass

from shared.domain.families.ease import Input
from shared.domain.families.label import label_by_differences
from shared.domain.rules import STRICT, NonNegativeFloat, PositiveInt
from shared.domain.training import TrainingConfig


@dataclass(frozen=True, config=STRICT)
class ItemKnn:
    """Score: the sum over the items that a user rated of their similarity, kept for the nearest ones only.

    `similarity`: of the columns of the input; "cosine", "jaccard" or "conditional" (the share of those who
    rated the one that also rated the other). `shrinkage` is added to the denominator: few common users say
    little.
    `input` as in EASE.
    """

    family: ClassVar[str] = "item_knn"
    predicts_ratings: ClassVar[bool] = False
    has_epochs: ClassVar[bool] = False
    scores_histories: ClassVar[bool] = True

    similarity: Literal["cosine", "jaccard", "conditional"] = "cosine"
    neighbours: PositiveInt = 200
    shrinkage: NonNegativeFloat = 0.0
    input: Input = "stars"

    @property
    def label(self) -> str:
        """By what differs from the defaults."""
        return label_by_differences(self, self.family)

    def expected_cost(self, training: TrainingConfig | None) -> float:
        """Seconds, as measured."""
        del training
        return 0.8
