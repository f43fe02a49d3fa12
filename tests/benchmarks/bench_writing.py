"""Writing and reading in Postgres: COPY beside psql's, the finish transaction, one user's list."""

import contextlib
import json
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import numpy.typing as npt
from sqlalchemy import Engine, text

from scheduler.machine import clean_services, ensure_services, psql_command
from shared import store
from shared.datasets import Dataset
from shared.domain.families.tower import Tower
from shared.domain.protocol import Protocol
from shared.domain.training import TrainingConfig
from shared.domain.trial import TrialConfig
from shared.settings import Settings
from shared.store import Claim, EpochRecord, RankedItems, RatedItems, TrialResult
from shared.store.copying import Ids, copy_rows
from shared.store.database import create_engine, transaction
from tests.benchmarks.prepared import open_dataset, prepared_dataset
from tests.benchmarks.report import judge, parse_options, print_heading, print_note, print_table

K = 20
COPY_BAR, LOOKUP_BAR_MS = 0.6, 5
LOOKUP = "select * from best_recommendations where dataset_name = 'ml-1m' and user_id = '2000' order by rank"
COLUMNS = "sweep_id, trial_id, user_id, rank, item_id, score"


@dataclass(frozen=True, eq=False)
class Bench:
    """One sweep in an embedded Postgres of its own, as `make sweep` configures it."""

    settings: Settings
    engine: Engine
    dataset: Dataset
    folder: Path
    sweep_id: int
    labels: tuple[str, ...]

    def claim(self, number: int) -> Claim:
        """The right to write the trial of this number, from 0."""
        (trial_id,) = [
            trial.trial_id
            for trial in store.sweep_trials(self.engine, self.sweep_id)
            if trial.label == self.labels[number]
        ]
        claim = store.claim_trial(self.engine, trial_id, "bench", 3600, "bench")
        if claim is None:
            raise RuntimeError(f"trial {trial_id} is not free")
        return claim


@contextlib.contextmanager
def open_bench(prepared: str, n_trials: int) -> Iterator[Bench]:
    folder = Path(tempfile.mkdtemp(prefix="recsweep-bench-"))
    # Postgres may run as another account, which has to get in.
    folder.chmod(0o755)
    settings = Settings.model_validate(
        {"state_dir": folder / "state", "database_url": None, "broker_url": None, "artifact_url": None}
    )
    try:
        engine = create_engine(ensure_services(settings, n_workers=0).database_url)
        dataset = open_dataset(prepared)
        dataset_id = store.save_dataset(engine, dataset)
        sweep = store.create_sweep(engine, "bench", dataset_id, {}, Protocol(k=K), "bench")
        configs = [
            TrialConfig(Tower("average", 4, (1,)), TrainingConfig(random_seed=seed))
            for seed in range(n_trials)
        ]
        store.add_trials(engine, sweep.sweep_id, configs)
        labels = tuple(config.label for config in configs)
        yield Bench(settings, engine, dataset, folder, sweep.sweep_id, labels)
        engine.dispose()
    finally:
        clean_services(settings)
        shutil.rmtree(folder, ignore_errors=True)


def random_lists(dataset: Dataset) -> RankedItems:
    """K random items of every user; content does not matter to the time."""
    rng = np.random.default_rng(0)
    n_rows = dataset.n_users * K
    return RankedItems(
        user_index=np.repeat(np.arange(dataset.n_users, dtype=np.int32), K),
        rank=np.tile(np.arange(1, K + 1, dtype=np.int32), dataset.n_users),
        item_index=rng.integers(0, dataset.n_items, n_rows, np.int32),
        score=rng.random(n_rows, np.float32) * 5,
    )


def copy_lists(bench: Bench, claim: Claim, lists: RankedItems) -> float:
    """Seconds of our COPY into `recommendations`, encoding and commit included, as finish_trial does it."""
    n_rows = len(lists.rank)
    started = time.perf_counter()
    with transaction(bench.engine) as connection:
        columns: dict[str, npt.NDArray[Any] | Ids] = {
            "sweep_id": np.full(n_rows, claim.sweep_id, np.int32),
            "trial_id": np.full(n_rows, claim.trial_id, np.int32),
            "user_id": Ids(bench.dataset.user_ids, lists.user_index),
            "rank": lists.rank.astype(np.int16),
            "item_id": Ids(bench.dataset.item_ids, lists.item_index),
            "score": lists.score,
        }
        copy_rows(connection, "recommendations", columns)
    return time.perf_counter() - started


def psql_copy(bench: Bench, claim: Claim, copied: Claim, options: str) -> float:
    """Seconds that psql reports for `\\copy` of a file with the rows of `copied` under another trial."""
    file = bench.folder / "rows"
    same_rows = COLUMNS.replace("trial_id", str(claim.trial_id))
    where = f"where sweep_id = {copied.sweep_id} and trial_id = {copied.trial_id}"
    run_psql(bench, f"\\copy (select {same_rows} from recommendations {where}) to '{file}' {options}")
    output = run_psql(bench, "\\timing on", f"\\copy recommendations ({COLUMNS}) from '{file}' {options}")
    found = re.findall(r"Time: ([\d.]+) ms", output)
    return float(found[-1]) / 1000


def run_psql(bench: Bench, *commands: str) -> str:
    command, environment = psql_command(bench.settings)
    words = [word for one in commands for word in ("-c", one)]
    done = subprocess.run(
        [*command, "-X", "-v", "ON_ERROR_STOP=1", *words],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def finish(bench: Bench, claim: Claim, lists: RankedItems) -> float:
    """Seconds of the whole transaction that stores a trial."""
    epochs = tuple(EpochRecord(number, 1.0, 1.0, 1.0, 1.0) for number in range(1, 21))
    result = TrialResult(
        n_parameters=1,
        best_epoch=20,
        val_loss=1.0,
        val_rmse=1.0,
        metrics={"validation": dict.fromkeys(("rmse", "mae", f"ndcg@{K}"), 0.5)},
        epochs=epochs,
        recommendations=lists,
        rating_predictions=RatedItems(
            lists.user_index, lists.rank, lists.item_index, rating=lists.score, prediction=lists.score
        ),
        model_url="file:///bench.keras",
        log_url="file:///bench.log",
        train_seconds=1.0,
        peak_memory_bytes=1,
    )
    started = time.perf_counter()
    if not store.finish_trial(bench.engine, claim, result, bench.dataset):
        raise RuntimeError("the trial was superseded")
    return time.perf_counter() - started


def copy_table(bench: Bench, lists: RankedItems, n_repeats: int) -> Iterator[tuple[object, ...]]:
    """Ours and psql's in turn, so that both meet the same table. The first round is not counted."""
    n_rows = len(lists.rank)
    times: dict[str, list[float]] = {"ours": [], "text": [], "binary": []}
    numbers = iter(range(len(bench.labels)))
    for _ in range(n_repeats + 1):
        copied = bench.claim(next(numbers))
        times["ours"].append(copy_lists(bench, copied, lists))
        times["text"].append(psql_copy(bench, bench.claim(next(numbers)), copied, ""))
        times["binary"].append(psql_copy(bench, bench.claim(next(numbers)), copied, "with (format binary)"))
    ours, plain, binary = (median(times[name][1:]) for name in ("ours", "text", "binary"))
    ratio = plain / ours
    bar = f"≥ {COPY_BAR:.0%}: {judge(is_met=ratio >= COPY_BAR)}"
    yield "COPY of finish_trial, from arrays, rows/s", f"{n_rows / ours:,.0f}", f"{ratio:.0%} of psql, {bar}"
    yield "psql \\copy of the same rows from a text file, rows/s", f"{n_rows / plain:,.0f}", ""
    yield "psql \\copy of the same rows from a binary file, rows/s", f"{n_rows / binary:,.0f}", ""


def finish_table(bench: Bench, lists: RankedItems, first: int, n_trials: int) -> Iterator[tuple[object, ...]]:
    times = [finish(bench, bench.claim(number), lists) for number in range(first, first + n_trials)]
    n_rows = 2 * len(lists.rank)
    yield f"finish_trial: {n_rows:,} rows of both lists, measures, state, s", f"{median(times):.2f}", ""
    yield "the same, slowest, s", f"{max(times):.2f}", ""
    yield "the same, rows/s", f"{n_rows / median(times):,.0f}", ""


def lookup_table(bench: Bench, n_repeats: int) -> Iterator[tuple[object, ...]]:
    with bench.engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT")
        connection.execute(text("vacuum (analyze) recommendations"))
        n_rows = connection.scalar(text("select count(*) from recommendations"))
        plans = []
        for _ in range(n_repeats):
            found = connection.scalar(text(f"explain (analyze, buffers, format json) {LOOKUP}"))
            plans.append((json.loads(found) if isinstance(found, str) else found)[0])
    executions = [plan["Execution Time"] for plan in plans]
    nodes = list(scans(plans[0]["Plan"]))
    is_index_scan = all("Index" in kind or "Bitmap" in kind for kind, table in nodes if is_partition(table))
    slowest = max(executions)
    bar = f"< {LOOKUP_BAR_MS}: {judge(is_met=slowest < LOOKUP_BAR_MS)}"
    yield "rows in recommendations", f"{n_rows:,}", ""
    yield "one user's list, execution, first, ms", f"{executions[0]:.2f}", ""
    yield "one user's list, execution, median, ms", f"{median(executions):.2f}", ""
    yield "one user's list, execution, slowest, ms", f"{slowest:.2f}", bar
    yield (
        "one user's list, planning, median, ms",
        f"{median(plan['Planning Time'] for plan in plans):.2f}",
        "",
    )
    shown = ", ".join(sorted({kind for kind, table in nodes if is_partition(table)}))
    yield "how the list is found", shown, judge(is_met=is_index_scan)


def is_partition(table: str) -> bool:
    return table.startswith("recommendations")


def scans(plan: dict[str, object]) -> Iterator[tuple[str, str]]:
    """Kind and table of every scan in a plan."""
    if "Relation Name" in plan:
        yield str(plan["Node Type"]), str(plan["Relation Name"])
    children = plan.get("Plans", [])
    for child in children if isinstance(children, list) else []:
        yield from scans(child)


def main() -> None:
    quick = parse_options(__doc__).quick
    print_heading("Writing and reading in Postgres", "bench_writing")
    n_repeats, n_finished = (1, 2) if quick else (5, 9)
    n_copied = 3 * (n_repeats + 1)
    with prepared_dataset() as prepared, open_bench(prepared, n_copied + n_finished) as bench:
        lists = random_lists(bench.dataset)
        print_note(
            f"{len(lists.rank):,} rows a list, Postgres as `make sweep` starts it, durable commits, index "
            "and checks in place. COPY: with commit, ours and psql's in turn, median of "
            f"{n_repeats}; psql's own timing, its start excluded. Ours includes the encoding of the arrays."
        )
        print_table(("what", "measured", "bar"), copy_table(bench, lists, n_repeats), "COPY")
        print_table(
            ("what", "measured", "bar"),
            finish_table(bench, lists, n_copied, n_finished),
            f"The finish transaction, median of {n_finished}",
        )
        print_note(f"`explain (analyze, buffers) {LOOKUP}`, 20 times.")
        print_table(("what", "measured", "bar"), lookup_table(bench, 20), "One user's list")


if __name__ == "__main__":
    main()
