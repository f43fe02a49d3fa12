"""Kept compiled programs: a second process beside the first, a sweep from a warm cache beside a cold one."""

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, get_args

from shared.domain.families.pairs import Activation
from shared.domain.families.tower import Merge, Tower
from tests.benchmarks.bench_sweep import N_WORKERS, ROW, SHORT_SWEEP
from tests.benchmarks.fresh_process import measure
from tests.benchmarks.report import (
    describe,
    judge,
    megabytes,
    print_heading,
    print_note,
    print_table,
    seconds,
)
from tests.benchmarks.sampled_sweep import SampledSweep, installed_copy, run_sweep

SHARE_BAR, MEMORY_BAR = 0.3, 1e9
EMBEDDING_SIZE, DENSE_LAYERS = 50, (64, 32, 1)


def architectures(merge: Merge, *, quick: bool) -> list[Tower]:
    """The reference architecture of a merge with every activation."""
    activations: Sequence[Activation] = ("linear", "relu") if quick else get_args(Activation)
    return [Tower(merge, EMBEDDING_SIZE, DENSE_LAYERS, activation) for activation in activations]


def program_rows(cache_dir: Path, *, quick: bool) -> Iterator[tuple[object, ...]]:
    """Of each merge two processes, one after another: the first compiles, the second loads."""
    for merge in ("concatenate",) if quick else get_args(Merge):
        compared = architectures(merge, quick=quick)
        first, second = (_measure(cache_dir, compared)["compile_seconds"] for _ in range(2))
        for architecture, compiled, loaded in zip(compared, first, second, strict=True):
            share = loaded / compiled
            yield (
                describe(architecture),
                seconds(compiled),
                seconds(loaded),
                f"{share:.0%}",
                f"≤ {SHARE_BAR:.0%}: {judge(is_met=share <= SHARE_BAR)}",
            )


def memory_rows(cache_dir: Path) -> Iterator[tuple[object, ...]]:
    """One architecture in a process of its own."""
    architecture = [Tower("concatenate", EMBEDDING_SIZE, DENSE_LAYERS, "relu")]
    for name in ("compiled", "loaded"):
        peak = _measure(cache_dir, architecture)["memory_peak"]
        yield (
            f"peak of a process that {name} its programs, MB",
            megabytes(peak),
            f"≤ {megabytes(MEMORY_BAR)}: {judge(is_met=peak <= MEMORY_BAR)}",
        )


def _measure(cache_dir: Path, compared: Sequence[Tower]) -> dict[str, Any]:
    measured: dict[str, Any] = measure(
        "program_times:time_programs",
        cache_dir=str(cache_dir),
        architectures=[asdict(architecture) for architecture in compared],
    )
    return measured


def sweep_rows(cold: SampledSweep, warm: SampledSweep) -> Iterator[tuple[object, ...]]:
    def trained(swept: SampledSweep) -> float:
        return sum(one.train_seconds for one in swept.attempts if not one.is_baseline)

    def peak(swept: SampledSweep) -> float:
        return max(swept.peak_bytes(one.pid) for one in swept.attempts)

    rows = (
        ("wall time of the command, s", cold.wall_seconds, warm.wall_seconds),
        ("first trial's start to last one's end, s", cold.trials_seconds, warm.trials_seconds),
        ("training of all trials, one after another, s", trained(cold), trained(warm)),
    )
    for name, first, second in rows:
        yield name, seconds(first), seconds(second), f"{second / first:.0%}"
    yield "peak of a task process, MB", megabytes(peak(cold)), megabytes(peak(warm)), ""


def whole_sweep(*, quick: bool) -> None:
    """The same sweep twice, from no services and no results; the second finds the first one's programs."""
    with installed_copy() as copy:
        short = copy.parent / "short.toml"
        short.write_text(SHORT_SWEEP.format(merges='["average"]', n_epochs=1))
        sweep = str(short) if quick else "reference"
        print_note(
            f"`make sweep SWEEP={Path(sweep).stem} DATASET=ml-1m FRESH=1 WORKERS={N_WORKERS}` in a copy of "
            "the project after `make setup`, from no services at all, twice."
        )
        kept = copy.parent / "compiled"
        cold, warm = (run_sweep(copy, sweep, N_WORKERS, programs=kept) for _ in range(2))
    print_table((ROW[0], "cold", "warm", "share"), sweep_rows(cold, warm))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="to try the script: its figures mean little")
    parser.add_argument("--sweep", action="store_true", help="only the sweep from a cold and a warm cache")
    options = parser.parse_args()
    if options.sweep:
        print_heading("A sweep from a cold and from a warm cache", "bench_compile --sweep")
        whole_sweep(quick=options.quick)
        return
    print_heading("Compiled programs that are kept", "bench_compile")
    print_note(
        "Of each architecture the first call of its training step, less the same call again, and with an "
        "activation the same of its scores: tracing, compiling and loading, in CPU seconds. The first "
        "process finds nothing."
    )
    columns = ("architecture", "1st process, CPU s", "2nd process, CPU s", "share", "bar")
    with tempfile.TemporaryDirectory(prefix="recsweep-bench-") as folder:
        print_table(columns, program_rows(Path(folder), quick=options.quick))
    with tempfile.TemporaryDirectory(prefix="recsweep-bench-") as folder:
        print_table(ROW, memory_rows(Path(folder)), "Memory")


if __name__ == "__main__":
    main()
