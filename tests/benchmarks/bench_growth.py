"""How time and memory of an epoch grow with ratings, embedding size and batch size, on synthetic ratings."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from shared.domain.families.tower import Tower
from shared.domain.training import TrainingConfig
from tests.benchmarks.fresh_process import measure
from tests.benchmarks.report import (
    describe,
    megabytes,
    parse_options,
    print_heading,
    print_note,
    print_table,
    seconds,
)

# MovieLens 1M with the split of the reference sweep.
N_RATINGS, N_USERS, N_ITEM_ROWS = 900_188, 6_040, 3_952
LINEAR = Tower("concatenate", 50, (64, 32, 1))
RELU = Tower("concatenate", 50, (64, 32, 1), "relu")
COLUMNS = ("model", "s an epoch", "µs a step", "ns a rating", "compile, s", "peak, MB", "before, MB")


@dataclass(frozen=True)
class Size:
    """What one measurement trains on."""

    n_ratings: int
    n_users: int = N_USERS
    n_item_rows: int = N_ITEM_ROWS


def measure_epoch(architecture: Tower, batch_size: int, size: Size) -> dict[str, Any]:
    """Median of two epochs after the compile, in a fresh process."""
    measured: dict[str, Any] = measure(
        "epoch_times:time_engine",
        architecture=asdict(architecture),
        training=asdict(TrainingConfig(batch_size=batch_size)),
        n_epochs=3,
        synthetic=asdict(size),
    )
    return measured


def cells(measured: dict[str, Any]) -> tuple[object, ...]:
    epoch = measured["epoch_seconds"]
    return (
        seconds(epoch),
        f"{epoch / measured['n_steps'] * 1e6:,.1f}",
        f"{epoch / measured['n_ratings'] * 1e9:,.0f}",
        seconds(measured["compile_seconds"]),
        megabytes(measured["memory_peak"]),
        megabytes(measured["memory_before"]),
    )


def by_ratings(
    unit: int, factors: tuple[int, ...], batch_sizes: tuple[int, ...]
) -> Iterator[tuple[object, ...]]:
    """The last column: a rating costs so many times what it costs at the smallest size."""
    for batch_size in batch_sizes:
        per_rating = 0.0
        sizes = [(f"{factor}x ratings", Size(factor * unit)) for factor in factors]
        largest = factors[-1]
        sizes.append((f"{largest}x ratings, {largest}x users", Size(largest * unit, largest * N_USERS)))
        for name, size in sizes:
            measured = measure_epoch(LINEAR, batch_size, size)
            cost = measured["epoch_seconds"] / size.n_ratings
            per_rating = per_rating or cost
            row = (f"{name} ({size.n_ratings:,}), batch {batch_size:,}", *cells(measured))
            yield (*row, f"{cost / per_rating:.2f}")


def by_embedding(unit: int, embedding_sizes: tuple[int, ...]) -> Iterator[tuple[object, ...]]:
    for head in (LINEAR, RELU):
        for embedding_size in embedding_sizes:
            architecture = Tower(head.merge, embedding_size, head.dense_layers, head.activation)
            yield describe(architecture), *cells(measure_epoch(architecture, 32, Size(unit)))


def by_batch(unit: int, batch_sizes: tuple[int, ...]) -> Iterator[tuple[object, ...]]:
    for architecture in (LINEAR, RELU):
        for batch_size in batch_sizes:
            name = f"{describe(architecture)}, batch {batch_size:,}"
            yield name, *cells(measure_epoch(architecture, batch_size, Size(unit)))


def main() -> None:
    quick = parse_options(__doc__).quick
    print_heading("How an epoch's cost grows", "bench_growth")
    print_note(
        "Synthetic ratings, Adamax; an epoch is shuffle, training, and validation of a ninth as many. Every "
        "row is a fresh process with one thread. Memory: the peak of the whole process, TensorFlow and "
        "ratings included, and the peak before training begins."
    )
    unit = N_RATINGS // 16 if quick else N_RATINGS
    title = f"Ratings: {describe(LINEAR)}, {N_USERS:,} users, {N_ITEM_ROWS:,} items"
    factors, batch_sizes = ((1, 4), (32,)) if quick else ((1, 4, 16), (32, 8192))
    print_table((*COLUMNS, "cost of a rating"), by_ratings(unit, factors, batch_sizes), title)
    sizes = (16, 256) if quick else (16, 64, 256)
    print_table(COLUMNS, by_embedding(unit, sizes), f"Embedding size: {unit:,} ratings, batch 32")
    batches = (32, 8192) if quick else (32, 256, 2048, 8192)
    print_table(COLUMNS, by_batch(unit, batches), f"Batch size: {unit:,} ratings")


if __name__ == "__main__":
    main()
