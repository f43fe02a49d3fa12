"""Scores to which those of an EASE are added, which is fitted beside the model."""

from dataclasses import dataclass, replace

from shared.domain.families.ease import Ease
from worker.families import ease
from worker.families.contract import FitContext, FitData, Fitted, Weights
from worker.process.memory import return_memory
from worker.ranking.item_item import ItemItemScorer
from worker.ranking.scorers import Scorer
from worker.ranking.weighted_sum import RankingScorer, WeightedSum, WeightedSumOfHistories

_PREFIX = "ease_"


@dataclass(frozen=True, eq=False)
class BesideEase:
    """A fitted EASE and the weight of its scores. weights: by its own names."""

    weight: float
    weights: Weights
    scorer: ItemItemScorer
    n_parameters: int = 0

    @classmethod
    def fit(cls, weight: float, l2: float, data: FitData, context: FitContext) -> "BesideEase | None":
        """None for a weight of 0.

        It is fitted again where a training is resumed: in less time than a few epochs take.
        """
        if not weight:
            return None
        architecture = _architecture(l2)
        fitted = ease.fit(architecture, None, data, context)
        return_memory()
        scorer = ease.make_scorer(architecture, fitted.weights, data)
        return cls(weight, fitted.weights, scorer, fitted.n_parameters)

    @classmethod
    def read(cls, weight: float, l2: float, weights: Weights, data: FitData) -> "BesideEase | None":
        """From what `with_ease` has written among the weights of a model; None for a weight of 0."""
        if not weight:
            return None
        own = {
            name.removeprefix(_PREFIX): array for name, array in weights.items() if name.startswith(_PREFIX)
        }
        return cls(weight, own, ease.make_scorer(_architecture(l2), own, data))


def add_ease(scorer: Scorer, beside: BesideEase | None) -> Scorer:
    """Their weighted sum, which scores histories if the model does."""
    if beside is None:
        return scorer
    if isinstance(scorer, RankingScorer):
        return WeightedSumOfHistories(scorer, beside.scorer, beside.weight)
    return WeightedSum(scorer, beside.scorer, beside.weight)


def with_ease(fitted: Fitted, beside: BesideEase | None) -> Fitted:
    """The fit of a model that holds the weights of EASE too."""
    if beside is None:
        return fitted
    weights = {f"{_PREFIX}{name}": array for name, array in beside.weights.items()}
    return replace(
        fitted,
        weights={**fitted.weights, **weights},
        n_parameters=fitted.n_parameters + beside.n_parameters,
    )


def _architecture(l2: float) -> Ease:
    return Ease(l2=l2, user_weight=0.5, item_scaling=0.25)
