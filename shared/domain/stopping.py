"""When a trial ends early because it cannot win."""

from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from shared.domain.rules import STRICT, PositiveInt


@dataclass(frozen=True, config=STRICT)
class Stopping:
    """`[stopping]` of a sweep file; it changes no identity: a trial that is not stopped has the same result.

    `rule`: "successive_halving": at each rung, of the trials of one family that came so far, the best
    1 / `reduction` go on (Li et al. 2020, A system for massively parallel hyperparameter tuning);
    "median": whoever is worse than the median of the others after as many epochs is stopped; "none".
    `min_epochs`: the first rung; the next is `reduction` times as far.
    """

    rule: Literal["successive_halving", "median", "none"] = "none"
    min_epochs: PositiveInt = 2
    reduction: Annotated[int, Field(ge=2, le=100)] = 3
