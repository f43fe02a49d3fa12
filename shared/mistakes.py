"""What is wrong with a TOML file that pydantic checked, in one line: the key, the rule, the value."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from shared.plain_text import one_line, shortened

_UNKNOWN = ("extra_forbidden", "unexpected_keyword_argument")
_RULES = {
    "missing": "missing",
    "model_type": "must be a table",
    "dataclass_type": "must be a table",
    "union_tag_not_found": "missing; name a family",
    "tuple_type": "must be a list with at least one value",
    "too_short": "must be a list with at least one value",
}

# How an axis may be written; the models tell which one they checked.
LIST_TAG, RANGE_TAG = "<list>", "<range>"
_RANGE_KEYS = ("from", "to", "scale", "step")

Place = tuple[int | str, ...]


def describe_mistake(
    error: ValidationError, document: Mapping[str, Any], known_keys: Mapping[str, Sequence[str]]
) -> str:
    """The first mistake, `grid.embedding_size[1]: rule; got value`; an unknown key explains a missing one.

    `known_keys`: those of each table by its name, "" for those of the file.
    """
    first = min(error.errors(), key=lambda one: one["type"] not in _UNKNOWN)
    place = tuple(step for step in first["loc"] if step not in (LIST_TAG, RANGE_TAG))
    table = str(place[0]) if len(place) > 1 else ""
    if place[:1] == ("models",) and len(place) > 2:
        table = f"models.{place[2]}"
        place = (*place[:2], *place[3:])
    if place[:1] == ("grid",) and isinstance(document.get("grid"), dict):
        # The model has a list of grids; the file has one table.
        place = (place[0], *place[2:])
    known = _RANGE_KEYS if RANGE_TAG in first["loc"] else known_keys.get(table, ())
    rule = _rule(first, known)
    path = _key_path(_of_document(place, first["input"], document))
    return f"{path}: {rule}" if path else rule


def _of_document(place: Place, value: object, document: Any) -> Place:  # noqa: ANN401  A part of the file.
    """The place without the position in a list that the file writes as one value."""
    steps: list[int | str] = []
    for number, step in enumerate(place):
        # A value that is itself a list, such as dense layers, may stand for an axis too.
        is_one_value = not isinstance(document, list) or (
            isinstance(value, list | tuple) and document == [*value]
        )
        if isinstance(step, int) and is_one_value:
            return (*steps, *place[number + 1 :])
        steps.append(step)
        try:
            document = document[step]
        except (KeyError, IndexError, TypeError):
            return (*steps, *place[number + 1 :])
    return tuple(steps)


def _rule(first: ErrorDetails, known: Sequence[str]) -> str:
    kind = first["type"]
    if kind == "union_tag_invalid":
        tags = first["ctx"]["expected_tags"].replace("'", "")
        return f"family must be one of {tags}; got {first['ctx']['tag']!r}"
    if kind in _UNKNOWN:
        return f"unknown key; known are {', '.join(known)}"
    if kind == "value_error":
        # A check of ours: it says itself what it got.
        return first["msg"].removeprefix("Value error, ")
    rule = _RULES.get(kind, first["msg"])
    return rule if kind == "missing" else f"{rule}; got {shortened(repr(first['input']))}"


def _key_path(place: Place) -> str:
    steps = [f"[{step}]" if isinstance(step, int) else f".{shortened(one_line(step))}" for step in place]
    return "".join(steps).removeprefix(".")
