"""From the batches of a source to one table of ratings, each row checked."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from shared.datasets.prepare import RatingTable
from shared.datasets.sources.left_out import LeftOut, Rule
from shared.datasets.sources.rows import Rows
from shared.datasets.sources.values import Bools, IdCodes, TimeReader, to_numbers

if TYPE_CHECKING:
    import pyarrow as pa

_ID = "id is an integer, or text that can be seen and holds no null byte"
_USER_RULE, _ITEM_RULE = Rule(f"a user {_ID}"), Rule(f"an item {_ID}")
_LARGEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class Columns:
    """Which column holds what, by position; None for what the source has not.

    `rating`: or the weight of an observation that is no rating.
    """

    user: int
    item: int
    rating: int | None = None
    time: int | None = None

    def places(self) -> list[int]:
        """Those to read, each once."""
        return sorted(
            {place for place in (self.user, self.item, self.rating, self.time) if place is not None}
        )


@dataclass(frozen=True)
class Reading:
    """How values are written, and within which bounds ratings are.

    decimal: what stands before a fraction      is_log_weight: a weight w counts as log(1 + w)
    """

    scale: tuple[float, float] | None = None
    time_format: str | None = None
    decimal: str = "."
    is_weight: bool = False
    is_log_weight: bool = False


def collect_ratings(rows: Rows, columns: Columns, reading: Reading, left_out: LeftOut) -> RatingTable:
    """All rows that keep to the rules; without a column of ratings each is 1.

    Raises DatasetError at the first that does not, unless rows are left out.
    """
    collector = _Collector(rows, columns, reading, left_out)
    places = columns.places()
    for batch in rows.batches(places):
        collector.add(dict(zip(places, batch.columns, strict=True)), batch.num_rows)
    return collector.table()


@dataclass
class _Check:
    """A rule, and which rows of a batch keep to it."""

    rule: Rule
    is_good: Bools
    column: "pa.Array"


class _Collector:
    def __init__(self, rows: Rows, columns: Columns, reading: Reading, left_out: LeftOut) -> None:
        self._rows = rows
        self._columns = columns
        self._reading = reading
        self._left_out = left_out
        self._users, self._items = IdCodes(), IdCodes()
        self._times = TimeReader(reading.time_format)
        self._parts: dict[str, list[npt.NDArray[Any]]] = {
            name: [] for name in ("users", "items", "ratings", "times", "rows")
        }
        self._n_rows = 0

    def add(self, batch: Mapping[int, "pa.Array"], n_rows: int) -> None:
        """Keep the good rows of a batch, report the others in the order of the source."""
        columns = self._columns
        users, user_is_good = self._users.encode(batch[columns.user])
        items, item_is_good = self._items.encode(batch[columns.item])
        checks = [
            _Check(_USER_RULE, user_is_good, batch[columns.user]),
            _Check(_ITEM_RULE, item_is_good, batch[columns.item]),
        ]
        ratings = np.ones(n_rows)
        if columns.rating is not None:
            ratings, is_good = to_numbers(batch[columns.rating], self._reading.decimal)
            is_good &= np.abs(ratings, where=is_good, out=np.zeros(n_rows)) <= _LARGEST
            if self._reading.scale:
                is_good &= (ratings >= self._reading.scale[0]) & (ratings <= self._reading.scale[1])
            if self._reading.is_weight:
                is_good &= ratings > 0
            if self._reading.is_log_weight:
                ratings = np.log1p(ratings, where=is_good, out=np.zeros(n_rows))
            checks.append(_Check(self._rating_rule(), is_good, batch[columns.rating]))
        times = np.zeros(n_rows if columns.time is not None else 0, np.int64)
        if columns.time is not None:
            times, is_good = self._times.read(batch[columns.time])
            checks.append(_Check(self._time_rule(), is_good, batch[columns.time]))
        is_kept = np.logical_and.reduce([check.is_good for check in checks])
        if not is_kept.all():
            self._report(checks)
        rows = np.flatnonzero(is_kept) + self._n_rows
        self._n_rows += n_rows
        self._parts["users"].append(users[is_kept])
        self._parts["items"].append(items[is_kept])
        self._parts["ratings"].append(ratings[is_kept].astype(np.float32))
        if columns.time is not None:
            self._parts["times"].append(times[is_kept])
        # A row's number is its place for as long as none was left out.
        if self._left_out.on_error == "skip":
            self._parts["rows"].append(rows)

    def table(self) -> RatingTable:
        """What was kept."""
        parts = {name: self._joined(name) for name in self._parts}
        numbers = parts["rows"]

        def place(row: int) -> str:
            return self._rows.place(int(numbers[row]) if len(numbers) else row)

        n_ratings = len(parts["users"])
        return RatingTable(
            user_codes=parts["users"].astype(np.int32, copy=False),
            user_ids=self._users.ids,
            item_codes=parts["items"].astype(np.int32, copy=False),
            item_ids=self._items.ids,
            ratings=parts["ratings"].astype(np.float32, copy=False),
            timestamps=parts["times"] if self._columns.time is not None else np.zeros(n_ratings, np.int64),
            where=self._rows.where,
            place=place,
        )

    @property
    def time_format(self) -> str | None:
        return self._times.time_format

    def _joined(self, name: str) -> npt.NDArray[Any]:
        """The parts as one, which are let go."""
        parts, self._parts[name] = self._parts[name], []
        return np.concatenate(parts) if parts else np.zeros(0, np.int64)

    def _report(self, checks: list[_Check]) -> None:
        """Each bad row once, by the first rule that it breaks."""
        is_open = np.ones(len(checks[0].is_good), bool)
        found = []
        for check in checks:
            bad = np.flatnonzero(is_open & ~check.is_good)
            is_open &= check.is_good
            if len(bad):
                found.append((int(bad[0]), len(bad), check))
        for first, n_bad, check in sorted(found, key=lambda one: one[0]):
            row = self._n_rows + first
            value = check.column[first].as_py()
            self._left_out.add(
                self._explained(check, value),
                partial(self._rows.place, row),
                value,
                n_bad,
            )

    def _explained(self, check: _Check, value: object) -> Rule:
        """What a person may have meant."""
        names = [self._rows.names[place] for place in self._columns.places()]
        if isinstance(value, str) and value.strip() in names:
            return Rule(check.rule.text, "The line repeats the header, as joined files do: remove it there.")
        if isinstance(value, str) and "," in value and self._reading.decimal == ".":
            return Rule(
                check.rule.text,
                f'{check.rule.remedy} If commas stand before fractions, write decimal = "," into a '
                "TOML source.",
            )
        return check.rule

    def _rating_rule(self) -> Rule:
        reading = self._reading
        if reading.is_weight:
            return Rule("a weight is a finite number above 0")
        if reading.scale:
            low, high = reading.scale
            return Rule(f"a rating is a number from {low:g} to {high:g}")
        return Rule("a rating is a finite number")

    def _time_rule(self) -> Rule:
        form = self._times.time_format
        if form in ("seconds", "milliseconds", "microseconds", "nanoseconds"):
            return Rule(f"a time is in {form} since 1970")
        if form == "iso":
            return Rule(
                "a time is a number of seconds or milliseconds since 1970, or written as 2024-01-31 or "
                "2024-01-31T12:00:00Z",
                "Correct or remove the line, or write how times are written into a TOML source, such as "
                'time_format = "%d.%m.%Y".',
            )
        return Rule(f"a time is written as time_format = {form!r} says")
