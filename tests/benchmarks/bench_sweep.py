"""The whole sweep through the real queue: wall time, throughput of two workers, cores, memory, start-up."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

from scheduler.sweep.expand import expand
from scheduler.sweep.spec import find_sweep_file, read_spec
from shared.domain.training import TrainingConfig
from shared.domain.trial import TrialConfig
from tests.benchmarks.fresh_process import measure
from tests.benchmarks.prepared import prepared_dataset
from tests.benchmarks.report import (
    judge,
    megabytes,
    parse_options,
    print_heading,
    print_note,
    print_table,
    seconds,
)
from tests.benchmarks.sampled_sweep import Attempt, SampledSweep, installed_copy, run_sweep

LOG_SECONDS_2020 = 20_668
WALL_BAR, THROUGHPUT_BAR, CORE_BAR, MEMORY_BAR, GROWTH_BAR = 120, 1.8, 1.05, 1e9, 1.1
FLAT_TRIAL = 16
N_WORKERS = 2
ROW = ("what", "measured", "bar")
SHORT_SWEEP = """
name = "short"
[grid]
merge = {merges}
embedding_size = [50, 100]
dense_layers = [[64, 32, 1], [32, 16, 1]]
[training]
max_epochs = {n_epochs}
[protocol]
embedding_rows = "max_id"
"""


def whole_sweep(copy: Path, sweep: str) -> SampledSweep:
    print_note(
        f"`make sweep SWEEP={Path(sweep).stem} DATASET=ml-1m FRESH=1 WORKERS={N_WORKERS}` in a copy of the "
        "project after `make setup`, from no services at all."
    )
    return run_sweep(copy, sweep, N_WORKERS)


def sweep_rows(
    swept: SampledSweep, configs: Sequence[TrialConfig], keras_seconds: float
) -> Iterator[tuple[object, ...]]:
    wall = swept.wall_seconds
    trained = [one for one in swept.attempts if not one.is_baseline]
    yield "trials with both baselines", len(swept.attempts), ""
    yield "wall time of the command, s", seconds(wall), f"≤ {WALL_BAR}: {judge(is_met=wall <= WALL_BAR)}"
    yield "first trial's start to last one's end, s", seconds(swept.trials_seconds), ""
    yield "training of all trials, one after another, s", seconds(sum(t.train_seconds for t in trained)), ""
    yield f"the log of 2020 ({LOG_SECONDS_2020:,} s): times as long", f"{LOG_SECONDS_2020 / wall:,.0f}", ""
    yield "Keras fit here, same epochs, one after another, s", f"{keras_seconds:,.0f}", ""
    yield "Keras fit here: times as long", f"{keras_seconds / wall:,.0f}", ""
    yield "the same on two cores, shared perfectly: times as long", f"{keras_seconds / 2 / wall:,.0f}", ""
    most = places_off(swept.attempts, configs)
    bar = f"≤ {N_WORKERS - 1}: {judge(is_met=most < N_WORKERS)}"
    yield "the most expensive trials start first: places off that order, at most", most, bar


def places_off(attempts: Sequence[Attempt], configs: Sequence[TrialConfig]) -> int:
    """How far the order of start is from descending cost.

    Processes that start at the same time may swap neighbours.
    """
    costs = {config.label: config.expected_cost for config in configs}
    started = [one.label for one in attempts]
    by_cost = sorted(started, key=lambda label: -costs[label])
    return max(abs(place - by_cost.index(label)) for place, label in enumerate(started))


def process_rows(swept: SampledSweep, name: str) -> Iterator[tuple[object, ...]]:
    """One task process a row, in order of start; a worker replaces its processes after some trials."""
    for pid in dict.fromkeys(one.pid for one in swept.attempts):
        own = [one for one in swept.attempts if one.pid == pid]
        cores, peak = swept.cores_used(pid), swept.peak_bytes(pid)
        yield (
            name,
            len(own),
            f"{cores:.2f} ({judge(is_met=cores <= CORE_BAR)})" if cores else "too short",
            f"{megabytes(peak)} ({judge(is_met=peak <= MEMORY_BAR)})",
            ", ".join(megabytes(swept.resident_before(one)) for one in own[1:]),
        )


def flat_rows(one: SampledSweep) -> Iterator[tuple[object, ...]]:
    """One worker alone: its trials in order, whichever of its processes ran them."""
    before = list(map(one.resident_before, one.attempts[:FLAT_TRIAL]))
    second, last = before[1], before[-1]
    growth, largest = last / second, max(before[1:]) / second
    yield "resident before the 2nd trial, MB", megabytes(second), ""
    yield f"resident before trial {len(before)}, MB", megabytes(last), ""
    yield "growth", f"{growth:.2f}", f"≤ {GROWTH_BAR}: {judge(is_met=growth <= GROWTH_BAR)}"
    bar = f"≤ {GROWTH_BAR}: {judge(is_met=largest <= GROWTH_BAR)}"
    yield "largest before any of them, times that before the 2nd", f"{largest:.2f}", bar


def throughput_rows(one: SampledSweep, two: SampledSweep, bare: float) -> Iterator[tuple[object, ...]]:
    ratio = one.trials_seconds / two.trials_seconds
    yield f"{len(one.attempts)} short trials, one worker, s", seconds(one.trials_seconds), ""
    yield f"{len(two.attempts)} short trials, two workers, s", seconds(two.trials_seconds), ""
    bar = f"≥ {THROUGHPUT_BAR}: {judge(is_met=ratio >= THROUGHPUT_BAR)}"
    yield "throughput of two workers, times that of one", f"{ratio:.2f}", bar
    yield "two bare engines side by side, times one: what this machine allows", f"{bare:.2f}", ""


def bare_throughput(prepared: str, *, quick: bool) -> float:
    """Two processes that only train, beside one."""

    def train(_: int) -> float:
        measured = measure(
            "epoch_times:time_engine",
            prepared=prepared,
            architecture={"merge": "concatenate", "embedding_size": 50, "dense_layers": [64, 32, 1]},
            training=asdict(TrainingConfig()),
            n_epochs=4 if quick else 12,
        )
        return float(measured["epoch_seconds"])

    alone = train(0)
    with ThreadPoolExecutor(2) as pool:
        both = list(pool.map(train, range(2)))
    return sum(alone / one for one in both)


def keras_rows(
    prepared: str, configs: Sequence[TrialConfig], n_epochs: dict[str, int], *, quick: bool
) -> list[tuple[object, ...]]:
    """Every architecture of the sweep by Keras `fit`, for as many epochs as ours ran."""
    trained = [config for config in configs if not config.is_baseline and config.label in n_epochs]
    measured = measure(
        "epoch_times:time_fit",
        prepared=prepared,
        architectures=[asdict(config.architecture) for config in trained],
        training=asdict(TrainingConfig()),
        budget_seconds=0.5 if quick else 2.5,
        n_repeats=1 if quick else 2,
    )
    rows: list[tuple[object, ...]] = []
    for config, fit in zip(trained, measured, strict=True):
        epoch = fit["train_seconds"] + fit["validation_seconds"]
        rows.append((config.label, n_epochs[config.label], epoch, epoch * n_epochs[config.label]))
    return rows


def main() -> None:
    quick = parse_options(__doc__).quick
    print_heading("The whole sweep through the real queue", "bench_sweep")
    with prepared_dataset() as prepared, installed_copy() as copy:
        short = copy.parent / "short.toml"
        merges = '["average"]' if quick else '["concatenate", "multiply", "average", "dot"]'
        short.write_text(SHORT_SWEEP.format(merges=merges, n_epochs=1 if quick else 5))
        sweep = str(short) if quick else "reference"
        swept = whole_sweep(copy, sweep)
        n_epochs = {one.label: one.n_epochs for one in swept.attempts if not one.is_baseline}
        configs = expand(read_spec(find_sweep_file(sweep)))
        by_keras = keras_rows(prepared, configs, n_epochs, quick=quick)
        print_table(ROW, sweep_rows(swept, configs, sum(float(str(row[3])) for row in by_keras)))
        shown = [
            (row[0], row[1], seconds(float(str(row[2]))), seconds(float(str(row[3])))) for row in by_keras
        ]
        title = "Keras fit of the same trials: measured seconds an epoch, times the epochs that ours ran"
        print_table(("trial", "epochs", "Keras, s an epoch", "s"), shown, title)

        one, two = (run_sweep(copy, str(short), n_workers) for n_workers in (1, N_WORKERS))
        bare = bare_throughput(prepared, quick=quick)
        print_table(ROW, throughput_rows(one, two, bare), "Two workers beside one, first start to last end")

        print_table(
            ("task process of", "trials", "cores used", "peak, MB", "before each trial but the 1st, MB"),
            (row for name, run in _named(swept, one, two) for row in process_rows(run, name)),
            f"Task processes: at most {CORE_BAR} cores and {MEMORY_BAR / 1e6:,.0f} MB each",
        )
        print_table(ROW, flat_rows(one), "Memory of one worker over its trials")
        start_up = measure("start_up:time_start_up", prepared=prepared)
        engine = measure(
            "epoch_times:time_engine",
            prepared=prepared,
            architecture={"merge": "concatenate", "embedding_size": 50, "dense_layers": [64, 32, 1]},
            training=asdict(TrainingConfig()),
            n_epochs=3,
        )
        start_up["XLA compile, once a trial"] = engine["compile_seconds"]
        rows = [(name, seconds(value)) for name, value in start_up.items()]
        print_table(("part", "s"), rows, "Start-up: all but the compile once a task process")


def _named(swept: SampledSweep, one: SampledSweep, two: SampledSweep) -> Iterator[tuple[str, SampledSweep]]:
    yield "the whole sweep, 2 workers", swept
    yield "short trials, 1 worker", one
    yield "short trials, 2 workers", two


if __name__ == "__main__":
    main()
