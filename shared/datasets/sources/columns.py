"""Which column of a person's file is which: as they say, else by its name; what is not clear is asked for."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shared.datasets.sources.collecting import Columns
from shared.datasets.sources.rows import Rows
from shared.datasets.sources.source_file import FeaturesTable, RatingsTable, suggest
from shared.datasets.sources.usual_names import candidates
from shared.errors import DatasetError

_N_EXAMPLES = 3
_NUMBER = re.compile(r"-?[0-9.,]+")


@dataclass(frozen=True)
class SourceReport:
    """What a person should see before anything starts: which column was taken for what, and the first rows.

    roles: ("user", "customer_id"), …      examples: of the columns of the roles, as they stand there
    """

    where: str
    roles: tuple[tuple[str, str], ...]
    examples: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class FoundColumns:
    """`is_implicit`: no column holds ratings; `columns.rating` is that of weights then, if there is one."""

    columns: Columns
    is_implicit: bool
    report: SourceReport


def find_rating_columns(rows: Rows, table: RatingsTable, toml: str | None) -> FoundColumns:
    """Raises DatasetError, with the TOML to write, where several columns or none may be meant.

    `toml`: the TOML source that names the table; None where a person named the file alone.
    """
    finder = _Finder(rows, table, toml)
    user, item = finder.required("user", table.user), finder.required("item", table.item)
    time = finder.optional("time", table.time)
    rating = None
    is_implicit = bool(table.implicit)
    if is_implicit:
        rating = None if table.weight is None else finder.given("weight", table.weight)
    else:
        rating = finder.optional("rating", table.rating)
        if rating is None:
            finder.ask_for_rating(taken=[user, item, *([] if time is None else [time])])
            is_implicit = True
    places = {
        "user": user,
        "item": item,
        "weight" if is_implicit else "rating": rating,
        "time": time,
    }
    return FoundColumns(Columns(user, item, rating, time), is_implicit, _report(rows, places))


def find_feature_columns(rows: Rows, table: FeaturesTable, kind: str, toml: str) -> Mapping[str, int | None]:
    """Positions of `id`, `title` and `genres`, the last two None where there are none; `kind`: item, user."""
    finder = _Finder(rows, table, toml)
    found: dict[str, int | None] = {
        "id": finder.required("id", table.id, also=kind),
        "title": None,
        "genres": None,
    }
    if kind == "item":
        for role, given in (("title", table.title), ("genres", table.genres)):
            found[role] = finder.optional(role, given)
    return found


def position_of(rows: Rows, name: str, toml: str, key: str) -> int:
    """Of the column that a TOML source names; raises DatasetError unless there is exactly one."""
    places = [place for place, other in enumerate(rows.names) if other == name]
    if len(places) != 1:
        number = "no column" if not places else f"{len(places)} columns"
        raise DatasetError(
            f"{toml}: {key} = {name!r} names {number} of {rows.where}; it has {', '.join(rows.names)}."
        )
    return places[0]


class _Finder:
    def __init__(self, rows: Rows, table: RatingsTable | FeaturesTable, toml: str | None) -> None:
        self._rows = rows
        self._table = table
        self._toml = toml

    def given(self, role: str, name: str) -> int:
        return position_of(self._rows, name, self._toml or "", role)

    def required(self, role: str, name: str | None, also: str | None = None) -> int:
        place = self.optional(role, name, also)
        if place is None:
            raise self._question(role, f"none of its columns has a usual name for {_a(role)}")
        return place

    def optional(self, role: str, name: str | None, also: str | None = None) -> int | None:
        if name is not None:
            return self.given(role, name)
        places = candidates(role, self._rows.names)
        if not places and also is not None:
            places = candidates(also, self._rows.names)
        if len(places) > 1:
            names = " and ".join(repr(self._rows.names[place]) for place in places)
            raise self._question(role, f"{names} both may be {_a(role)}")
        return places[0] if places else None

    def ask_for_rating(self, taken: Sequence[int]) -> None:
        """A column that means nothing to us may hold ratings: raise DatasetError unless there is none."""
        left = [name for place, name in enumerate(self._rows.names) if place not in taken]
        if left:
            raise self._question(
                "rating",
                f"none of its columns has a usual name for a rating, but {', '.join(map(repr, left))} "
                "may hold one. If nobody rated, write implicit = true instead",
            )

    def _question(self, role: str, why: str) -> DatasetError:
        names = self._rows.names
        if self._toml is not None:
            return DatasetError(
                f"{self._toml}: which column of {self._rows.where} is the {role}? {why}. Write {role} = "
                f'"…" into its table; the columns are {", ".join(names)}.'
            )
        if names and all(_NUMBER.fullmatch(name) for name in names):
            why = "its first line holds values, not names"
            keys: dict[str, Any] = {"columns": ["user", "item", "rating", "time", "…"][: max(2, len(names))]}
        elif len(names) == 1:
            why = f"no comma, semicolon, tab or bar divides its first line, {names[0]!r}"
            keys = {"separator": "…", "columns": ["user", "item", "rating"]}
        else:
            keys = {}
            for one in ("user", "item", "rating"):
                places = candidates(one, names)
                keys[one] = names[places[0]] if len(places) == 1 and one != role else "…"
        return DatasetError(
            f"{self._rows.where}: which column is the {role}? {why}. Say it in a file such as ratings.toml, "
            "and take DATASET=ratings.toml:",
            example=suggest(self._rows.where, names, keys),
        )


def _report(rows: Rows, places: Mapping[str, int | None]) -> SourceReport:
    found = {role: place for role, place in places.items() if place is not None}
    return SourceReport(
        rows.where,
        tuple((role, rows.names[place]) for role, place in found.items()),
        tuple(tuple(row[place] for place in found.values()) for row in rows.examples(_N_EXAMPLES)),
    )


def _a(role: str) -> str:
    return f"{'an' if role in ('id', 'item') else 'a'} {role}"
