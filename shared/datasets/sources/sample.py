"""`sample`: a built-in synthetic data set with the shape of a small real one, the same everywhere.

Real rating data have a few very active users and very popular items, users and items that are rated high or
low on the whole, and taste: users like some genres more than others and choose what they rate accordingly.
The same is put in here, so that models have something to learn; nothing is taken from any real data set.
"""

from itertools import compress
from typing import Any

import numpy as np
import numpy.typing as npt

from shared.datasets.dataset import Dataset
from shared.datasets.prepare import Item, prepare_dataset, rating_table

N_USERS = 940
N_ITEMS = 1_700
N_RATINGS = 100_000
N_UNRATED_ITEMS = 40
MAX_ITEM_ID = 1_850  # Larger than N_ITEMS: ids have gaps, as in real data.
MIN_RATINGS_PER_USER = 20
GENRES = (
    *("Amber", "Basalt", "Cedar", "Dune", "Ember", "Fjord"),
    *("Grove", "Harbour", "Indigo", "Juniper", "Kelp", "Loam"),
)

_SEED = 20_200_131
_N_TASTES = 4  # Dimensions in which users' tastes and genres differ.
_MEAN_RATING = 3.60
# Standard deviations, in stars, of the parts that a rating is the sum of.
_USER_STD, _ITEM_STD, _TASTE_STD, _NOISE_STD = 0.42, 0.52, 0.55, 0.92
_CHOICE_BY_TASTE = 1.3  # How strongly users choose what they like.
_CHOICE_BY_QUALITY = 0.9  # How much more often good items are rated.
_FIRST_TIMESTAMP = 1_000_000_000
_SIGNUP_SECONDS = 200 * 86_400
_LONGEST_PAUSE_SECONDS = 600

_Floats = npt.NDArray[np.float64]


class _Random:
    """Random numbers from the raw output of PCG64, which NumPy keeps stable across versions and platforms."""

    def __init__(self, seed: int) -> None:
        self._bits = np.random.PCG64(seed)

    def uniform(self, *shape: int) -> _Floats:
        """In (0, 1): 53 random bits and a half."""
        raw = self._bits.random_raw(int(np.prod(shape))) >> np.uint64(11)
        return ((raw.astype(np.float64) + 0.5) * 2.0**-53).reshape(shape)

    def normal(self, *shape: int) -> _Floats:
        """Mean 0, standard deviation 1: twelve uniform numbers added up (Irwin-Hall), additions only."""
        return np.asarray(self.uniform(12, *shape).sum(axis=0) - 6.0)

    def order(self, n: int) -> npt.NDArray[np.int64]:
        """A permutation of 0..n-1."""
        return np.argsort(self.uniform(n), kind="stable")


def generate_sample() -> Dataset:
    """940 users with at least 20 ratings each, 1,700 items, some of them unrated, 100,000 ratings 1 to 5."""
    random = _Random(_SEED)
    item_ids = np.sort(random.order(MAX_ITEM_ID - 1)[: N_ITEMS - 1] + 1)
    item_ids = np.append(item_ids, MAX_ITEM_ID)
    genres = _draw_genres(random)
    quality = random.normal(N_ITEMS)
    liking = _draw_liking(random, genres)
    counts = _draw_counts(random)
    user_index, item_index = _draw_choices(random, quality, liking, counts)
    ratings = _draw_ratings(random, user_index, item_index, quality, liking)
    table = rating_table(
        user_ids=user_index + 1,
        item_ids=item_ids[item_index],
        ratings=ratings,
        timestamps=_draw_timestamps(random, counts),
        where="sample",
    )
    items = [
        Item(
            str(item_id),
            f"Synthetic item {item_id:04d} (sample)",
            tuple(compress(GENRES, row)),
        )
        for item_id, row in zip(item_ids.tolist(), genres, strict=True)
    ]
    return prepare_dataset("sample", table, items, is_synthetic=True)


def _draw_genres(random: _Random) -> npt.NDArray[np.bool_]:
    """(N_ITEMS, n_genres): one to three genres an item, none for one in a hundred; some are common."""
    common = 1.0 / (np.arange(len(GENRES)) + 3.0)
    keys = random.uniform(N_ITEMS, len(GENRES)) ** (1.0 / common)
    place = np.argsort(np.argsort(-keys, axis=1, kind="stable"), axis=1, kind="stable")
    draw = random.uniform(N_ITEMS)
    n_genres = 1 + (draw > 0.45).astype(int) + (draw > 0.85).astype(int) - (draw < 0.01)
    return np.asarray(place < n_genres[:, np.newaxis])


def _draw_liking(random: _Random, genres: npt.NDArray[np.bool_]) -> _Floats:
    """(N_USERS, N_ITEMS), standard deviation 1: user tastes times item traits, mostly those of genres."""
    genre_traits = random.normal(len(GENRES), _N_TASTES)
    n_genres = np.maximum(genres.sum(axis=1, keepdims=True), 1)
    item_traits = genres @ genre_traits / np.sqrt(n_genres) + 0.5 * random.normal(N_ITEMS, _N_TASTES)
    liking = random.normal(N_USERS, _N_TASTES) @ item_traits.T
    return np.asarray(liking / liking.std())


def _draw_counts(random: _Random) -> npt.NDArray[np.int64]:
    """(N_USERS,) ratings of each user: 20 and a long-tailed share of the rest, N_RATINGS in all."""
    tail = (-np.log(random.uniform(N_USERS))) ** 1.2
    extra = np.floor(tail / tail.sum() * (N_RATINGS - MIN_RATINGS_PER_USER * N_USERS)).astype(np.int64)
    counts = MIN_RATINGS_PER_USER + extra
    counts[: N_RATINGS - counts.sum()] += 1  # What rounding down left over: fewer than N_USERS.
    return np.asarray(counts)


def _draw_choices(
    random: _Random, quality: _Floats, liking: _Floats, counts: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Users ascending and, for each, distinct items in the order of rating.

    Drawn without replacement with probabilities by weight: the smallest of exponential(1) / weight
    (Efraimidis and Spirakis 2006).
    """
    rank = random.order(N_ITEMS)
    popularity = np.exp(_CHOICE_BY_QUALITY * quality) / (rank + 30.0) ** 0.9
    popularity[rank >= N_ITEMS - N_UNRATED_ITEMS] = 0.0
    weight = popularity * np.exp(_CHOICE_BY_TASTE * _TASTE_STD * liking)
    with np.errstate(divide="ignore"):
        keys = -np.log(random.uniform(N_USERS, N_ITEMS)) / weight
    chosen = np.arange(N_ITEMS) < counts[:, np.newaxis]
    return np.repeat(np.arange(N_USERS), counts), np.argsort(keys, axis=1, kind="stable")[chosen]


def _draw_ratings(
    random: _Random,
    user_index: npt.NDArray[np.int64],
    item_index: npt.NDArray[np.int64],
    quality: _Floats,
    liking: _Floats,
) -> _Floats:
    """(N_RATINGS,) whole stars from 1 to 5."""
    stars = (
        _MEAN_RATING
        + _USER_STD * random.normal(N_USERS)[user_index]
        + _ITEM_STD * quality[item_index]
        + _TASTE_STD * liking[user_index, item_index]
        + _NOISE_STD * random.normal(N_RATINGS)
    )
    # Choosing by taste and quality lifts the mean of what is rated: bring it back.
    return np.asarray(np.clip(np.rint(stars - stars.mean() + _MEAN_RATING), 1.0, 5.0))


def _draw_timestamps(random: _Random, counts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """(N_RATINGS,) seconds, ascending for every user: a first day, then pauses of up to ten minutes."""
    pauses = np.ceil(random.uniform(N_RATINGS) * _LONGEST_PAUSE_SECONDS).astype(np.int64)
    passed: npt.NDArray[Any] = np.cumsum(pauses)
    first_row = np.cumsum(counts) - counts
    signup = _FIRST_TIMESTAMP + np.floor(random.uniform(N_USERS) * _SIGNUP_SECONDS).astype(np.int64)
    return np.asarray(np.repeat(signup - passed[first_row], counts) + passed)
