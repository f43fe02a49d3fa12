"""What ratings are worth to the losses of pairs."""

from shared.domain.families.neural_mf import NeuralMf
from shared.domain.families.tower import Tower
from worker.families.contract import FitData
from worker.families.inputs import InputRule
from worker.observations import Observations


def pair_targets(architecture: Tower | NeuralMf, ratings: Observations, data: FitData) -> Observations:
    """The ratings themselves for squared_error; else those that count, with their targets from 0 to 1."""
    if architecture.loss == "squared_error":
        return ratings
    rule = InputRule.of(architecture.target, data)
    kept = rule.is_kept(ratings.rating)
    return Observations(ratings.user_index[kept], ratings.item_index[kept], rule.values(ratings.rating[kept]))
