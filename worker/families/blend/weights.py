"""How the weights of a blend are chosen on validation."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from worker.ranking.scorers import Float64s

# One part after the other is weighed by these, the others keep their proportions: in large steps, in small
# ones, and at last by 0, from which no other factor leads back.
_FACTORS = ((0.5, 2.0), (0.8, 1.25), (0.0,))
# Decimals to which two weights are the same.
_DECIMALS = 9


@dataclass(frozen=True, eq=False)
class ChosenWeights:
    """The best weights of all that were tried, (n_parts,) float64 with the sum 1, and how good they are."""

    weights: Float64s
    value: float
    first_value: float
    n_tried: int


def choose_weights(value_of: Callable[[Float64s], float], first: Float64s) -> ChosenWeights:
    """Coordinate search from `first`: a change is kept where it makes `value_of` larger.

    At each size of steps it goes round the parts until a round changes nothing; no weights are tried twice.
    It ends, since every value is larger than the one before and the steps are few.
    """
    best, best_value = first, value_of(first)
    first_value = best_value
    tried = {_key(first)}
    for factors in _FACTORS:
        is_better = True
        while is_better:
            is_better = False
            for part in range(len(first)):
                for factor in factors:
                    weights = best.copy()
                    weights[part] *= factor
                    if not weights.any():
                        continue
                    weights /= weights.sum()
                    if _key(weights) in tried:
                        continue
                    tried.add(_key(weights))
                    value = value_of(weights)
                    if value > best_value:
                        best, best_value, is_better = weights, value, True
    return ChosenWeights(best, best_value, first_value, len(tried))


def _key(weights: Float64s) -> tuple[float, ...]:
    return tuple(np.round(weights, _DECIMALS).tolist())
