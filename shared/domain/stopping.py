"""When a trial ends early because it cannot win."""

from dataclasses import asdict
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter
from pydantic.dataclasses import dataclass

from shared.domain.rules import STRICT, PositiveInt

Rule = Literal["successive_halving", "median", "none"]


@dataclass(frozen=True, config=STRICT)
class Stopping:
    """`[stopping]` of a sweep file; it changes no identity: a trial that is not stopped has the same result.

    `rule`: "successive_halving": at each rung, of the trials of one family that came so far, the best
    1 / `reduction` go on (Li et al. 2020, A system for massively parallel hyperparameter tuning);
    "median": whoever is worse than the median of the others after as many epochs is stopped; "none".
    `min_epochs`: the first rung; the next is `reduction` times as far.
    """

    rule: Rule = "none"
    min_epochs: PositiveInt = 2
    reduction: Annotated[int, Field(ge=2, le=100)] = 4

    def rung(self, epoch: int, max_epochs: int) -> int | None:
        """By which epoch a trial is judged once `epoch` is done; None: it is not judged then.

        Successive halving judges by the latest rung after every epoch, so that whoever passed it early, for
        lack of company, is judged again when others have come. After the last epoch nothing is left to save.
        """
        if self.rule == "none" or not self.min_epochs <= epoch < max_epochs:
            return None
        if self.rule == "median":
            return epoch
        rung = self.min_epochs
        while rung * self.reduction <= epoch:
            rung *= self.reduction
        return rung

    @property
    def canonical(self) -> dict[str, Any]:
        """JSON form with every field: what is stored with a stopped trial."""
        return asdict(self)


@dataclass(frozen=True)
class Stop:
    """Why a trial was stopped after `epoch`: by the epoch `rung` it had reached `value` of the objective."""

    objective: str
    epoch: int
    rung: int
    value: float
    against: float

    def __str__(self) -> str:
        by = "" if self.rung == self.epoch else f" by epoch {self.rung}"
        return (
            f"stopped after epoch {self.epoch}: {self.objective} {self.value:.4f}{by}, "
            f"{self.against:.4f} was needed"
        )


def parse_stopping(document: object) -> Stopping:
    """Read the `[stopping]` of a stored sweep file, None where it has none, or `Stopping.canonical`."""
    return TypeAdapter(Stopping).validate_python(document or {})
