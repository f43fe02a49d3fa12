"""What a person says that somebody rated: a list in a variable, or the lines of a file."""

import csv
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from shared.datasets import Dataset, canonical_id
from shared.errors import DatasetError, SpecError
from shared.plain_text import shortened

_COLUMNS = ("item_id", "rating")
_FILE_ENDINGS = (".csv", ".txt", ".tsv")


@dataclass(frozen=True, eq=False)
class History:
    """Items of the catalogue with their ratings, in the order given, no item twice.

    item_index: (n,) int32      ratings: (n,) float32, of which `n_unrated` were not given
    unknown: ids that are not in the catalogue
    """

    item_index: npt.NDArray[np.int32]
    ratings: npt.NDArray[np.float32]
    n_unrated: int
    unknown: tuple[str, ...]


@dataclass(frozen=True)
class _Entry:
    """An item as it was written, and where. `rating` is None where none was given."""

    item_id: str
    rating: str | None
    place: str


def read_history(text: str, dataset: Dataset) -> History:
    """The history that `text` holds, or the file that it names.

    An item without a rating counts as rated with the largest one of the scale. An id that the catalogue does
    not have is left out and named in `unknown`. Raises SpecError, with the place, for a rating that is no
    number or out of the scale, for an item given twice, and where no item is known.
    """
    index = {item_id: number for number, item_id in enumerate(dataset.item_ids.tolist())}
    entries = list(_entries_of_file(Path(text)) if _is_file(text) else _entries_of_list(text, set(index)))
    places: dict[str, str] = {}
    known: list[tuple[int, float]] = []
    for entry in entries:
        if entry.item_id in places:
            raise SpecError(
                f"{entry.place}: an item of a history is given once; {shortened(repr(entry.item_id))} is in "
                f"{places[entry.item_id]} too: leave one out"
            )
        places[entry.item_id] = entry.place
        rating = _rating(entry, dataset)
        if entry.item_id in index:
            known.append((index[entry.item_id], rating))
    unknown = tuple(item_id for item_id in places if item_id not in index)
    if not known:
        found = f"none is of {shortened(', '.join(unknown))}" if unknown else "it is empty"
        raise SpecError(f"a history needs an item of the catalogue of {dataset.name}; {found}")
    items, ratings = zip(*known, strict=True)
    return History(
        item_index=np.array(items, np.int32),
        ratings=np.array(ratings, np.float32),
        n_unrated=sum(entry.rating is None for entry in entries if entry.item_id in index),
        unknown=unknown,
    )


def _is_file(text: str) -> bool:
    """Whether a file is meant; raises SpecError where it is not there."""
    try:
        if Path(text).is_file():
            return True
    except (OSError, ValueError):
        # Too long for a path, or with a null byte.
        return False
    if "/" in text or text.lower().endswith(_FILE_ENDINGS):
        raise SpecError(
            f"HISTORY must be a file or a list such as 1,260:5; there is no file {shortened(repr(text))}"
        )
    return False


def _entries_of_list(text: str, known: set[str]) -> Iterator[_Entry]:
    """`1,260:5`: an id, with its rating behind the last colon unless all of it is an id."""
    for number, word in enumerate(text.split(","), start=1):
        place = f"HISTORY, entry {number}"
        whole = _id(word, place)
        item_id, colon, rating = word.rpartition(":")
        if whole in known or not colon:
            yield _Entry(whole, None, place)
        else:
            yield _Entry(_id(item_id, place), rating.strip(), place)


def _entries_of_file(path: Path) -> Iterator[_Entry]:
    """Lines of item_id and, where one is known, rating; the first may name the two."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(f"{path}: cannot be read: {error}; a history is a text file in UTF-8") from error
    columns: tuple[str, ...] = _COLUMNS
    is_first = True
    for number, line in enumerate(lines, start=1):
        cells = [cell.strip() for cell in next(csv.reader([line]), [])]
        if not any(cells):
            continue
        place = f"{path}, line {number}"
        named = tuple(cell.lower() for cell in cells)
        if is_first and "item_id" in named:
            columns, is_first = _header(named, place), False
            continue
        is_first = False
        if len(cells) > len(columns):
            raise SpecError(
                f"{place}: a line of a history is {' and '.join(columns)}; got {shortened(repr(line))}"
            )
        values = dict(zip(columns, cells, strict=False))
        yield _Entry(_id(values.get("item_id", ""), place), values.get("rating") or None, place)


def _header(named: tuple[str, ...], place: str) -> tuple[str, ...]:
    if len(set(named)) != len(named) or not set(named) <= set(_COLUMNS):
        raise SpecError(
            f"{place}: the columns of a history are item_id and rating; got {shortened(', '.join(named))}"
        )
    return named


def _id(text: str, place: str) -> str:
    try:
        return canonical_id(text)
    except DatasetError as error:
        raise SpecError(f"{place}: {error}") from error


def _rating(entry: _Entry, dataset: Dataset) -> float:
    smallest, largest = dataset.rating_range
    if entry.rating is None:
        return largest
    try:
        rating = float(entry.rating)
    except ValueError:
        rating = math.nan
    if not smallest <= rating <= largest:
        raise SpecError(
            f"{entry.place}: a rating of {dataset.name} is a number from {smallest:g} to {largest:g}; got "
            f"{shortened(repr(entry.rating))} for item {shortened(repr(entry.item_id))}"
        )
    return rating
