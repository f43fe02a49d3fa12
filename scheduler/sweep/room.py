"""How much room the lists of trials take in the database, and whether the disk has it."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from shared.errors import SpecError

# With their indexes: a row of the lists and the rating prediction that belongs to it, and what is kept of a
# user's results on validation and test with three hits each. Measured by tests/benchmarks/bench_store.py.
_BYTES_PER_LIST_ROW = 220
_BYTES_PER_USER = 500


@dataclass(frozen=True)
class Lists:
    """The lists of the trials that are to run: rows written, and the most bytes that they take at one time.

    `n_at_once`: of how many trials there are lists at one time, at most.
    """

    n_trials: int
    n_at_once: int
    n_rows: int
    n_bytes: int

    def __str__(self) -> str:
        most = ""
        if self.n_at_once < self.n_trials:
            most = f", with those of at most {self.n_at_once} trials at one time"
        return f"{self.n_rows:,} rows, about {_gigabytes(self.n_bytes)} in the database{most}"


def lists_of(n_trials: int, n_users: int, k: int, *, kept: int | None, n_workers: int) -> Lists:
    """Those of trials that are to run; `kept`: how many keep theirs, None: all.

    Until its lists are removed, a trial that has just ended has them beside those that are kept.
    """
    n_at_once = n_trials if kept is None else min(n_trials, kept + n_workers)
    n_rows_of_trial = n_users * k
    n_bytes = n_at_once * n_rows_of_trial * _BYTES_PER_LIST_ROW + n_trials * n_users * _BYTES_PER_USER
    return Lists(n_trials, n_at_once, n_trials * n_rows_of_trial, n_bytes)


def require_room(lists: Lists, folder: Path | None, free_bytes: Callable[[Path], int] | None = None) -> None:
    """Raise SpecError where the disk of the database has not the room that the lists need.

    `folder`: that of the database, None where it is on another machine: what is free there is not known.
    """
    if folder is None or not folder.exists():
        return
    n_free = (free_bytes or _free_bytes)(folder)
    if lists.n_bytes > n_free:
        raise SpecError(
            f"the lists of the trials to run must fit on the disk of the database: they need about "
            f"{_gigabytes(lists.n_bytes)}, and {_gigabytes(n_free)} are free in {folder}; keep those of the "
            "best trials alone ([lists] keep = 5 in the sweep file), run fewer trials, or make room"
        )


def _free_bytes(folder: Path) -> int:
    return shutil.disk_usage(folder).free


def _gigabytes(n_bytes: int) -> str:
    return f"{n_bytes / 1e9:,.0f} GB" if n_bytes >= 10e9 else f"{n_bytes / 1e9:.2g} GB"
