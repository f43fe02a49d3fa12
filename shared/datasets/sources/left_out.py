"""What is done with a row that breaks a rule: the reading ends there, or goes on without it and says so."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from shared.errors import DatasetError
from shared.plain_text import shortened

OnError = Literal["refuse", "skip"]
DEFAULT_MAX_SKIPPED = 1_000


@dataclass(frozen=True)
class Rule:
    """What every row keeps to, and what a person can do about one that does not."""

    text: str
    remedy: str = "Correct or remove it."


class LeftOut:
    """Counts the rows that break a rule, or raises DatasetError at the first.

    `on_error`: "refuse" or "skip"; `max_skipped`: so many rows may be left out, more of them end the reading.
    """

    def __init__(self, on_error: OnError = "refuse", max_skipped: int = DEFAULT_MAX_SKIPPED) -> None:
        self.on_error = on_error
        self.max_skipped = max_skipped
        self._counts: Counter[str] = Counter()
        self._first: dict[str, tuple[Callable[[], str], str]] = {}

    @property
    def n_rows(self) -> int:
        """How many were left out so far."""
        return self._counts.total()

    def add(self, rule: Rule, place: Callable[[], str], value: object, n_rows: int = 1) -> None:
        """Report rows that break a rule: where the first is, what stands there, how many.

        Raises DatasetError unless rows are skipped and these may be.
        """
        got = "nothing" if value is None else shortened(repr(value))
        if self.on_error == "refuse":
            raise DatasetError(f"{place()}: {rule.text}; got {got}. {rule.remedy}")
        self._counts[rule.text] += n_rows
        self._first.setdefault(rule.text, (place, got))
        if self.n_rows > self.max_skipped:
            raise DatasetError(
                f"{place()}: {rule.text}; got {got}. With it {self.n_rows:,} rows break a rule, more than "
                f"MAX_SKIPPED={self.max_skipped} allows. {rule.remedy}"
            )

    def lines(self) -> list[str]:
        """What was left out, a line a rule."""
        return [
            f"Left out {n:,} {'row' if n == 1 else 'rows'}: {rule}; "
            f"the first is {self._first[rule][0]()}, got {self._first[rule][1]}"
            for rule, n in self._counts.items()
        ]
