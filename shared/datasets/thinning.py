"""Rules for repeated pairs of a user and an item, and for users and items with few ratings."""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from shared.datasets.prepare import RatingTable, pairs_of

Duplicates = Literal["refuse", "last", "mean", "max"]


@dataclass(frozen=True)
class Thinned:
    """What is left of the ratings, and how many rounds, users, items and ratings it took."""

    table: RatingTable
    n_rounds: int
    n_users: int
    n_items: int
    n_ratings: int


def merge_duplicates(table: RatingTable, rule: Literal["last", "mean", "max"]) -> RatingTable:
    """One rating for every pair of a user and an item, in the place of its last.

    The last is the latest by time, of equal times the one further down. It is kept ("last"), or the mean or
    the largest of all ratings of the pair is, with the time of the last.
    """
    pairs = pairs_of(table)
    order = np.lexsort((np.arange(len(pairs)), table.timestamps, pairs))
    in_order = pairs[order]
    is_last = np.append(in_order[1:] != in_order[:-1], True)
    last_rows = order[is_last]
    ratings = table.ratings[last_rows]
    if rule != "last":
        starts = np.append(0, np.flatnonzero(is_last)[:-1] + 1)
        of_pair = table.ratings[order].astype(np.float64)
        if rule == "max":
            ratings = np.maximum.reduceat(of_pair, starts)
        else:
            ratings = np.add.reduceat(of_pair, starts) / np.diff(np.append(starts, len(order)))
    by_place = np.argsort(last_rows)
    return _rows(table, last_rows[by_place], ratings[by_place].astype(np.float32))


def thin(table: RatingTable, min_ratings_per_user: int, min_ratings_per_item: int) -> Thinned:
    """The k-core: users and items with fewer ratings are left out again and again until none is left.

    (Seidman 1983, for a graph of two kinds of nodes.)
    """
    if max(min_ratings_per_user, min_ratings_per_item) <= 1:
        # Everybody in the table has one.
        return Thinned(table, 0, 0, 0, 0)
    kept = np.arange(len(table.ratings))
    n_rounds = 0
    while True:
        n_of_user = np.bincount(table.user_codes[kept], minlength=len(table.user_ids))
        n_of_item = np.bincount(table.item_codes[kept], minlength=len(table.item_ids))
        is_kept = (n_of_user[table.user_codes[kept]] >= min_ratings_per_user) & (
            n_of_item[table.item_codes[kept]] >= min_ratings_per_item
        )
        if is_kept.all():
            break
        kept = kept[is_kept]
        n_rounds += 1
    if n_rounds == 0:
        return Thinned(table, 0, 0, 0, 0)
    return Thinned(
        _rows(table, kept, table.ratings[kept]),
        n_rounds,
        n_users=_n_distinct(table.user_codes) - _n_distinct(table.user_codes[kept]),
        n_items=_n_distinct(table.item_codes) - _n_distinct(table.item_codes[kept]),
        n_ratings=len(table.ratings) - len(kept),
    )


def _rows(
    table: RatingTable, rows: npt.NDArray[np.integer], ratings: npt.NDArray[np.floating]
) -> RatingTable:
    """Some rows of the table, with these ratings."""
    return replace(
        table,
        user_codes=table.user_codes[rows],
        item_codes=table.item_codes[rows],
        ratings=ratings,
        timestamps=table.timestamps[rows],
        place=lambda row: table.place(int(rows[row])),
    )


def _n_distinct(codes: npt.NDArray[np.int32]) -> int:
    return int((np.bincount(codes) > 0).sum()) if len(codes) else 0
