"""Reading ratings of the shape of MovieLens 32M from files and from a query: seconds and peak memory."""

import os
import resource
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import sqlalchemy

from scheduler.machine.postgres import running_postgres
from shared.datasets import resolve_dataset
from shared.settings import Settings
from tests.benchmarks.fresh_process import measure
from tests.benchmarks.large_ratings import (
    LargeRatings,
    generate_ml_32m,
    write_csv,
    write_items,
    write_parquet,
)
from tests.benchmarks.report import (
    judge,
    megabytes,
    parse_options,
    print_heading,
    print_note,
    print_table,
    seconds,
)

MEMORY_BAR = 4e9
CSV_BAR_SECONDS, PARQUET_BAR_SECONDS = 60.0, 20.0
COLUMNS = ("source", "s", "s a million ratings", "peak, MB", "bar")
_URL = "BENCH_DATABASE_URL"


def time_reading(asked: str, state_dir: str, data_dir: str | None = None) -> dict[str, Any]:
    """From what `DATASET=` names to the data set and its fingerprint, in this process."""
    settings = Settings(state_dir=Path(state_dir), data_dir=Path(data_dir) if data_dir else None)
    started = time.perf_counter()
    dataset = resolve_dataset(asked, settings).dataset
    spent = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"seconds": spent, "memory_peak": peak, "n_ratings": dataset.n_ratings}


def rows(ratings: LargeRatings, folder: Path) -> Iterator[tuple[object, ...]]:
    millions = len(ratings.rating) / 1e6
    known = folder / "ml-latest"
    known.mkdir()
    write_csv(ratings, known / "ratings.csv")
    write_items(ratings, known / "movies.csv")
    write_parquet(ratings, folder / "ratings.parquet")
    (folder / "own.csv").symlink_to(known / "ratings.csv")
    cases: list[tuple[str, dict[str, Any], float]] = [
        ("CSV of one's own", {"asked": str(folder / "own.csv")}, CSV_BAR_SECONDS),
        ("the same again", {"asked": str(folder / "own.csv")}, CSV_BAR_SECONDS),
        ("CSV and titles of a known set", {"asked": "ml-latest", "data_dir": str(folder)}, CSV_BAR_SECONDS),
        ("Parquet", {"asked": str(folder / "ratings.parquet")}, PARQUET_BAR_SECONDS),
    ]
    for name, arguments, bar in cases:
        measured = measure(
            "bench_reading:time_reading", all_threads=True, state_dir=str(folder / "state"), **arguments
        )
        is_met = measured["seconds"] <= bar and measured["memory_peak"] <= MEMORY_BAR
        yield (
            name,
            seconds(measured["seconds"]),
            seconds(measured["seconds"] / millions),
            megabytes(measured["memory_peak"]),
            f"{bar:.0f} s, 4,000 MB: {judge(is_met=is_met)}",
        )
    yield _of_query(folder, millions)


def _of_query(folder: Path, millions: float) -> tuple[object, ...]:
    """From Postgres, whose driver makes a Python object of every value."""
    services = folder / "services"
    services.mkdir()
    folder.chmod(0o755)
    with running_postgres(services) as server:
        engine = sqlalchemy.create_engine(server.url)
        with engine.begin() as connection, (folder / "ml-latest" / "ratings.csv").open() as file:
            connection.exec_driver_sql(
                "create table ratings (user_id integer, item_id integer, rating real, time bigint)"
            )
            cursor = connection.connection.cursor()
            cursor.copy_expert("copy ratings from stdin (format csv, header)", file)
        toml = folder / "query.toml"
        toml.write_text(f'[ratings]\nquery = "select * from ratings"\ndatabase_url_env = "{_URL}"\n')
        os.environ[_URL] = server.url
        measured = measure(
            "bench_reading:time_reading",
            all_threads=True,
            asked=str(toml),
            state_dir=str(folder / "state"),
        )
        engine.dispose()
    spent, peak = measured["seconds"], measured["memory_peak"]
    return "a query on Postgres", seconds(spent), seconds(spent / millions), megabytes(peak), ""


def main() -> None:
    quick = parse_options(__doc__).quick
    print_heading("Reading ratings", "bench_reading")
    print_note(
        "Made up ratings with shares of the users, items and ratings of MovieLens 32M, each source read in a "
        "process of its own. The second reading of a file that has not changed maps what was read before."
    )
    for share in (1 / 64,) if quick else (1 / 32, 1.0):
        ratings = generate_ml_32m(share)
        with tempfile.TemporaryDirectory(prefix="recsweep-bench-") as folder:
            print_table(COLUMNS, rows(ratings, Path(folder)), f"{len(ratings.rating):,} ratings")


if __name__ == "__main__":
    main()
