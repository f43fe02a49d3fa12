"""From ratings with ids of any kind to the prepared data set with contiguous indices."""

from collections.abc import Mapping, Sequence
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

    user_ids, item_ids: (n_ratings,) integers or text      ratings: (n_ratings,) float
    timestamps: (n_ratings,) int64 seconds      where: the file, for messages; row 0 is its line `first_line`
    """

    user_ids: npt.NDArray[Any]
    item_ids: npt.NDArray[Any]
    ratings: npt.NDArray[np.floating[Any]]
    timestamps: npt.NDArray[np.int64]
    where: str
    first_line: int = 1

    def line(self, row: int) -> int:
        """Line of a row in the file, from 1."""
        return row + self.first_line


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
) -> Dataset:
    """Ids in ascending order, indices from 0, the catalogue exactly `items`.

    `traits`: what is known of each user, by id; users without ratings are left out.

    Raises DatasetError, with file and line, for a rated item that is not in the catalogue and for a second
    rating of an item by one user: which of the two counts is not ours to guess, and one of them in training
    with the other in validation would flatter every model.
    """
    catalogue = {item.item_id: item for item in items}
    item_ids = sort_ids(catalogue)
    user_codes, users = _distinct_ids(table.user_ids)
    item_codes, rated_items = _distinct_ids(table.item_ids)
    user_ids = sort_ids(set(users))
    user_index = _positions(users, user_ids)[user_codes]
    item_index = _positions(rated_items, item_ids)[item_codes]
    _check_in_catalogue(item_index, table)
    _check_unique(user_index, item_index, len(item_ids), table)
    ordered = [catalogue[item_id] for item_id in item_ids]
    return Dataset(
        name=name,
        is_synthetic=is_synthetic,
        user_ids=np.array(user_ids, dtype=np.str_),
        item_ids=np.array(item_ids, dtype=np.str_),
        user_index=user_index,
        item_index=item_index,
        ratings=table.ratings.astype(np.float32),
        timestamps=table.timestamps.astype(np.int64),
        titles=np.array([item.title for item in ordered], dtype=np.str_),
        genres=np.array(["|".join(item.genres) for item in ordered], dtype=np.str_),
        user_traits=None
        if traits is None
        else np.array(["|".join(traits.get(user_id, ())) for user_id in user_ids], dtype=np.str_),
    )


def _distinct_ids(values: npt.NDArray[Any]) -> tuple[npt.NDArray[np.intp], list[str]]:
    """For every row the position of its id in the list of distinct ids, and that list, canonical."""
    import pandas as pd  # noqa: PLC0415  Slow to load, and few commands need it.

    codes, distinct = pd.factorize(values, use_na_sentinel=False)
    return codes, [canonical_id(value) for value in distinct.tolist()]


def _positions(ids: Sequence[str], ordered: Sequence[str]) -> npt.NDArray[np.int32]:
    """Place of each id in `ordered`, -1 where it is not there."""
    position: Mapping[str, int] = {text: place for place, text in enumerate(ordered)}
    return np.array([position.get(text, -1) for text in ids], dtype=np.int32)


def _check_in_catalogue(item_index: npt.NDArray[np.int32], table: RatingTable) -> None:
    missing = item_index < 0
    if missing.any():
        row = int(missing.argmax())
        raise DatasetError(
            f"{table.where}, line {table.line(row)}: every rated item must be in the item file; item "
            f"{table.item_ids[row]} is not. Supply the item file that belongs to these ratings."
        )


def _check_unique(
    user_index: npt.NDArray[np.int32], item_index: npt.NDArray[np.int32], n_items: int, table: RatingTable
) -> None:
    import pandas as pd  # noqa: PLC0415  Slow to load, and few commands need it.

    pair = user_index.astype(np.int64) * n_items + item_index
    repeated = pd.Series(pair).duplicated().to_numpy()
    if repeated.any():
        row = int(repeated.argmax())
        first = int((pair == pair[row]).argmax())
        raise DatasetError(
            f"{table.where}, line {table.line(row)}: a user rates an item once; user {table.user_ids[row]} "
            f"rated item {table.item_ids[row]} in line {table.line(first)} already. Remove one of the two "
            "lines."
        )
