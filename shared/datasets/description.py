"""What a person wants to know of ratings before a sweep: how many, how dense, how they are spread, when."""

from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from shared.datasets.dataset import Dataset
from shared.datasets.splits import SPLITS
from shared.domain.protocol import Protocol
from shared.errors import DatasetError

SHARES = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0)
# So many different ratings are counted one by one; more of them in ranges of equal width.
_MOST_VALUES = 20
_N_RANGES = 10


@dataclass(frozen=True)
class SplitSizes:
    """What a split gives; `problem` says why it cannot be had, and the numbers are 0 then.

    n_cold_users, n_cold_items: with a held out rating and none to learn from
    """

    name: str
    n_train: int = 0
    n_validation: int = 0
    n_test: int = 0
    n_cold_users: int = 0
    n_cold_items: int = 0
    problem: str = ""


@dataclass(frozen=True)
class Description:
    """Counts and quantiles of a data set.

    histogram: (rating or range of ratings, how many), ascending
    activity, popularity: ratings of a user, of a rated item, at each share of `SHARES`
    first, last: of the times; None where the source has none      n_untitled: items without a title
    """

    n_users: int
    n_items: int
    n_rated_items: int
    n_ratings: int
    histogram: tuple[tuple[str, int], ...]
    activity: tuple[int, ...]
    popularity: tuple[int, ...]
    first: datetime | None
    last: datetime | None
    n_untitled: int
    has_genres: bool
    has_user_traits: bool

    @property
    def density(self) -> float:
        """Share of the pairs of a user and an item that are rated."""
        return self.n_ratings / (self.n_users * self.n_items)


def describe(dataset: Dataset) -> Description:
    """All but the splits."""
    activity = np.bincount(dataset.user_index, minlength=dataset.n_users)
    popularity = np.bincount(dataset.item_index, minlength=dataset.n_items)
    rated = popularity[popularity > 0]
    times = dataset.timestamps
    has_times = bool(times.any())
    return Description(
        n_users=dataset.n_users,
        n_items=dataset.n_items,
        n_rated_items=len(rated),
        n_ratings=dataset.n_ratings,
        histogram=_histogram(dataset.ratings),
        activity=_quantiles(activity),
        popularity=_quantiles(rated),
        first=_time(times.min()) if has_times else None,
        last=_time(times.max()) if has_times else None,
        n_untitled=int((dataset.titles == "").sum()),
        has_genres=bool((dataset.genres != "").any()),
        has_user_traits=dataset.user_traits is not None,
    )


def split_sizes(dataset: Dataset, protocol: Protocol) -> list[SplitSizes]:
    """Of every kind of split, with the fractions of the protocol."""
    sizes = []
    for name, split_by in SPLITS.items():
        try:
            split = split_by(dataset, protocol)
        except DatasetError as error:
            sizes.append(SplitSizes(name, problem=str(error)))
            continue
        held_out = np.concatenate([split.validation, split.test])
        n_cold_users, n_cold_items = (
            len(np.setdiff1d(index[held_out], index[split.train]))
            for index in (dataset.user_index, dataset.item_index)
        )
        sizes.append(
            SplitSizes(
                name,
                n_train=len(split.train),
                n_validation=len(split.validation),
                n_test=len(split.test),
                n_cold_users=n_cold_users,
                n_cold_items=n_cold_items,
            )
        )
    return sizes


def _histogram(ratings: npt.NDArray[np.float32]) -> tuple[tuple[str, int], ...]:
    values, counts = np.unique(ratings, return_counts=True)
    if len(values) <= _MOST_VALUES:
        return tuple((f"{value:g}", int(n)) for value, n in zip(values, counts, strict=True))
    counts, edges = np.histogram(ratings, bins=_N_RANGES)
    ranges = (f"{low:g} to {high:g}" for low, high in pairwise(edges))
    return tuple((name, int(n)) for name, n in zip(ranges, counts, strict=True))


def _quantiles(counts: npt.NDArray[np.integer]) -> tuple[int, ...]:
    return tuple(int(n) for n in np.quantile(counts, SHARES, method="inverted_cdf"))


def _time(seconds: np.int64) -> datetime:
    return datetime.fromtimestamp(int(seconds), UTC)
