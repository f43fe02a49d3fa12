"""The label of an architecture by what differs from its defaults."""

from collections.abc import Collection
from dataclasses import MISSING, fields


def label_by_differences(architecture: object, begin: str, leave_out: Collection[str] = ()) -> str:
    """`ease_l2-100_ones`: how it begins, then each field that has no default or another value than it.

    A text stands for itself; a number or a yes and no follows the name of its field. `leave_out`: the fields
    that the beginning tells.
    """
    parts = [begin]
    for field in fields(architecture):  # type: ignore[arg-type]  # Any dataclass.
        if field.name in leave_out:
            continue
        value = getattr(architecture, field.name)
        if field.default is MISSING or value != field.default:
            parts.append(
                value if isinstance(value, str) else f"{field.name.replace('_', '')}-{_short(value)}"
            )
    return "_".join(parts).lower()


def _short(value: object) -> str:
    if isinstance(value, tuple):
        return "-".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)
