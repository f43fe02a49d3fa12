"""Weighted alternating least squares over all pairs.

Hu, Koren, Volinsky 2008, Collaborative filtering for implicit feedback datasets; Rendle et al. 2022,
Revisiting the performance of iALS.
"""

from typing import ClassVar, Literal

from pydantic.dataclasses import dataclass

from shared.domain.families.label import label_by_differences
from shared.domain.rules import STRICT, Exponent, PositiveFloat, PositiveInt, Seed
from shared.domain.training import TrainingConfig


@dataclass(frozen=True, config=STRICT)
class WeightedAls:
    """Minimises Σ rated (t - p·q)² + zero_weight Σ all (p·q)² + l2 Σ (n + zero_weight N)^l2_exponent |p|².

    The last sum is over users and items alike: n ratings of theirs, N of the other side in all.
    `target` t: "stars" as shares of the largest rating, "ones", or "from_threshold" (only ratings of
    `protocol.relevance_threshold` or more count as rated, with target 1).
    """

    family: ClassVar[str] = "weighted_als"
    predicts_ratings: ClassVar[bool] = False
    has_epochs: ClassVar[bool] = False
    scores_histories: ClassVar[bool] = True

    size: PositiveInt = 128
    l2: PositiveFloat = 0.01
    l2_exponent: Exponent = 1.0
    zero_weight: PositiveFloat = 0.1
    target: Literal["stars", "ones", "from_threshold"] = "stars"
    iterations: PositiveInt = 8
    random_seed: Seed = 4

    @property
    def label(self) -> str:
        """By what differs from the defaults."""
        return label_by_differences(self, self.family)

    def expected_cost(self, training: TrainingConfig | None) -> float:
        """Seconds, as measured."""
        del training
        return self.iterations * self.size * 0.0018
