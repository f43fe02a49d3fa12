"""The leaderboard as a table: columns that sort, intervals as lines, and what to say of each trial."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from statistics import median_high

from scheduler.page.words import NOTHING, count, duration, number, size
from scheduler.verdicts.words import format_interval
from shared.domain.protocol import OBJECTIVES
from shared.errors import SpecError
from shared.plain_text import shortened
from shared.store.page.sweep import SweepRecords, SweepTrial

# More rows than anybody reads make a page slow.
MOST_ROWS = 200
_WIDTH = 120.0
# Columns that are no metrics, and where a trial has them.
_ATTRIBUTES = {
    "place": "place",
    "objective": "validation_value",
    "train_seconds": "train_seconds",
    "memory": "peak_memory_bytes",
    "weights": "n_parameters",
    "best_epoch": "best_epoch",
}
_FIRST_METRICS = ("rmse", "mae", "ndcg", "recall", "coverage", "popularity")


@dataclass(frozen=True)
class Column:
    """`name` is that of the address, `?sort=name.descending`; `first`: the direction with the best first."""

    name: str
    title: str
    first: str = "ascending"


@dataclass(frozen=True)
class Interval:
    """Where to draw the difference to the leader, on the scale of all: positions from 0 to 120."""

    lower: float
    middle: float
    upper: float
    zero: float
    text: str


@dataclass(frozen=True)
class Row:
    """One trial: what a cell shows and the number by which it sorts, None last."""

    trial: SweepTrial
    said: str
    kind: str
    interval: Interval | None
    cells: tuple[tuple[str, float | None], ...]


@dataclass(frozen=True)
class Leaderboard:
    """`sorted_by` is the name of a column and a direction; `n_left_out` rows are not shown."""

    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    sorted_by: tuple[str, str]
    n_left_out: int


def leaderboard_of(records: SweepRecords, sort: str | None = None, *, show_all: bool = False) -> Leaderboard:
    """All trials in the order of `sort`, `name.direction`; SpecError for what is no column."""
    chosen_by, reported = (("validation", records.sweep.objective), ("test", records.sweep.objective))
    others = [key for key in _order(records.metrics.keys()) if key not in (chosen_by, reported)]
    # The objective on test stands beside the one that chose, and the costs before all other metrics.
    tested = [reported] if reported in records.metrics else []
    columns = _columns(records.sweep.objective, tested, others)
    name, direction = _parse_sort(sort, columns)
    value = _value_of(records, name)
    # Stable: those that are equal stay in the order of the objective; without a value they are last.
    trials = sorted(records.trials, key=lambda one: value(one) or 0.0, reverse=direction == "descending")
    trials.sort(key=lambda one: value(one) is None)
    shown = trials if show_all else trials[:MOST_ROWS]
    scale = _Scale(records.trials)
    rows = tuple(_row(records, trial, tested, others, scale) for trial in shown)
    return Leaderboard(columns, rows, (name, direction), len(trials) - len(shown))


def _value_of(records: SweepRecords, name: str) -> Callable[[SweepTrial], float | None]:
    """What a trial has in the column of this name."""
    attribute = _ATTRIBUTES.get(name)
    if attribute is not None:
        return attrgetter(attribute)
    key = ("test", name.removeprefix("test ")) if name.startswith("test ") else ("validation", name)
    values = records.metrics[key]
    return lambda trial: values.get(trial.trial_id)


def _columns(
    objective: str, tested: Sequence[tuple[str, str]], others: Sequence[tuple[str, str]]
) -> tuple[Column, ...]:
    def of(metrics: Sequence[tuple[str, str]]) -> list[Column]:
        return [Column(_name(part, name), _title(part, name), _first(name)) for part, name in metrics]

    return (
        Column("place", "#"),
        Column("objective", objective, _first(objective)),
        *of(tested),
        Column("train_seconds", "training"),
        Column("memory", "memory"),
        Column("weights", "weights"),
        *of(others),
        Column("best_epoch", "epoch"),
    )


def _row(
    records: SweepRecords,
    trial: SweepTrial,
    tested: Sequence[tuple[str, str]],
    others: Sequence[tuple[str, str]],
    scale: "_Scale",
) -> Row:
    def of(metrics: Sequence[tuple[str, str]]) -> list[tuple[str, float | None]]:
        values = [records.metrics[key].get(trial.trial_id) for key in metrics]
        return [(_metric_text(value), value) for value in values]

    cells: list[tuple[str, float | None]] = [
        (NOTHING if trial.place is None else str(trial.place), trial.place),
        (number(trial.validation_value), trial.validation_value),
        *of(tested),
        (duration(trial.train_seconds), trial.train_seconds),
        (size(trial.peak_memory_bytes), trial.peak_memory_bytes),
        (count(trial.n_parameters), trial.n_parameters),
        *of(others),
        (NOTHING if trial.best_epoch is None else str(trial.best_epoch), trial.best_epoch),
    ]
    said, kind = _said(records, trial)
    return Row(trial, said, kind, scale.interval(trial), tuple(cells))


def _said(records: SweepRecords, trial: SweepTrial) -> tuple[str, str]:
    """In words how it stands, and the kind by which it is coloured."""
    if trial.status == "stopped":
        return f"stopped after epoch {trial.stopped_epoch}", "stopped"
    if trial.status != "succeeded":
        return f"{trial.status}: {trial.error_reason}" if trial.error_reason else trial.status, trial.status
    if not records.sweep.is_judged:
        return ("leads so far", "leader") if trial.place == 1 else ("", "")
    if trial.verdict is None:
        return ("leads", "leader") if trial.place == 1 else ("no verdict", "")
    return _verdict_said(trial)


def _verdict_said(trial: SweepTrial) -> tuple[str, str]:
    if trial.trial_id == trial.leader_trial_id:
        words = {"winner": "winner", "tie": "leads, with ties", "worse": "leads, and is worse"}
        return words[str(trial.verdict)], "leader"
    if trial.difference is None:
        return "the leader's, other seed", "leader"
    return ("better" if trial.verdict == "winner" else str(trial.verdict)), str(trial.verdict)


class _Scale:
    """One scale for all intervals, with 0 in it: wide enough for the half that is nearest to the leader.

    One that is farther ends at the edge, with its difference in words beside it: on a scale that holds a
    baseline, nobody would see whether the second best crosses 0.
    """

    def __init__(self, trials: Sequence[SweepTrial]) -> None:
        ends = [
            max(abs(one.lower), abs(one.upper))
            for one in trials
            if one.difference is not None and one.lower is not None and one.upper is not None
        ]
        self._reach = median_high(ends) * 1.1 if ends else 1.0
        has_below = any((one.lower or 0) < 0 for one in trials)
        has_above = any((one.upper or 0) > 0 for one in trials)
        self._low = -self._reach if has_below else 0.0
        self._high = (
            max((min(one.upper or 0.0, self._reach) for one in trials), default=0.0) if has_above else 0.0
        )
        if self._high <= self._low:
            self._low, self._high = -1.0, 1.0

    def interval(self, trial: SweepTrial) -> Interval | None:
        """Of one trial; None where it has none."""
        if trial.difference is None or trial.lower is None or trial.upper is None:
            return None
        return Interval(
            lower=self._at(trial.lower),
            middle=self._at(trial.difference),
            upper=self._at(trial.upper),
            zero=self._at(0.0),
            text=format_interval(trial.difference, trial.upper - trial.difference),
        )

    def _at(self, value: float) -> float:
        inside = min(max(value, self._low), self._high)
        return round(4 + (_WIDTH - 8) * (inside - self._low) / (self._high - self._low), 1)


def _parse_sort(sort: str | None, columns: Sequence[Column]) -> tuple[str, str]:
    if sort is None:
        return "place", "ascending"
    name, _, direction = sort.rpartition(".")
    names = [column.name for column in columns]
    if name not in names or direction not in ("ascending", "descending"):
        raise SpecError(
            f"sort must be one of {', '.join(names)}, followed by .ascending or .descending; "
            f"got {shortened(repr(sort))}"
        )
    return name, direction


def _order(keys: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Validation first; what most people look for first within it; the test part of the same order after."""
    known = {name: place for place, name in enumerate(_FIRST_METRICS)}

    def key(one: tuple[str, str]) -> tuple[bool, int, str]:
        part, name = one
        return part == "test", known.get(name.partition("@")[0], len(known)), name

    return sorted(keys, key=key)


def _name(part: str, name: str) -> str:
    return name if part == "validation" else f"test {name}"


def _title(part: str, name: str) -> str:
    return _name(part, name).replace("_", " ")


def _first(name: str) -> str:
    return "ascending" if OBJECTIVES.get(name.partition("@")[0]) is False else "descending"


def _metric_text(value: float | None) -> str:
    if value is None:
        return NOTHING
    return f"{value:,.1f}" if abs(value) >= 10 else f"{value:.4f}"
