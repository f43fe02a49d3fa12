"""What a source knows of items and users: titles, genres and other features."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from shared.datasets.ids import canonical_id
from shared.datasets.prepare import Item
from shared.datasets.sources.columns import find_feature_columns, position_of
from shared.datasets.sources.left_out import LeftOut, Rule
from shared.datasets.sources.rows import Rows
from shared.datasets.sources.source_file import FeaturesTable
from shared.errors import DatasetError

NO_GENRES = frozenset({"", "(no genres listed)", "unknown"})


def read_items(rows: Rows, table: FeaturesTable, toml: str, left_out: LeftOut) -> dict[str, Item]:
    """Items by id. Without a column of titles an item's title is its id.

    A genre is kept as it is, another feature as "brand Sony"; a value of several is divided by "|".
    """
    items = {}
    places = find_feature_columns(rows, table, "item", toml)
    for item_id, values in _read(rows, table, places, "item", toml, left_out):
        title = _text(values["title"]) if places["title"] is not None else item_id
        genres = [one for one in _parts(values["genres"]) if one not in NO_GENRES]
        items[item_id] = Item(item_id, title, (*genres, *values["features"]))
    return items


def read_users(rows: Rows, table: FeaturesTable, toml: str, left_out: LeftOut) -> dict[str, tuple[str, ...]]:
    """Features by the id of the user."""
    places = find_feature_columns(rows, table, "user", toml)
    return {
        user_id: tuple(values["features"])
        for user_id, values in _read(rows, table, places, "user", toml, left_out)
    }


def _read(  # noqa: PLR0917  What is read, how, and who is told.
    rows: Rows,
    table: FeaturesTable,
    places: Mapping[str, int | None],
    kind: str,
    toml: str,
    left_out: LeftOut,
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each id once, with what stands in the columns."""
    features = [(name, position_of(rows, name, toml, "features")) for name in table.features]
    wanted = sorted(
        {place for place in (*places.values(), *(place for _, place in features)) if place is not None}
    )
    seen: set[str] = set()
    number = -1
    for batch in rows.batches(wanted):
        columns = {place: column.to_pylist() for place, column in zip(wanted, batch.columns, strict=True)}
        for row in range(batch.num_rows):
            number += 1
            values = {place: column[row] for place, column in columns.items()}
            found = _row(values, places, features, kind, seen)
            if isinstance(found, Rule):
                left_out.add(found, partial(rows.place, number), values[places["id"] or 0])
            else:
                seen.add(found[0])
                yield found


def _row(
    values: Mapping[int, Any],
    places: Mapping[str, int | None],
    features: Sequence[tuple[str, int]],
    kind: str,
    seen: set[str],
) -> tuple[str, dict[str, Any]] | Rule:
    """The id and its features, or the rule that the row breaks."""
    try:
        own_id = canonical_id(values[places["id"] or 0])
    except DatasetError:
        return Rule(f"{_a(kind)} id is an integer, or text that can be seen and holds no null byte")
    if own_id in seen:
        return Rule(f"{_a(kind)} has one line, and this one has one already")
    if any("\0" in str(value) for value in values.values()):
        return Rule("text holds no null byte")
    named = {role: values[place] if place is not None else None for role, place in places.items()}
    traits = [f"{name} {part}" for name, place in features for part in _parts(values[place])]
    return own_id, {**named, "features": traits}


def _a(kind: str) -> str:
    return f"{'an' if kind == 'item' else 'a'} {kind}"


def _parts(value: object) -> list[str]:
    if isinstance(value, list | tuple):
        return [text for one in value if (text := _text(one))]
    return [text for part in _text(value).split("|") if (text := part.strip())]


def _text(value: object) -> str:
    return "" if value is None else str(value).strip()
