"""What grows with the ratings, up to the shape of MovieLens 32M: seconds and peak memory of a process."""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.benchmarks.fresh_process import MeasurementError, measure
from tests.benchmarks.report import (
    judge,
    megabytes,
    parse_options,
    print_heading,
    print_note,
    print_table,
    seconds,
)

SHARES = (1 / 32, 1 / 4, 1.0)
_LARGE_SHARE = 1 / 8
# Two processes run beside Postgres in 24 GiB.
MEMORY_BAR = 6e9
COLUMNS = ("what", "s", "CPU s", "CPU s a million ratings", "peak, MB", "bar: 6,000 MB")


@dataclass(frozen=True)
class Part:
    """One row: a function of size_times and what it gets."""

    name: str
    function: str
    arguments: dict[str, Any]


_FACTORS = {"family": "matrix_factorization"}
PARTS = (
    Part("map, split, copy what is learned from", "time_reading", {}),
    Part(
        "tower, concatenate 50, 64-32-1, batch 32: an epoch",
        "time_epoch",
        {
            "family": "tower",
            "settings": {"merge": "concatenate", "embedding_size": 50, "dense_layers": [64, 32, 1]},
        },
    ),
    Part(
        "matrix_factorization squared_error, 32 wide, batch 4,096: an epoch",
        "time_epoch",
        {**_FACTORS, "settings": {"loss": "squared_error", "size": 32}},
    ),
    Part(
        "matrix_factorization softmax, 32 wide: an epoch, users times items",
        "time_epoch",
        {**_FACTORS, "settings": {"size": 32}},
    ),
    Part("weighted_als, 128 wide: an iteration", "time_iteration", {"settings": {}}),
    Part("top 20 of all users, linear, 64 wide", "time_lists", {}),
    Part(
        "a whole trial: weighted_als, 64 wide, 1 iteration",
        "time_trial",
        {"family": "weighted_als", "settings": {"size": 64, "iterations": 1}},
    ),
)


def rows(prepared: dict[str, Any], share: float) -> Iterator[tuple[object, ...]]:
    millions = prepared["n_ratings"] / 1e6
    yield _row("write the prepared file", prepared, millions)
    for part in PARTS:
        arguments = {"prepared": prepared["path"], **part.arguments}
        if part.function == "time_epoch":
            # The first one compiles, which takes seconds: beside a minute that is little.
            arguments["n_epochs"] = 2 if share < _LARGE_SHARE else 1
        try:
            measured = measure(f"size_times:{part.function}", **arguments)
        except MeasurementError as error:
            yield part.name, "", "", "", "", f"{judge(is_met=False)}: {error}"
            continue
        yield _row(part.name, measured, millions)


def _row(name: str, measured: dict[str, Any], millions: float) -> tuple[object, ...]:
    peak, spent = measured["memory_peak"], measured["cpu_seconds"]
    return (
        name,
        seconds(measured["seconds"]),
        seconds(spent),
        seconds(spent / millions),
        megabytes(peak),
        judge(is_met=peak <= MEMORY_BAR),
    )


def main() -> None:
    quick = parse_options(__doc__).quick
    print_heading("Sizes", "bench_sizes")
    print_note(
        "Made up ratings with shares of the users, items and ratings of MovieLens 32M. Every row is a fresh "
        "process with one thread; its peak counts the mapped file, which processes share."
    )
    for share in (1 / 64, 1 / 32) if quick else SHARES:
        with tempfile.TemporaryDirectory(prefix="recsweep-bench-") as folder:
            prepared = measure("size_times:prepare", folder=folder, share=share)
            sizes = ", ".join(f"{prepared[f'n_{name}']:,} {name}" for name in ("users", "items", "ratings"))
            print_table(COLUMNS, rows(prepared, share), sizes)
            refused = measure(
                "size_times:time_refusal", prepared=prepared["path"], family="ease", settings={}
            )
            answer = refused["message"] or "it may begin"
            print_note(f"EASE, after {seconds(refused['seconds'])} s: {answer}")


if __name__ == "__main__":
    main()
