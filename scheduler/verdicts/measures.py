"""How a metric follows from the results of users: a sum over users by another sum, or the root of that."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from shared.domain.protocol import OBJECTIVES
from shared.store import StoredUserResults

Float64s = npt.NDArray[np.float64]

_ERRORS = {"rmse": "squared_error", "mae": "absolute_error"}


@dataclass(frozen=True)
class Measure:
    """A metric as Σ over users of `column` / Σ of their held out ratings, or of 1 where it judges lists.

    `is_root`: its square root.
    """

    name: str
    column: str
    is_error: bool
    is_root: bool
    is_larger_better: bool

    def sums(self, results: StoredUserResults) -> tuple[npt.NDArray[np.bool_], Float64s, Float64s]:
        """Which users it judges, (n_users,), and what each of these adds to the two sums."""
        values = results.values[self.column]
        is_judged = ~np.isnan(values)
        numerator = values[is_judged]
        denominator = results.n_ratings[is_judged].astype(np.float64)
        return is_judged, numerator, denominator if self.is_error else np.ones(len(numerator))

    def of_sums(self, numerator: Float64s, denominator: Float64s) -> Float64s:
        """The metric of any number of pairs of sums."""
        ratio = numerator / denominator
        return np.sqrt(ratio) if self.is_root else ratio


def measure_of(objective: str) -> Measure:
    """The measure of an objective such as `rmse` or `ndcg@20`."""
    name = objective.partition("@")[0]
    return Measure(
        name=objective,
        column=_ERRORS.get(name, name),
        is_error=name in _ERRORS,
        is_root=name == "rmse",
        is_larger_better=OBJECTIVES[name],
    )
