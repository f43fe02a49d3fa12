"""The leaderboard for a program to read: every column under a name that stays, every digit that is stored."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import fields

from shared.domain.verdicts import Verdict
from shared.errors import SpecError
from shared.plain_text import one_line, shortened
from shared.store import LeaderboardRow

FORMATS = ("csv", "json", "md")

# By the name of the column, the field of a verdict.
_OF_VERDICT = {
    "verdict": "verdict",
    "verdict_difference": "difference",
    "verdict_lower": "lower",
    "verdict_upper": "upper",
    "verdict_p_value": "p_value",
    "verdict_split": "split",
    "verdict_n_users": "n_users",
    "verdict_reason": "reason",
}
Cell = str | int | float | bool | None


def require_format(name: str) -> str:
    """The format of this name; SpecError for another one."""
    if name not in FORMATS:
        raise SpecError(f"FORMAT must be one of {', '.join(FORMATS)}; got {shortened(repr(name))}")
    return name


def format_leaderboard(
    form: str,
    rows: Sequence[LeaderboardRow],
    verdicts: Sequence[Verdict],
    more: Mapping[str, Mapping[int, float]],
) -> str:
    """One line a trial: the columns of the view, those of its verdict, and the metric that was asked for.

    `more`: by the name of a metric, the value of each trial.
    """
    by_trial = {one.trial_id: one for one in verdicts}
    columns = [*(field.name for field in fields(LeaderboardRow)), *_OF_VERDICT, *more]
    lines = [
        [
            *(getattr(row, field.name) for field in fields(row)),
            *(getattr(by_trial.get(row.trial_id), name, None) for name in _OF_VERDICT.values()),
            *(values.get(row.trial_id) for values in more.values()),
        ]
        for row in rows
    ]
    return as_text(form, columns, [[_known(cell) for cell in line] for line in lines])


def as_text(form: str, columns: Sequence[str], lines: Sequence[Sequence[Cell]]) -> str:
    """A table as CSV (RFC 4180), JSON or Markdown; what is not known is empty, and null in JSON."""
    if form == "json":
        records = [dict(zip(columns, line, strict=True)) for line in lines]
        return json.dumps(records, indent=2) + "\n"
    if form == "csv":
        return "".join(",".join(map(_csv_cell, line)) + "\r\n" for line in (columns, *lines))
    shown = (columns, ["---"] * len(columns), *lines)
    return "".join(f"| {' | '.join(map(_md_cell, line))} |\n" for line in shown)


def _known(value: Cell) -> Cell:
    """JSON has no number that is none."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _csv_cell(value: Cell) -> str:
    """A text is always quoted: no spreadsheet takes it for a number, and an empty one is not nothing."""
    if isinstance(value, str):
        return '"' + one_line(value).replace('"', '""') + '"'
    return _plain(value)


def _md_cell(value: Cell) -> str:
    if isinstance(value, str):
        return one_line(value).replace("\\", "\\\\").replace("|", "\\|")
    return _plain(value)


def _plain(value: Cell) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else repr(value)
