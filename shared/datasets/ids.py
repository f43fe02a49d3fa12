"""Ids from outside: one spelling for each, one order for all."""

import re
import unicodedata
from collections.abc import Iterable
from decimal import Decimal
from numbers import Integral, Real

from shared.errors import DatasetError

_INTEGER = re.compile(r"0|-?[1-9][0-9]*")
_INTEGER_WITH_ZERO_FRACTION = re.compile(r"(0|-?[1-9][0-9]*)\.0+")
_LARGEST_EXACT_FLOAT = 2**53
# Marks without width that editors and web pages leave around text: nobody sees them, nobody means them.
_INVISIBLE = "\u200b\u200e\u200f\u2060\ufeff\u00ad"


def canonical_id(value: object) -> str:
    """The text under which an id is stored: 2000, 2000.0, "2000" and "2000.0" are all "2000".

    Text is kept as it is but for surrounding blanks and marks without width; "007" is not an integer's
    spelling and stays "007". Raises DatasetError for what names nothing: text that shows nothing, a truth
    value, NaN, a fraction, a null byte.
    """
    text = ""
    if isinstance(value, str):
        text = _stripped(value)
        if match := _INTEGER_WITH_ZERO_FRACTION.fullmatch(text):
            text = match.group(1)
    elif isinstance(value, Integral) and not isinstance(value, bool):
        text = str(int(value))
    elif isinstance(value, Decimal):
        text = str(int(value)) if value.is_finite() and value == value.to_integral_value() else ""
    elif isinstance(value, Real) and not isinstance(value, bool):
        number = float(value)
        # Above 2**53 neighbouring integers share one float: the id would be a guess.
        if number.is_integer() and abs(number) <= _LARGEST_EXACT_FLOAT:
            text = str(int(number))
    if not text or "\0" in text:
        raise DatasetError(f"an id is an integer or a text that is not empty; got {value!r}")
    return text


def _stripped(text: str) -> str:
    stripped = text.strip()
    while (without := stripped.strip(_INVISIBLE).strip()) != stripped:
        stripped = without
    # A joiner of emoji alone, say, shows nothing either.
    return stripped if any(unicodedata.category(one) not in ("Cf", "Cc") for one in stripped) else ""


def sort_ids(ids: Iterable[str]) -> list[str]:
    """Ascending: as numbers when all of them are integers, else as text by code point."""
    listed = list(ids)
    if all(is_integer_id(text) for text in listed):
        return sorted(listed, key=int)
    return sorted(listed)


def is_integer_id(text: str) -> bool:
    """Whether a canonical id is an integer."""
    return _INTEGER.fullmatch(text) is not None
