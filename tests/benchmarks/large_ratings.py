"""Synthetic ratings of any size, shaped like MovieLens 32M: for measuring, the same for the same seed.

A few users rate very much and a few items are rated very often; what people choose and how they rate it
follows their taste, so that models have something to learn. Nothing is taken from any real data set.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from shared.datasets import Dataset

# As published: https://files.grouplens.org/datasets/movielens/ml-32m-README.html
ML_32M = (200_948, 87_585, 32_000_204)
MIN_RATINGS_PER_USER = 20

# Popularity of the item at a rank from 0: (rank + n_items / 300) ** -1.8, before taste.
_RANK_OFFSET, _RANK_EXPONENT = 300, 1.8
# Ratings of a user beyond the smallest number are log-normal: mean 139 and median 53 need this deviation.
_ACTIVITY_STD = 1.39
# Nobody rates more than this share of the items.
_LARGEST_ACTIVITY = 0.4
_N_CIRCLES = 32  # Users of one circle choose alike.
_N_TRAITS = 8
_MEAN_RATING = 3.54
# Standard deviations, in stars, of the parts that a rating is the sum of.
_USER_STD, _ITEM_STD, _TASTE_STD, _NOISE_STD = 0.42, 0.45, 0.5, 0.8
_CHOICE_BY_TASTE = 1.2
# A user of more than this share of the items draws with a key for every item: drawing again and again until
# all differ would take too long.
_LARGEST_FEW = 0.01
# After so many rounds, what is still missing is drawn from flatter weights.
_N_ROUNDS = 5
_FIRST_TIMESTAMP, _SIGNUP_SECONDS = 820_000_000, 870_000_000
_VISIT_SECONDS = 30 * 86_400
_USERS_AT_ONCE = 4_096
_ROWS_AT_ONCE = 1 << 20

_Floats = npt.NDArray[np.float32]
_Pairs = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class LargeRatings:
    """One row a rating, by user and then by item, as GroupLens sorts them; all arrays of one length.

    user_id: int32 from 1, without gaps      item_id: int32 from 1, with gaps
    rating: float32 halves from 0.5 to 5      timestamp: int64 seconds
    """

    user_id: npt.NDArray[np.int32]
    item_id: npt.NDArray[np.int32]
    rating: _Floats
    timestamp: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.rating)


def generate(n_users: int, n_items: int, n_ratings: int, seed: int) -> LargeRatings:
    """So many ratings exactly, each pair once; 20 or more of every user, 1 or more of every item.

    Raises ValueError where that is impossible.
    """
    most = int(n_items * _LARGEST_ACTIVITY)
    if not max(n_users * MIN_RATINGS_PER_USER, n_items) <= n_ratings <= n_users * most:
        raise ValueError(
            f"{n_users:,} users of {MIN_RATINGS_PER_USER} to {most:,} ratings, and {n_items:,} items of one "
            f"at least, cannot have {n_ratings:,} ratings"
        )
    rng = np.random.default_rng(seed)
    counts = _draw_counts(rng, n_users, n_ratings, most)
    circle_traits = rng.standard_normal((_N_CIRCLES, _N_TRAITS), np.float32)
    circle = rng.integers(0, _N_CIRCLES, n_users)
    user_traits = 0.8 * circle_traits[circle] + 0.6 * rng.standard_normal((n_users, _N_TRAITS), np.float32)
    item_traits = rng.standard_normal((n_items, _N_TRAITS), np.float32) / np.float32(np.sqrt(_N_TRAITS))
    quality = rng.standard_normal(n_items, np.float32)
    weights = _choice_weights(rng, circle_traits @ item_traits.T, quality)
    user_bias = np.float32(_USER_STD) * rng.standard_normal(n_users, np.float32)
    item_ids = np.cumsum(rng.integers(1, 6, n_items), dtype=np.int32)
    signup = _FIRST_TIMESTAMP + rng.integers(0, _SIGNUP_SECONDS, n_users)

    ends = np.cumsum(counts)
    first_raters = np.sort(rng.choice(n_ratings, n_items, replace=False))
    # (n_items,) pairs that give every item a rater, users ascending.
    given = np.searchsorted(ends, first_raters, side="right") * n_items + rng.permutation(n_items)
    ratings = LargeRatings(
        user_id=np.empty(n_ratings, np.int32),
        item_id=np.empty(n_ratings, np.int32),
        rating=np.empty(n_ratings, np.float32),
        timestamp=np.empty(n_ratings, np.int64),
    )
    for first in range(0, n_users, _USERS_AT_ONCE):
        last = min(first + _USERS_AT_ONCE, n_users)
        ours = slice(*np.searchsorted(given, [first * n_items, last * n_items]))
        pairs = _draw_pairs(rng, np.arange(first, last), counts[first:last], circle, weights, given[ours])
        user, item = np.divmod(pairs, n_items)
        rows = slice(int(ends[first] - counts[first]), int(ends[last - 1]))
        stars = (
            np.float32(_MEAN_RATING)
            + user_bias[user]
            + np.float32(_ITEM_STD) * quality[item]
            + np.float32(_TASTE_STD) * np.einsum("ij,ij->i", user_traits[user], item_traits[item])
            + np.float32(_NOISE_STD) * rng.standard_normal(len(user), np.float32)
        )
        ratings.user_id[rows] = user + 1
        ratings.item_id[rows] = item_ids[item]
        # Choosing by taste and quality lifts the mean of what is rated: bring it back.
        ratings.rating[rows] = np.clip(np.rint((stars - stars.mean() + _MEAN_RATING) * 2) / 2, 0.5, 5.0)
        ratings.timestamp[rows] = signup[user] + rng.integers(0, _VISIT_SECONDS, len(user))
    return ratings


def generate_ml_32m(share: float = 1.0, seed: int = 32) -> LargeRatings:
    """Users, items and ratings of MovieLens 32M, or this share of each."""
    n_users, n_items, n_ratings = (round(number * share) for number in ML_32M)
    return generate(n_users, n_items, n_ratings, seed)


def as_dataset(ratings: LargeRatings, name: str = "large") -> Dataset:
    """The prepared data set, as reading the files would give it."""
    item_ids, item_index = _distinct(ratings.item_id)
    n_users = int(ratings.user_id[-1])
    blank = np.full(len(item_ids), "", dtype="U1")
    return Dataset(
        name=name,
        is_synthetic=True,
        user_ids=np.arange(1, n_users + 1).astype(np.str_),
        item_ids=item_ids.astype(np.str_),
        user_index=ratings.user_id - np.int32(1),
        item_index=item_index,
        ratings=ratings.rating,
        timestamps=ratings.timestamp,
        titles=blank,
        genres=blank,
    )


def write_csv(ratings: LargeRatings, path: Path) -> None:
    """`userId,movieId,rating,timestamp` with a header, as GroupLens writes them."""
    # The writer puts its header into quotes, and writes 4.0 as 4.
    with path.open("wb") as file:
        file.write(b"userId,movieId,rating,timestamp\n")
        without_header = pyarrow.csv.WriteOptions(include_header=False, quoting_style="none")
        halves = pa.array([f"{half / 2}" for half in range(11)])
        for rows in _blocks(len(ratings)):
            stars = halves.take(pa.array((ratings.rating[rows] * 2).astype(np.int32)))
            pyarrow.csv.write_csv(_table(ratings, rows, stars), file, without_header)


def write_parquet(ratings: LargeRatings, path: Path) -> None:
    """The columns of `write_csv`, with snappy compression; ids int32, ratings float, times int64."""
    schema = _table(ratings, slice(0, 0), pa.array([], pa.float32())).schema
    with pyarrow.parquet.ParquetWriter(path, schema) as writer:
        for rows in _blocks(len(ratings)):
            writer.write_table(_table(ratings, rows, pa.array(ratings.rating[rows])))


def write_items(ratings: LargeRatings, path: Path) -> None:
    """`movieId,title,genres`: the items of the ratings with made up titles, as GroupLens' movies.csv."""
    genres = ("Amber", "Basalt|Cedar", "Dune", "(no genres listed)")
    with path.open("w", encoding="utf-8") as file:
        file.write("movieId,title,genres\n")
        for item_id in _distinct(ratings.item_id)[0].tolist():
            file.write(f'{item_id},"Synthetic, item {item_id}",{genres[item_id % len(genres)]}\n')


def _blocks(n_rows: int) -> Iterator[slice]:
    for first in range(0, n_rows, _ROWS_AT_ONCE):
        yield slice(first, min(first + _ROWS_AT_ONCE, n_rows))


def _table(ratings: LargeRatings, rows: slice, stars: pa.Array) -> pa.Table:
    columns = {
        "userId": ratings.user_id[rows],
        "movieId": ratings.item_id[rows],
        "rating": stars,
        "timestamp": ratings.timestamp[rows],
    }
    return pa.table(columns)


def _distinct(item_id: npt.NDArray[np.int32]) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """The ids ascending, and the place of each row's id among them; without a sort of all rows."""
    is_used = np.zeros(int(item_id.max()) + 1, bool)
    is_used[item_id] = True
    places = np.cumsum(is_used, dtype=np.int32) - np.int32(1)
    return np.flatnonzero(is_used).astype(np.int32), places[item_id]


def _draw_counts(rng: np.random.Generator, n_users: int, n_ratings: int, most: int) -> _Pairs:
    """(n_users,) ratings of each user, n_ratings in all."""
    tail = np.exp(_ACTIVITY_STD * rng.standard_normal(n_users))
    n_extra = n_ratings - MIN_RATINGS_PER_USER * n_users
    extra = np.zeros(n_users, np.int64)
    # Nobody gets more than `most`: what is cut off goes to the others, in a few rounds.
    while (n_left := n_extra - int(extra.sum())) > 0:
        room = most - MIN_RATINGS_PER_USER - extra
        share = np.where(room > 0, tail, 0.0)
        more = np.floor(share / share.sum() * n_left).astype(np.int64)
        if not more.any():
            more[rng.permutation(np.flatnonzero(room))[:n_left]] = 1
        extra += np.minimum(more, room)
    return extra + MIN_RATINGS_PER_USER


def _choice_weights(rng: np.random.Generator, liking: _Floats, quality: _Floats) -> npt.NDArray[np.float64]:
    """(n_circles, n_items): how often an item is chosen in each circle."""
    n_items = len(quality)
    rank = rng.permutation(n_items)
    popularity = (rank + n_items / _RANK_OFFSET) ** -_RANK_EXPONENT * np.exp(0.3 * quality)
    return np.asarray(popularity * np.exp(_CHOICE_BY_TASTE * _TASTE_STD * liking), np.float64)


def _draw_pairs(  # noqa: PLR0917  All that a choice depends on.
    rng: np.random.Generator,
    users: _Pairs,
    counts: _Pairs,
    circle: _Pairs,
    weights: npt.NDArray[np.float64],
    given: _Pairs,
) -> _Pairs:
    """Pairs `user * n_items + item`, ascending: so many of each user as counted, `given` among them."""
    n_items = weights.shape[1]
    is_many = counts > n_items * _LARGEST_FEW
    chosen = [_draw_few(rng, users, np.where(is_many, 0, counts), circle, weights, given)]
    for user, count in zip(users[is_many], counts[is_many], strict=True):
        # The smallest of exponential(1) / weight (Efraimidis and Spirakis 2006).
        keys = rng.standard_exponential(n_items) / weights[circle[user]]
        keys[given[given // n_items == user] % n_items] = 0.0
        chosen.append(user * n_items + np.argpartition(keys, count - 1)[:count])
    return np.sort(np.concatenate(chosen))


def _draw_few(  # noqa: PLR0917
    rng: np.random.Generator,
    users: _Pairs,
    counts: _Pairs,
    circle: _Pairs,
    weights: npt.NDArray[np.float64],
    given: _Pairs,
) -> _Pairs:
    """Those of users with few ratings, 0 for all others: drawn with repetition, and again what came twice."""
    n_items, first, n_rounds = weights.shape[1], int(users[0]), 0
    pairs, complete = given[counts[given // n_items - first] > 0], list[_Pairs]()
    missing = counts - np.bincount(pairs // n_items - first, minlength=len(users))
    while missing.any():
        n_rounds += 1
        drawn = [pairs]
        for one in range(len(weights)):
            in_circle = np.flatnonzero((circle[users] == one) & (missing > 0))
            if len(in_circle):
                of_user = np.repeat(users[in_circle], missing[in_circle])
                shares = np.cumsum(weights[one] if n_rounds <= _N_ROUNDS else np.sqrt(weights[one]))
                place = np.searchsorted(shares, rng.random(len(of_user)) * shares[-1], side="right")
                drawn.append(of_user * n_items + np.minimum(place, n_items - 1))
        pairs = np.sort(np.concatenate(drawn))
        pairs = pairs[np.append(True, pairs[1:] != pairs[:-1])]
        found = np.bincount(pairs // n_items - first, minlength=len(users))
        missing = np.where(found > 0, counts - found, 0)
        is_complete = missing[pairs // n_items - first] == 0
        complete.append(pairs[is_complete])
        pairs = pairs[~is_complete]
    return np.concatenate([*complete, pairs])


def main() -> None:
    """`python -m tests.benchmarks.large_ratings FOLDER [SHARE]`: ratings.csv, ratings.parquet, movies.csv."""
    folder = Path(sys.argv[1])
    ratings = generate_ml_32m(float(sys.argv[2]) if len(sys.argv) > 2 else 1.0)
    folder.mkdir(parents=True, exist_ok=True)
    write_csv(ratings, folder / "ratings.csv")
    write_items(ratings, folder / "movies.csv")
    write_parquet(ratings, folder / "ratings.parquet")


if __name__ == "__main__":
    main()
