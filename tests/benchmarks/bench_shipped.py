"""The sweeps that are shipped for a question, through the real queue on MovieLens 1M: time and memory."""

from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks.prepared import movielens_1m
from tests.benchmarks.report import (
    judge,
    megabytes,
    parse_options,
    print_heading,
    print_note,
    print_table,
    seconds,
)
from tests.benchmarks.sampled_sweep import installed_copy, run_sweep

# Seconds of the whole command.
WALL_BARS = {"quick": 90, "ratings": 360, "lists": 360}
MEMORY_BAR = 1.5e9
N_WORKERS = 2


def rows(copy: Path, names: list[str]) -> Iterator[tuple[object, ...]]:
    for name in names:
        swept = run_sweep(copy, name, N_WORKERS)
        wall, bar = swept.wall_seconds, WALL_BARS[name]
        peaks = {one.label: swept.peak_bytes(one.pid) for one in swept.attempts}
        label = max(peaks, key=lambda one: peaks[one])
        yield (
            name,
            len(swept.attempts),
            f"{seconds(wall)} (≤ {bar}: {judge(is_met=wall <= bar)})",
            seconds(swept.trials_seconds),
            f"{megabytes(peaks[label])} (≤ {megabytes(MEMORY_BAR)}: "
            f"{judge(is_met=peaks[label] <= MEMORY_BAR)})",
        )


def main() -> None:
    quick = parse_options(__doc__).quick
    movielens_1m()
    print_heading("The sweeps for a question", "bench_shipped")
    print_note(
        f"`make sweep SWEEP=name DATASET=ml-1m FRESH=1 WORKERS={N_WORKERS}` in a copy of the project after "
        "`make setup`, from no services and no compiled programs at all."
    )
    columns = ("sweep", "trials", "wall time, s", "first start to last end, s", "a task process at most, MB")
    with installed_copy() as copy:
        print_table(columns, rows(copy, ["quick"] if quick else list(WALL_BARS)))


if __name__ == "__main__":
    main()
