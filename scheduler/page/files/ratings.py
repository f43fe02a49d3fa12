"""Prepared ratings as the page reads them: which a user gave, and which of them were held out.

The database names the folder of its artifacts by the addresses of the logs in it. Where the ratings cannot be
read, the page says why and shows what the database has.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from shared.datasets import Dataset, load_prepared, split_ratings
from shared.datasets.description import Description, SplitSizes, describe, split_sizes
from shared.domain.protocol import Protocol
from shared.errors import RecsweepError
from shared.settings import load_settings

PARTS = ("training", "validation", "test")
# All splits of more ratings would keep a reader waiting.
_MOST_SPLIT = 3_000_000


@dataclass(frozen=True)
class Place:
    """Where the ratings of a version lie, and how many users were removed from them since they were read."""

    folder: str
    fingerprint: str
    n_forgotten: int


@dataclass(frozen=True)
class OwnRating:
    """One rating of a user; `part` of the split, None where it is not known any more."""

    item_id: str
    rating: float
    part: str | None


@dataclass(frozen=True)
class OwnRatings:
    """All ratings of a user; `problem` says why there are none, or why their parts are not known.

    `is_known`: whether the user has ratings in the data.
    """

    ratings: tuple[OwnRating, ...] = ()
    problem: str = ""
    is_known: bool = False


@dataclass(frozen=True)
class Described:
    """What `make data` says of a version; `problem` where its ratings cannot be read."""

    description: Description | None = None
    splits: tuple[SplitSizes, ...] = ()
    activity: tuple[tuple[int, int], ...] = ()
    by_month: tuple[tuple[str, int], ...] = ()
    problem: str = ""


def place_of(log_url: str | None, fingerprint: str, n_forgotten: int) -> Place | None:
    """From the address of a log, `<folder>/sweep-N/<label>/attempt-K/…`; None for any other."""
    folder, found, _ = (log_url or "").rpartition("/sweep-")
    return Place(folder, fingerprint, n_forgotten) if found else None


def ratings_of(place: Place | None, protocol: Protocol, user_id: str) -> OwnRatings:
    """The ratings of a user, the highest first, each with its part of the split."""
    if place is None:
        return OwnRatings(problem="No trial names the folder of the prepared ratings.")
    try:
        dataset = _dataset(place)
    except (RecsweepError, OSError) as error:
        return OwnRatings(problem=f"The prepared ratings cannot be read here: {error}.")
    users = np.flatnonzero(dataset.user_ids == user_id)
    if not len(users):
        return OwnRatings()
    rows = np.flatnonzero(dataset.user_index == users[0])
    parts, problem = _parts_of(place, protocol)
    order = rows[np.lexsort((dataset.item_index[rows], -dataset.ratings[rows]))]
    return OwnRatings(
        ratings=tuple(
            OwnRating(
                str(dataset.item_ids[dataset.item_index[row]]),
                float(dataset.ratings[row]),
                None if parts is None else PARTS[parts[row]],
            )
            for row in order
        ),
        problem=problem,
        is_known=True,
    )


def described(place: Place | None, protocol: Protocol | None) -> Described:
    """What is to be said of the ratings, splits with the fractions of the protocol."""
    if place is None:
        return Described(problem="No trial names the folder of the prepared ratings.")
    try:
        return _described(place, protocol)
    except (RecsweepError, OSError) as error:
        return Described(problem=f"The prepared ratings cannot be read here: {error}.")


# A few: their arrays are mapped, and whoever was forgotten since has another place.
@lru_cache(maxsize=4)
def _dataset(place: Place) -> Dataset:
    return load_prepared(place.folder, place.fingerprint, load_settings().cache_dir)


@lru_cache(maxsize=4)
def _parts_of(place: Place, protocol: Protocol) -> tuple[npt.NDArray[np.uint8] | None, str]:
    """(n_ratings,): the place in `PARTS` of each rating; None where that is not known, and why."""
    if place.n_forgotten:
        return None, (
            "Users were forgotten since the trials learned: what was held out then cannot be told any more."
        )
    dataset = _dataset(place)
    try:
        split = split_ratings(dataset, protocol)
    except RecsweepError as error:
        return None, f"The split cannot be made again: {error}."
    parts = np.zeros(dataset.n_ratings, np.uint8)
    parts[split.validation] = 1
    parts[split.test] = 2
    return parts, ""


@lru_cache(maxsize=4)
def _described(place: Place, protocol: Protocol | None) -> Described:
    dataset = _dataset(place)
    activity = np.bincount(dataset.user_index, minlength=dataset.n_users)
    steps, counts = np.unique(np.frexp(np.maximum(activity, 0))[1], return_counts=True)
    months: list[tuple[str, int]] = []
    if dataset.timestamps.any():
        found, numbers = np.unique(
            dataset.timestamps.astype("datetime64[s]").astype("datetime64[M]"), return_counts=True
        )
        months = [(str(month), int(n)) for month, n in zip(found, numbers, strict=True)]
    splits: list[SplitSizes] = []
    if protocol is not None and dataset.n_ratings <= _MOST_SPLIT:
        splits = split_sizes(dataset, protocol)
    return Described(
        description=describe(dataset),
        splits=tuple(splits),
        activity=tuple((int(step), int(n)) for step, n in zip(steps, counts, strict=True)),
        by_month=tuple(months),
    )
