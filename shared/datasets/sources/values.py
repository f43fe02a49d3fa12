"""From a column as it was read to ids, ratings and times; what breaks a rule is marked, not guessed.

Each function gives an array and, beside it, which rows are good.
"""

import math
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from shared.datasets.ids import canonical_id
from shared.errors import DatasetError

if TYPE_CHECKING:
    import pyarrow as pa

Bools = npt.NDArray[np.bool_]

_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
# Years 1 to 9999.
_FIRST_SECOND, _LAST_SECOND = -62_135_596_800, 253_402_300_799
# From here up a number is not seconds (the year 5138) but milliseconds, microseconds, nanoseconds.
_UNITS = ((1e17, 10**9), (1e14, 10**6), (1e11, 10**3), (0.0, 1))


class IdCodes:
    """Codes from 0 for the ids of one kind, in the order in which they were met first."""

    def __init__(self) -> None:
        self.ids: list[str] = []
        self._code_of_id: dict[str, int] = {}
        # By the type of the column.
        self._code_of_value: dict[str, dict[Any, int]] = {}

    def encode(self, column: "pa.Array") -> tuple[npt.NDArray[np.int32], Bools]:
        """The code of each value; what is no id is bad."""
        import pyarrow as pa  # noqa: PLC0415  Slow to load, and few commands need it.

        if isinstance(column.type, pa.BaseExtensionType):
            # Such as UUIDs.
            column = pa.array([None if value is None else str(value) for value in column.to_pylist()])
        if pa.types.is_nested(column.type):
            return np.full(len(column), -1, np.int32), np.zeros(len(column), bool)
        if not pa.types.is_dictionary(column.type):
            column = column.dictionary_encode()
        # Of one type: 1, 1.0 and True are one key of a dict.
        known = self._code_of_value.setdefault(str(column.type), {})
        values = column.dictionary.to_pylist()
        for value in values:
            if value not in known:
                known[value] = self._code(value)
        codes = np.array([known[value] for value in values] or [-1], dtype=np.int32)
        places = column.indices.cast(pa.int64()).fill_null(-1).to_numpy(zero_copy_only=False)
        encoded = np.where(places >= 0, codes[places], np.int32(-1))
        return encoded, encoded >= 0

    def _code(self, value: Any) -> int:  # noqa: ANN401  Whatever a source holds.
        try:
            text = canonical_id(value)
        except DatasetError:
            return -1
        code = self._code_of_id.setdefault(text, len(self.ids))
        if code == len(self.ids):
            self.ids.append(text)
        return code


def to_numbers(column: "pa.Array", decimal: str = ".") -> tuple[npt.NDArray[np.float64], Bools]:
    """Finite numbers. Text may have blanks around it; `decimal` stands before the fraction."""
    import pyarrow as pa  # noqa: PLC0415  Slow to load, and few commands need it.
    from pyarrow import compute  # noqa: PLC0415

    if not _is_text(column):
        if pa.types.is_boolean(column.type) or pa.types.is_temporal(column.type):
            return np.zeros(len(column)), np.zeros(len(column), bool)
        try:
            # A whole number beyond 2**53 becomes its neighbour.
            column = column.cast(pa.float64(), safe=False)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            return np.zeros(len(column)), np.zeros(len(column), bool)
        values = column.fill_null(math.nan).to_numpy(zero_copy_only=False)
        return values, np.isfinite(values)
    if decimal != ".":
        # "4.5" would be read as if it were what is meant.
        column = compute.replace_substring(compute.replace_substring(column, ".", "?"), decimal, ".")
    try:
        values = compute.cast(column, pa.float64()).fill_null(math.nan).to_numpy(zero_copy_only=False)
    except pa.ArrowInvalid:
        values = np.array([_to_number(text) for text in column.to_pylist()])
    return values, np.isfinite(values)


def _to_number(text: str | None) -> float:
    stripped = (text or "").strip()
    return float(stripped) if _NUMBER.fullmatch(stripped) else math.nan


class TimeReader:
    """Seconds since 1970 from the times of one column, all written alike.

    `time_format`: "seconds", "milliseconds", "iso" (dates and times as 2024-01-31T12:00:00Z, without a zone
    UTC), a format of strptime, or None for what the first value shows.
    """

    def __init__(self, time_format: str | None = None) -> None:
        self.time_format = time_format
        self._divisor = {"seconds": 1, "milliseconds": 1_000}.get(time_format or "", 0)

    def read(self, column: "pa.Array") -> tuple[npt.NDArray[np.int64], Bools]:
        """Whole seconds; what is no time, or none of the years 1 to 9999, is bad."""
        import pyarrow as pa  # noqa: PLC0415  Slow to load, and few commands need it.

        if pa.types.is_nested(column.type):
            return np.zeros(len(column), np.int64), np.zeros(len(column), bool)
        if pa.types.is_temporal(column.type):
            self.time_format = self.time_format or "iso"
            seconds, is_good = _from_timestamps(column)
        else:
            if self.time_format is None:
                self._recognise(column)
            if self.time_format in ("seconds", "milliseconds", "microseconds", "nanoseconds"):
                seconds, is_good = self._from_numbers(column)
            else:
                seconds, is_good = _each(column, self._from_text)
        return seconds, is_good & (seconds >= _FIRST_SECOND) & (seconds <= _LAST_SECOND)

    def _recognise(self, column: "pa.Array") -> None:
        values, is_number = to_numbers(column)
        if not is_number.any():
            self.time_format = "iso"
            return
        typical = float(np.median(np.abs(values[is_number])))
        self._divisor = next(divisor for least, divisor in _UNITS if typical >= least)
        names = {1: "seconds", 10**3: "milliseconds", 10**6: "microseconds", 10**9: "nanoseconds"}
        self.time_format = names[self._divisor]

    def _from_numbers(self, column: "pa.Array") -> tuple[npt.NDArray[np.int64], Bools]:
        import pyarrow as pa  # noqa: PLC0415  Slow to load, and few commands need it.

        try:
            # Whole numbers beyond 2**53 are no floats.
            whole = column.cast(pa.int64())
            is_good = ~whole.is_null().to_numpy(zero_copy_only=False)
            return whole.fill_null(0).to_numpy(zero_copy_only=False) // self._divisor, is_good
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            values, is_good = to_numbers(column)
            seconds = np.where(is_good, values, 0.0) // self._divisor
            is_good &= np.abs(seconds) <= _LAST_SECOND
            return np.where(is_good, seconds, 0.0).astype(np.int64), is_good

    def _from_text(self, text: str) -> int:
        if self.time_format == "iso":
            time = datetime.fromisoformat(text.strip())
        else:
            time = datetime.strptime(text.strip(), self.time_format or "")
        return math.floor((time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp())


def _from_timestamps(column: "pa.Array") -> tuple[npt.NDArray[np.int64], Bools]:
    import pyarrow as pa  # noqa: PLC0415  Slow to load, and few commands need it.
    from pyarrow import compute  # noqa: PLC0415

    if not (pa.types.is_timestamp(column.type) or pa.types.is_date(column.type)):
        return np.zeros(len(column), np.int64), np.zeros(len(column), bool)
    is_good = ~column.is_null().to_numpy(zero_copy_only=False)
    in_seconds = compute.cast(column, pa.timestamp("s"), safe=False).cast(pa.int64())
    return in_seconds.fill_null(0).to_numpy(zero_copy_only=False), is_good


def _each(column: "pa.Array", read: Callable[[str], int]) -> tuple[npt.NDArray[np.int64], Bools]:
    """Read every different text once."""
    import pyarrow as pa  # noqa: PLC0415  Slow to load, and few commands need it.

    encoded = column.cast(pa.string()).dictionary_encode()
    texts = encoded.dictionary.to_pylist()
    seconds, is_good = np.zeros(len(texts) + 1, np.int64), np.zeros(len(texts) + 1, bool)
    for place, text in enumerate(texts):
        try:
            seconds[place], is_good[place] = read(text), True
        except (ValueError, OverflowError):
            continue
    # The last is of no value at all.
    places = encoded.indices.cast(pa.int64()).fill_null(len(texts)).to_numpy(zero_copy_only=False)
    return seconds[places], is_good[places]


def _is_text(column: "pa.Array") -> bool:
    import pyarrow as pa  # noqa: PLC0415  Slow to load, and few commands need it.

    return bool(
        pa.types.is_string(column.type)
        or pa.types.is_large_string(column.type)
        or pa.types.is_null(column.type)
        or pa.types.is_dictionary(column.type)
    )
