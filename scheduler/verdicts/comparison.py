"""Two trials beside each other on the same users: by how much one is better, and for whom; pure."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from scheduler.verdicts.measures import Float64s, Measure, measure_of
from scheduler.verdicts.resampling import estimate
from scheduler.verdicts.significance import ERROR_RATE, FEWEST_USERS, Difference, difference
from shared.domain.protocol import OBJECTIVES, Protocol
from shared.store import StoredUserResults

# What decides which ratings are held out.
_SPLIT_FIELDS = ("split", "split_seed", "validation_fraction", "test_fraction")
# What decides which lists and items are judged beside that.
_RANKING_FIELDS = ("k", "relevance_threshold")


@dataclass(frozen=True)
class Comparison:
    """A metric of the first and the second trial over the same users; `difference` None for too few."""

    measure: Measure
    n_users: int
    first: float
    second: float
    difference: Difference | None

    @property
    def better(self) -> str:
        """`A`, `B`, or `tie` where no difference is proven."""
        if self.difference is None or self.difference.p_value > ERROR_RATE:
            return "tie"
        return "A" if (self.difference.value > 0) == self.measure.is_larger_better else "B"


@dataclass(frozen=True, eq=False)
class Group:
    """Users with a similar number of training ratings."""

    name: str
    is_member: npt.NDArray[np.bool_]


def split_differences(first: Protocol, second: Protocol) -> list[str]:
    """In words, why two protocols hold out different ratings; none where they hold out the same."""
    return _differing(first, second, _SPLIT_FIELDS)


def ranking_differences(first: Protocol, second: Protocol) -> list[str]:
    """In words, why the lists of two protocols that hold out the same are not judged alike."""
    return _differing(first, second, _RANKING_FIELDS)


def common_measures(
    first: StoredUserResults, second: StoredUserResults, k: int, *, with_rankings: bool
) -> list[Measure]:
    """Those that both trials have for some user."""
    names = [name for name in OBJECTIVES if with_rankings or measure_of(name).is_error]
    measures = [measure_of(name if measure_of(name).is_error else f"{name}@{k}") for name in names]
    return [one for one in measures if _is_known(one, first) and _is_known(one, second)]


def compare(
    measure: Measure,
    first: StoredUserResults,
    second: StoredUserResults,
    members: npt.NDArray[np.bool_] | None = None,
) -> Comparison | None:
    """The two trials over those of their users who are judged, and `members`; None where there are none.

    Both results are of the same users in the same order.
    """
    is_judged, of_first, denominator = measure.sums(first)
    _, of_second, _ = measure.sums(second)
    numerators = np.array([of_first, of_second])
    if members is not None:
        chosen = members[is_judged]
        numerators, denominator = numerators[:, chosen], denominator[chosen]
    if not len(denominator):
        return None
    if len(denominator) < FEWEST_USERS:
        values = _values(measure, numerators, denominator)
        return Comparison(measure, len(denominator), *values, difference=None)
    one, other = estimate(measure, numerators, denominator)
    return Comparison(measure, one.n_users, one.value, other.value, difference([one], [other]))


def groups_by_activity(n_train_ratings: npt.NDArray[np.int64]) -> list[Group]:
    """Users in thirds by their training ratings: light, medium, heavy; users with as many are together.

    Where many have the same number, a group may be empty, and is left out.
    """
    low, high = (int(np.quantile(n_train_ratings, share, method="inverted_cdf")) for share in (1 / 3, 2 / 3))
    groups = (
        Group(f"light (up to {low})", n_train_ratings <= low),
        Group(f"medium (up to {high})", (n_train_ratings > low) & (n_train_ratings <= high)),
        Group(f"heavy (above {high})", n_train_ratings > high),
    )
    return [group for group in groups if group.is_member.any()]


def _differing(first: Protocol, second: Protocol, names: Sequence[str]) -> list[str]:
    return [
        f"{name} is {getattr(first, name)} and {getattr(second, name)}"
        for name in names
        if getattr(first, name) != getattr(second, name)
    ]


def _is_known(measure: Measure, results: StoredUserResults) -> bool:
    return bool(np.any(~np.isnan(results.values[measure.column])))


def _values(measure: Measure, numerators: Float64s, denominator: Float64s) -> tuple[float, float]:
    first, second = measure.of_sums(numerators.sum(axis=1), np.asarray(denominator.sum()))
    return float(first), float(second)
