"""The axes of a table: a list of values, or a range of numbers, `{from, to, scale, step}`."""

import math
from dataclasses import dataclass
from decimal import Decimal
from types import GenericAlias, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag, create_model

from shared.domain.rules import PositiveFloat, PositiveInt
from shared.mistakes import LIST_TAG, RANGE_TAG
from shared.plain_text import shortened

MOST_VALUES = 10_000
# Of a range without steps, so many digits of a value count: it stays readable, and is found again.
_DIGITS = 3


@dataclass(frozen=True)
class Range:
    """The numbers from `low` to `high`, both included; `is_log`: every factor counts alike."""

    low: float
    high: float
    is_log: bool
    is_whole: bool

    @property
    def size(self) -> int | None:
        """How many values it has; None: no end of them."""
        return int(self.high - self.low) + 1 if self.is_whole else None

    def __contains__(self, value: object) -> bool:
        kinds = (int,) if self.is_whole else (int, float)
        is_number = isinstance(value, kinds) and not isinstance(value, bool)
        return is_number and self.low <= value <= self.high  # type: ignore[operator]  # A number.

    def rounded(self, value: float) -> float:
        """The value that is meant: to three digits of the width, or of the value where that is finer."""
        if self.is_whole:
            return round(value)
        n_decimals = _DIGITS - math.floor(math.log10(self.high - self.low))
        if self.is_log:
            n_decimals = max(n_decimals, _DIGITS - 1 - math.floor(math.log10(value)))
        return min(max(round(float(value), n_decimals), self.low), self.high)

    def draw(self, random: np.random.Generator) -> float:
        """One of them at random."""
        if self.is_log:
            return self.rounded(math.exp(random.uniform(math.log(self.low), math.log(self.high))))
        return self.rounded(random.uniform(self.low, self.high))


# What an axis of a table may be.
Axis = tuple[Any, ...] | Range


def is_ordered(axis: Axis) -> bool:
    """Whether its values are numbers that ascend, so that near ones resemble each other."""
    if isinstance(axis, Range):
        return True
    numbers = [value for value in axis if isinstance(value, int | float) and not isinstance(value, bool)]
    return len(numbers) == len(axis) > 2 and numbers == sorted(set(numbers))


class RangeTable(BaseModel):
    """`{from, to, scale, step}` of a sweep file; each end is checked by the rules of its field."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    low: Any = Field(alias="from")
    high: Any = Field(alias="to")
    scale: Literal["linear", "log"] = "linear"
    step: Any = None

    def model_post_init(self, _: object) -> None:
        """Raise ValueError where ends, scale and step do not go together."""
        if self.low >= self.high:
            raise ValueError(f"from must be below to; got {self.low!r} and {self.high!r}")
        if self.scale == "log" and self.low <= 0:
            raise ValueError(f'with scale = "log", from must be above 0; got {self.low!r}')
        if self.scale == "log" and self.step is not None:
            raise ValueError(
                'a step is of scale = "linear"; leave one of them out, or write a list of values'
            )
        if self.step is not None and self.step > self.high - self.low:
            raise ValueError(f"step must be at most to - from; got {self.step!r}")
        if self.step is not None and (self.high - self.low) / self.step >= MOST_VALUES:
            raise ValueError(f"at most {MOST_VALUES} steps; write a larger one than {self.step!r}")

    def axis(self) -> Axis:
        """The values of its steps, or without a step the range itself."""
        is_whole = isinstance(self.low, int)
        if self.step is None:
            return Range(self.low, self.high, self.scale == "log", is_whole)
        # As decimals: 0.1 + 2 * 0.1 is 0.3 here, which is what a person would have written.
        low, high, step = (Decimal(str(number)) for number in (self.low, self.high, self.step))
        values = [low + number * step for number in range(int((high - low) / step) + 1)]
        return tuple(int(value) if is_whole else float(value) for value in values)


def axis_type(annotation: Any) -> Any:  # noqa: ANN401  A type.
    """The type of the axis of a field: a list of its values or, of a number, a range."""
    rule = next(iter(_without_none(annotation)))
    kind = get_args(rule)[0] if get_origin(rule) is Annotated else rule
    ranges: Any = Annotated[Any, BeforeValidator(_no_range)]
    if kind in (int, float):
        step = PositiveInt if kind is int else PositiveFloat
        fields: dict[str, Any] = {
            "low": (rule, Field(alias="from")),
            "high": (rule, Field(alias="to")),
            "step": (step | None, None),
        }
        ranges = create_model("_Range", __base__=RangeTable, **fields)
    values = GenericAlias(tuple, (annotation, ...))
    listed: Any = Annotated[values, Field(min_length=1), Tag(LIST_TAG)]
    return Annotated[Union[listed, Annotated[ranges, Tag(RANGE_TAG)]], Discriminator(_kind)]  # noqa: UP007  Made here.


def _without_none(annotation: Any) -> tuple[Any, ...]:  # noqa: ANN401  A type.
    is_union = get_origin(annotation) in (Union, UnionType)
    parts = get_args(annotation) if is_union else (annotation,)
    return tuple(part for part in parts if part is not type(None))


def _kind(axis: object) -> str:
    return RANGE_TAG if isinstance(axis, dict | RangeTable) else LIST_TAG


def _no_range(table: object) -> object:
    raise ValueError(f"only numbers have ranges: write a list of values; got {shortened(repr(table))}")
