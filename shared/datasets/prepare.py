"""From ratings with ids of any kind to the prepared data set with contiguous indices."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from shared.datasets.dataset import Dataset
from shared.datasets.ids import canonical_id, sort_ids
from shared.errors import DatasetError


@dataclass(frozen=True, eq=False)
class RatingTable:
    """One row a rating, in the order of the source.

    user_codes, item_codes: (n_ratings,) int32 positions in user_ids and item_ids, which are canonical, each
    once and in any order      ratings: (n_ratings,) float      timestamps: (n_ratings,) int64 seconds
    where: the file, for messages      place: file and line of a row, for messages
    """

    user_codes: npt.NDArray[np.int32]
    user_ids: Sequence[str]
    item_codes: npt.NDArray[np.int32]
    item_ids: Sequence[str]
    ratings: npt.NDArray[np.floating[Any]]
    timestamps: npt.NDArray[np.int64]
    where: str
    place: Callable[[int], str]


def rating_table(  # noqa: PLR0917  The columns, as a source has them.
    user_ids: npt.NDArray[Any],
    item_ids: npt.NDArray[Any],
    ratings: npt.NDArray[np.floating[Any]],
    timestamps: npt.NDArray[np.int64],
    where: str,
    first_line: int = 1,
) -> RatingTable:
    """The table of ratings whose ids are integers or text, (n_ratings,) each.

    Row 0 is line `first_line` of the file `where`. Raises DatasetError for what is no id.
    """
    user_codes, users = _coded(user_ids)
    item_codes, items = _coded(item_ids)

    def place(row: int) -> str:
        return f"{where}, line {row + first_line}"

    return RatingTable(user_codes, users, item_codes, items, ratings, timestamps, where, place)


@dataclass(frozen=True)
class Item:
    """One entry of the catalogue, rated or not."""

    item_id: str
    title: str = ""
    genres: tuple[str, ...] = ()


def prepare_dataset(
    name: str,
    table: RatingTable,
    items: Sequence[Item],
    *,
    traits: Mapping[str, Sequence[str]] | None = None,
    is_synthetic: bool = False,
    is_implicit: bool = False,
    may_have_duplicates: bool = True,
) -> Dataset:
    """Ids in ascending order, indices from 0, the catalogue exactly `items`; users are those who rated.

    `traits`: what is known of each user, by id; users without ratings are left out.

    Raises DatasetError, with file and line, for a rated item that is not in the catalogue and for a second
    rating of an item by one user: which of the two counts is not ours to guess, and one of them in training
    with the other in validation would flatter every model.
    """
    if may_have_duplicates:
        refuse_duplicates(table)
    catalogue = {item.item_id: item for item in items}
    item_ids = sort_ids(catalogue)
    has_rated = np.bincount(table.user_codes, minlength=len(table.user_ids)) > 0
    user_ids = sort_ids(user_id for user_id, rated in zip(table.user_ids, has_rated, strict=True) if rated)
    user_index = _positions(table.user_ids, user_ids)[table.user_codes]
    item_index = _positions(table.item_ids, item_ids)[table.item_codes]
    _check_in_catalogue(item_index, table)
    ordered = [catalogue[item_id] for item_id in item_ids]
    return Dataset(
        name=name,
        is_synthetic=is_synthetic,
        user_ids=np.array(user_ids, dtype=np.str_),
        item_ids=np.array(item_ids, dtype=np.str_),
        user_index=user_index,
        item_index=item_index,
        ratings=table.ratings.astype(np.float32, copy=False),
        timestamps=table.timestamps.astype(np.int64, copy=False),
        titles=np.array([item.title for item in ordered], dtype=np.str_),
        genres=np.array(["|".join(item.genres) for item in ordered], dtype=np.str_),
        user_traits=None
        if traits is None
        else np.array(["|".join(traits.get(user_id, ())) for user_id in user_ids], dtype=np.str_),
        is_implicit=is_implicit,
    )


def pairs_of(table: RatingTable) -> npt.NDArray[np.int64]:
    """(n_ratings,) one number for each pair of a user and an item."""
    return table.user_codes.astype(np.int64) * max(1, len(table.item_ids)) + table.item_codes


def refuse_duplicates(table: RatingTable, remedy: str = "Remove one of the two lines.") -> None:
    """Raise DatasetError, with both places, at the first second rating of an item by one user."""
    pairs = pairs_of(table)
    pairs.sort()
    if not (pairs[1:] == pairs[:-1]).any():
        return
    pairs = pairs_of(table)
    _, first_rows = np.unique(pairs, return_index=True)
    is_first = np.zeros(len(pairs), bool)
    is_first[first_rows] = True
    row = int(is_first.argmin())
    first = int((pairs == pairs[row]).argmax())
    raise DatasetError(
        f"{table.place(row)}: a user rates an item once; user {table.user_ids[table.user_codes[row]]} rated "
        f"item {table.item_ids[table.item_codes[row]]} in {_line_of(table.place(first))} already. {remedy}"
    )


def _line_of(place: str) -> str:
    """`line 7` of `ratings.csv, line 7`."""
    return place.rpartition(", ")[2]


def _coded(values: npt.NDArray[Any]) -> tuple[npt.NDArray[np.int32], list[str]]:
    """For every row the code of its id, and the ids by their codes."""
    import pandas as pd  # noqa: PLC0415  Slow to load, and few commands need it.

    codes, distinct = pd.factorize(values, use_na_sentinel=False)
    # 2000 and "2000" are one id.
    code_of_id: dict[str, int] = {}
    code_of_value = [
        code_of_id.setdefault(canonical_id(value), len(code_of_id)) for value in distinct.tolist()
    ]
    return np.array(code_of_value, dtype=np.int32)[codes], list(code_of_id)


def _positions(ids: Sequence[str], ordered: Sequence[str]) -> npt.NDArray[np.int32]:
    """Place of each id in `ordered`, -1 where it is not there."""
    position: Mapping[str, int] = {text: place for place, text in enumerate(ordered)}
    return np.array([position.get(text, -1) for text in ids], dtype=np.int32)


def _check_in_catalogue(item_index: npt.NDArray[np.int32], table: RatingTable) -> None:
    missing = item_index < 0
    if missing.any():
        row = int(missing.argmax())
        raise DatasetError(
            f"{table.place(row)}: every rated item must be in the item file; item "
            f"{table.item_ids[table.item_codes[row]]} is not. Supply the item file that belongs to them."
        )
