"""Numbers, times and states as the page says them."""

from datetime import UTC, datetime

# Where there is no value.
NOTHING = "\N{EN DASH}"


def number(value: float | None, digits: int = 4) -> str:
    """`0.1234`; a dash where nothing was measured."""
    return NOTHING if value is None else f"{value:.{digits}f}"


def count(value: int | None) -> str:
    """`12,345`; a dash where nothing was counted."""
    return NOTHING if value is None else f"{value:,}"


def duration(seconds: float | None) -> str:
    """In the two largest units: `3 h 12 min`, `41 min`, `7.5 s`; a dash where it is unknown."""
    if seconds is None:
        return NOTHING
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def size(n_bytes: float | None) -> str:
    """`1.2 GB`, by powers of 1000; a dash where it is unknown."""
    if n_bytes is None:
        return NOTHING
    units = iter(("B", "kB", "MB", "GB", "TB"))
    unit = next(units)
    while n_bytes >= 999.5 and unit != "TB":
        n_bytes, unit = n_bytes / 1000, next(units)
    return f"{n_bytes:.0f} {unit}" if n_bytes >= 9.95 or unit == "B" else f"{n_bytes:.1f} {unit}"


def moment(time: datetime | None) -> str:
    """`2026-11-27 14:05 UTC`; a dash where it is unknown."""
    return NOTHING if time is None else f"{time.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def plural(n: int, one: str, many: str | None = None) -> str:
    """`1 trial`, `12 trials`."""
    return f"{n:,} {one if n == 1 else many or one + 's'}"
