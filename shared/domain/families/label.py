"""The label of an architecture by what differs from its defaults."""

from dataclasses import MISSING, fields


def label_by_differences(architecture: object, family: str) -> str:
    """`ease_l2-100_ones`: the family, then each field that has no default or another value than it.

    A text stands for itself; a number or a yes and no follows the name of its field.
    """
    parts = [family]
    for field in fields(architecture):  # type: ignore[arg-type]  # Any dataclass.
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
