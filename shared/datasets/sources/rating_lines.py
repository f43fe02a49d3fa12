"""Rating lines of the GroupLens layouts: user, item, rating, timestamp between separators, at C speed."""

import csv
import io
import re
from dataclasses import dataclass

import numpy as np

from shared.datasets.prepare import RatingTable, rating_table
from shared.datasets.sources.raw_files import LONGEST_QUOTE, RawFile
from shared.errors import DatasetError

_FIELDS = ("user id", "item id", "rating", "timestamp")
_DIGITS = re.compile(r"[0-9]{1,18}")  # What fits into 64 bits.
_NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?")
# pandas' C parser takes separators of one character only; this one has no place in a ratings file.
_UNIT_SEPARATOR = b"\x1f"


@dataclass(frozen=True)
class RatingLayout:
    """How a rating line is written. Ratings are in the scale."""

    separator: str
    smallest: float = 1.0
    largest: float = 5.0


def parse_rating_lines(file: RawFile, layout: RatingLayout) -> RatingTable:
    """Rows in file order; line ends of either kind.

    Raises DatasetError with file, line, rule and value at the first line that is not two ids, a rating in the
    scale and a timestamp in whole seconds, and as `RawFile.lines` does.
    """
    body = file.lines()
    table = _parse_at_once(body, layout, file.where)
    return table if table is not None else _parse_line_by_line(body, layout, file.where)


def _parse_at_once(body: bytes, layout: RatingLayout, where: str) -> RatingTable | None:
    """The whole file by pandas' C parser; None when any line breaks a rule."""
    import pandas as pd  # noqa: PLC0415  Slow to load, and few commands need it.

    n_lines, separator = body.count(b"\n") + 1, layout.separator.encode("ascii")
    # pandas drops surplus fields of the first line, so they are counted here.
    if body.count(separator) != n_lines * (len(_FIELDS) - 1) or _UNIT_SEPARATOR in body:
        return None
    try:
        frame = pd.read_csv(
            io.BytesIO(body.replace(separator, _UNIT_SEPARATOR)),
            sep=_UNIT_SEPARATOR.decode("ascii"),
            header=None,
            names=list(_FIELDS),
            index_col=False,
            dtype={"user id": np.int64, "item id": np.int64, "rating": np.float64, "timestamp": np.int64},
            encoding="latin-1",
            engine="c",
            na_filter=False,
            quoting=csv.QUOTE_NONE,
            skip_blank_lines=False,
            low_memory=False,
        )
    except (ValueError, OverflowError):
        return None
    user_ids, item_ids, ratings, timestamps = (frame[field].to_numpy() for field in _FIELDS)
    in_range = (ratings >= layout.smallest) & (ratings <= layout.largest)  # False for NaN.
    if len(frame) != n_lines or not in_range.all() or min(user_ids.min(), item_ids.min()) < 0:
        return None
    return rating_table(user_ids, item_ids, ratings, timestamps, where)


def _parse_line_by_line(body: bytes, layout: RatingLayout, where: str) -> RatingTable:
    """The same rows, slowly: raises DatasetError at the first line that breaks a rule."""
    rows = []
    # Not splitlines(): it would also break at characters of latin-1 such as 0x85.
    for number, line in enumerate(body.decode("latin-1").split("\n"), start=1):
        fields = line.split(layout.separator)
        if problem := _find_problem(fields, layout):
            raise DatasetError(
                f"{where}, line {number}: a rating line is {layout.separator.join(_FIELDS)!r}, {problem}; "
                f"got {line[:LONGEST_QUOTE]!r}. Correct or remove the line, or unpack the archive again."
            )
        rows.append((int(fields[0]), int(fields[1]), float(fields[2]), int(fields[3])))
    user_ids, item_ids, ratings, timestamps = (np.array(column) for column in zip(*rows, strict=True))
    return rating_table(user_ids, item_ids, ratings, timestamps, where)


def _find_problem(fields: list[str], layout: RatingLayout) -> str | None:
    """The rule that a line breaks, None for a good one."""
    if len(fields) != len(_FIELDS):
        return f"{len(_FIELDS)} fields, not {len(fields)}"
    for name, text in zip(_FIELDS, fields, strict=True):
        if name != "rating" and not _DIGITS.fullmatch(text):
            return f"the {name} a whole number"
    if not _NUMBER.fullmatch(fields[2]) or not layout.smallest <= float(fields[2]) <= layout.largest:
        return f"the rating a number from {layout.smallest:g} to {layout.largest:g}"
    return None
