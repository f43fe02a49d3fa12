"""The database with many trials: 2,000 of them, in ten sweeps, and as many rows of lists as asked for.

Eight sweeps keep all lists, in one partition each; two keep those of their 20 best trials, in one each.
"""

import argparse
import contextlib
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
from sqlalchemy import Engine, text

from scheduler.machine import clean_services, ensure_services
from scheduler.sweep.dispatch import dispatch
from scheduler.sweep.spec import FamilyTable, SweepSpec
from scheduler.watcher import Watcher
from shared import store
from shared.datasets import Dataset
from shared.domain.families.ease import Ease
from shared.domain.protocol import Protocol
from shared.domain.trial import TrialConfig
from shared.settings import Settings
from shared.store import RankedItems, RatedItems, Sweep, TrialResult
from shared.store.database import create_engine, transaction
from shared.store.totals import read_totals
from tests.benchmarks.report import MISSED, print_heading, print_note, print_table

K = 20
N_SWEEPS, N_FEW, N_KEPT = 10, 2, 20
N_ITEMS = 87_585
N_EPOCHS = 20
# A person or an application waits for one, or starts or deletes a whole sweep.
BAR_MS, SWEEP_BAR_MS = 300, 2_000
PROTOCOL = Protocol(k=K, objective="ndcg", test_fraction=0.1)
METRICS = ("rmse", "mae", "ndcg", "recall", "precision", "map", "hit_rate", "mrr", "coverage", "novelty")
USER = "1000007"

# Users in the order of their ids, and items scattered; content does not matter to the time.
FILL = """
    insert into {table} (sweep_id, trial_id, user_id, rank, item_id, {columns})
    select :sweep_id, :trial_id, cast(1000000 + users.number as text), ranks.number,
        cast((users.number * 7919 + ranks.number * 104729 + :trial_id) % :n_items + 1 as text), {values}
    from generate_series(0, :n_users - 1, :step) as users (number)
    cross join generate_series(1, :k) as ranks (number)
"""
LISTS = FILL.format(table="{table}", columns="score", values="5.0 / ranks.number")
PREDICTIONS = FILL.format(table="{table}", columns="rating, prediction", values="4, 3.5")
USER_RESULTS = """
    insert into {table}
    select :sweep_id, :trial_id, parts.split, cast(1000000 + users.number as text), 100, 10, 8.1, 7.2,
        random(), random(), 0.15, random(), 1, 0.5, array['17', '2037', '451'], array[2, 7, 15]
    from (values ('test'), ('validation')) as parts (split)
    cross join generate_series(0, :n_users - 1) as users (number)
"""
# Whatever is asked for a trial that has succeeded.
SUCCEED = """
    update trials
    set status = 'succeeded', attempt = 1, started_at = now(), finished_at = now(), n_parameters = 1000,
        best_epoch = 20, val_rmse = 0.9, train_seconds = 60, log_url = 'file:///log',
        lists_removed_at = case when trial_id > all (:with_lists) then now() end
    where sweep_id = :sweep_id;
    insert into attempts (trial_id, attempt, worker, code_version, ended_at, end_reason)
    select trial_id, 1, 'bench', 'bench', now(), 'succeeded' from trials where sweep_id = :sweep_id;
    insert into metrics
    select trials.trial_id, parts.split, names.name, 1 - trials.trial_id / 100000.0
    from trials
    cross join (values ('test'), ('validation')) as parts (split)
    cross join unnest(cast(:names as text[])) as names (name)
    where trials.sweep_id = :sweep_id;
    insert into epochs (trial_id, epoch, attempt, loss, val_loss, val_rmse, objective, seconds)
    select trials.trial_id, epoch, 1, 1, 1, 1, 0.3, 1
    from trials cross join generate_series(1, :n_epochs) as epoch
    where trials.sweep_id = :sweep_id;
    update sweeps set ended_at = now(), judged_at = now() where sweep_id = :sweep_id
"""


@dataclass(frozen=True)
class Size:
    """Rows of lists in all, and trials, of which `n_with_lists` have some."""

    n_rows: int
    n_trials: int

    @property
    def n_trials_of_sweep(self) -> int:
        return self.n_trials // N_SWEEPS

    @property
    def n_with_lists(self) -> int:
        return (N_SWEEPS - N_FEW) * self.n_trials_of_sweep + N_FEW * N_KEPT

    @property
    def n_users(self) -> int:
        return max(100, self.n_rows // self.n_with_lists // K)


def make_dataset(n_users: int) -> Dataset:
    """The catalogue of ML-32M; every user has rated 20 items."""
    index = np.repeat(np.arange(n_users, dtype=np.int32), K)
    n_ratings = len(index)
    return Dataset(
        name="bench",
        is_synthetic=True,
        user_ids=np.array([str(1_000_000 + number) for number in range(n_users)]),
        item_ids=np.array([str(number + 1) for number in range(N_ITEMS)]),
        user_index=index,
        item_index=(np.arange(n_ratings) % N_ITEMS).astype(np.int32),
        ratings=np.tile([3, 4, 5, 3.5], n_ratings // 4).astype(np.float32),
        timestamps=np.zeros(n_ratings, np.int64),
        titles=np.array([f"The title of an item {number} (1999)" for number in range(N_ITEMS)]),
        genres=np.full(N_ITEMS, "Drama|Comedy"),
    )


@contextlib.contextmanager
def open_bench(size: Size) -> Iterator["Bench"]:
    folder = Path(tempfile.mkdtemp(prefix="recsweep-bench-"))
    # Postgres may run as another account, which has to get in.
    folder.chmod(0o755)
    settings = Settings.model_validate(
        {"state_dir": folder / "state", "database_url": None, "broker_url": None, "artifact_url": None}
    )
    try:
        endpoints = ensure_services(settings, n_workers=0)
        engine = create_engine(endpoints.database_url)
        dataset = make_dataset(size.n_users)
        yield Bench(engine, endpoints.broker_url, (folder / "artifacts").as_uri(), dataset, size)
        engine.dispose()
    finally:
        clean_services(settings)
        shutil.rmtree(folder, ignore_errors=True)


@dataclass(frozen=True, eq=False)
class Bench:
    """An embedded Postgres of its own, as `make sweep` configures it."""

    engine: Engine
    broker_url: str
    artifact_root: str
    dataset: Dataset
    size: Size

    def fill(self) -> list[Sweep]:
        """Ten sweeps, the last of which keep few lists; seconds do not count."""
        dataset_id = store.save_dataset(self.engine, self.dataset)
        sweeps = [self._fill_sweep(dataset_id, number) for number in range(N_SWEEPS)]
        with self.engine.connect() as connection:
            connection.execution_options(isolation_level="AUTOCOMMIT").execute(text("vacuum (analyze)"))
        return sweeps

    def _fill_sweep(self, dataset_id: int, number: int) -> Sweep:
        kept = N_KEPT if number >= N_SWEEPS - N_FEW else None
        sweep = store.create_sweep(self.engine, f"s{number}", dataset_id, {}, PROTOCOL, "bench", kept)
        store.add_trials(self.engine, sweep.sweep_id, configs(self.size.n_trials_of_sweep))
        trial_ids = [trial.trial_id for trial in store.sweep_trials(self.engine, sweep.sweep_id)]
        with_lists = trial_ids[:kept]
        for trial_id in trial_ids:
            self._fill_trial(sweep, trial_id, has_lists=trial_id in with_lists)
        with transaction(self.engine) as connection:
            for statement in SUCCEED.split(";\n"):
                names = [name if name in {"rmse", "mae"} else f"{name}@{K}" for name in METRICS]
                connection.execute(
                    text(statement),
                    {
                        "sweep_id": sweep.sweep_id,
                        "with_lists": with_lists,
                        "names": names,
                        "n_epochs": N_EPOCHS,
                    },
                )
        return sweep

    def _fill_trial(self, sweep: Sweep, trial_id: int, *, has_lists: bool) -> None:
        key = {"sweep_id": sweep.sweep_id, "trial_id": trial_id, "n_users": self.size.n_users}
        # Straight into the partition of the sweep: content is right, and the checks are not what is measured.
        partition = f"sweep_{sweep.sweep_id}"
        with transaction(self.engine) as connection:
            connection.execute(text(USER_RESULTS.format(table=f"user_results_{partition}")), key)
            if not has_lists:
                return
            if sweep.lists_kept is not None:
                for table in ("recommendations", "rating_predictions"):
                    store.partitions.make_list_table(connection, table, trial_id)
                    store.partitions.attach_list_table(connection, table, sweep.sweep_id, trial_id)
            lists = {**key, "k": K, "n_items": N_ITEMS}
            connection.execute(text(LISTS.format(table=f"recommendations_{partition}")), lists | {"step": 1})
            # Those of one user in seven: the others would only take room.
            connection.execute(
                text(PREDICTIONS.format(table=f"rating_predictions_{partition}")), lists | {"step": 7}
            )


def configs(n_trials: int) -> list[TrialConfig]:
    return [TrialConfig(Ease(l2=float(number + 1))) for number in range(n_trials)]


def timed(what: Callable[[], object], n_repeats: int = 5) -> tuple[float, float]:
    """Milliseconds of the first call, and the median of all."""
    times = []
    for _ in range(n_repeats):
        started = time.perf_counter()
        what()
        times.append((time.perf_counter() - started) * 1000)
    return times[0], median(times)


def row(
    name: str, what: Callable[[], object], n_repeats: int = 5, bar: float | None = BAR_MS
) -> tuple[object, ...]:
    first, middle = timed(what, n_repeats)
    verdict = "" if bar is None else f"< {bar:g}: {'met' if middle < bar else MISSED}"
    return name, f"{first:,.1f}", f"{middle:,.1f}", verdict


def reading(bench: Bench, plain: Sweep, few: Sweep) -> Iterator[tuple[object, ...]]:
    engine = bench.engine
    best = {sweep.sweep_id: store.leaderboard(engine, sweep.sweep_id)[0].trial_id for sweep in (plain, few)}

    def select(statement: str) -> Callable[[], object]:
        def run() -> object:
            with transaction(engine) as connection:
                found = connection.execute(text(statement)).all()
            if not found:
                raise RuntimeError(f"nothing found: {statement}")
            return found

        return run

    def ask(name: str, **parameters: str | int) -> Callable[[], object]:
        def run() -> object:
            _, rows = store.run_query(engine, name, parameters)
            return rows

        return run

    one = f"where dataset_name = 'bench' and user_id = '{USER}' order by rank"
    titled = "select * from recommendations_titled where user_id = '{}' and trial_id = {} and sweep_id = {}"
    yield row("best_recommendations of a user", select(f"select * from best_recommendations {one}"))
    for sweep, kind in ((plain, "all lists"), (few, f"{N_KEPT} lists")):
        key = f"of a sweep that keeps {kind}"
        sweep_id, trial_id = sweep.sweep_id, best[sweep.sweep_id]
        statement = titled.format(USER, trial_id, sweep_id)
        yield row(f"recommendations_titled of a user and a trial {key}", select(statement))
        yield row(f"make recommend, of a trial {key}", partial(recommend, engine, trial_id))
        yield row(f"leaderboard {key}", partial(store.leaderboard, engine, sweep_id))
        yield row(f"progress {key}", partial(store.sweep_trials, engine, sweep_id))
        for name in ("user_across_trials", "user_across_merges"):
            yield row(f"{name} {key}", ask(name, user_id=USER, sweep_id=sweep_id))
    yield row("top_of_user", ask("top_of_user", user_id=USER))
    yield row("what is served, and why", lambda: store.served_trial(engine, "bench"))
    yield row("make status: progress of all sweeps", lambda: store.sweep_progress(engine))
    yield row("numbers for Prometheus", lambda: read_totals(engine))
    yield row("make prune: what is old", lambda: store.old_sweeps(engine, 3))
    for name in ("verdicts", "slowest_trials", "axis_effects", "attempts_and_ends", "origin_of_trial"):
        yield row(name, ask(name, sweep_id=plain.sweep_id))
    for name in ("better_for_whom", "changed_users"):
        yield row(f"{name}, which reads all users of two trials", ask(name), 3, bar=None)


def recommend(engine: Engine, trial_id: int) -> None:
    """What `make recommend` reads of one user."""
    store.recommendations_of(engine, trial_id, USER)
    store.rating_predictions_of(engine, trial_id, USER)


def locks(engine: Engine) -> int:
    """Those that a look at one user's list holds."""
    with transaction(engine) as connection:
        statement = f"select * from best_recommendations where dataset_name = 'bench' and user_id = '{USER}'"
        connection.execute(text(statement)).all()
        return int(
            connection.execute(
                text("select count(*) from pg_locks where pid = pg_backend_pid()")
            ).scalar_one()
        )


def changing(bench: Bench, sweeps: list[Sweep]) -> Iterator[tuple[object, ...]]:
    engine, plain, few = bench.engine, sweeps[1], sweeps[-1]
    new: list[Sweep] = []
    tables = (FamilyTable("ease", {"l2": tuple(float(n + 1) for n in range(18))}, "bench"),)

    def start(kept: int | None) -> Callable[[], None]:
        spec = SweepSpec(f"new{kept}", tables, {}, PROTOCOL, {}, lists_kept=kept)

        def run() -> None:
            new.append(
                dispatch(engine, bench.broker_url, bench.artifact_root, spec, bench.dataset, fresh=True)[0]
            )

        return run

    yield row("make sweep: start of one of 20 trials that keeps all lists", start(None), 3, SWEEP_BAR_MS)
    yield row("make sweep: start of one of 20 trials that keeps 5", start(5), 3, SWEEP_BAR_MS)
    watcher = Watcher(engine, bench.broker_url, threading.Event())
    yield row("a look of the watcher", watcher.look)
    yield row("the same for lists that are not kept", lambda: store.remove_surplus_lists(engine))
    yield from finishing(bench, new[0], "among others")
    yield from finishing(bench, new[-1], "apart")
    yield removal(bench, few, N_KEPT - 1, "a partition is dropped")
    yield removal(bench, plain, bench.size.n_trials_of_sweep - 1, "row by row", bar=None)
    n_rows = bench.size.n_trials_of_sweep * bench.size.n_users * K
    name = f"make prune: a sweep of {n_rows:,} rows of lists"
    yield row(name, lambda: store.prune_sweeps(engine, [sweeps[0].sweep_id]), 1, SWEEP_BAR_MS)


def finishing(bench: Bench, sweep: Sweep, how: str) -> Iterator[tuple[object, ...]]:
    """The transaction that ends a trial, whose lists lie among others or apart."""
    n_users = bench.size.n_users
    n_rows = n_users * K
    users = np.repeat(np.arange(n_users, dtype=np.int32), K)
    ranks = np.tile(np.arange(1, K + 1, dtype=np.int32), n_users)
    items = np.random.default_rng(0).integers(0, N_ITEMS, n_rows, np.int32)
    score = np.ones(n_rows, np.float32)
    result = TrialResult(
        n_parameters=1,
        best_epoch=None,
        val_loss=None,
        val_rmse=None,
        metrics={"validation": {f"ndcg@{K}": 0.5}},
        epochs=(),
        recommendations=RankedItems(users, ranks, items, score),
        rating_predictions=RatedItems(users, ranks, items, score, score),
        model_url="file:///bench.model",
        log_url="file:///bench.log",
        train_seconds=1.0,
        peak_memory_bytes=1,
    )
    times = []
    for trial in store.sweep_trials(bench.engine, sweep.sweep_id)[:3]:
        claim = store.claim_trial(bench.engine, trial.trial_id, "bench", 3600, "bench")
        if claim is None:
            raise RuntimeError(f"trial {trial.trial_id} is not free")
        started = time.perf_counter()
        store.finish_trial(bench.engine, claim, result, bench.dataset)
        times.append(time.perf_counter() - started)
    name = f"finish_trial, lists {how} ({2 * n_rows:,} rows, {2 * n_rows / median(times):,.0f} rows/s)"
    yield name, f"{times[0] * 1000:,.1f}", f"{median(times) * 1000:,.1f}", ""


def removal(
    bench: Bench, sweep: Sweep, kept: int, how: str, bar: float | None = BAR_MS
) -> tuple[object, ...]:
    """One trial's lists go, because its sweep keeps one less."""
    with transaction(bench.engine) as connection:
        key = {"sweep_id": sweep.sweep_id, "kept": kept}
        connection.execute(text("update sweeps set lists_kept = :kept where sweep_id = :sweep_id"), key)
    n_removed: list[int] = []
    name = f"the lists of one trial are removed, {how}"
    found = row(name, lambda: n_removed.append(len(store.remove_surplus_lists(bench.engine))), 1, bar)
    if n_removed != [1]:
        raise RuntimeError(f"{n_removed} trials lost their lists: the watcher was faster")
    return found


def sizes(engine: Engine) -> Iterator[tuple[object, ...]]:
    """Bytes a row, with indexes."""
    statement = text("""
        select coalesce(sum(pg_total_relation_size(relid)), 0)
        from pg_partition_tree(cast(:table as regclass))
        where isleaf
    """)
    with transaction(engine) as connection:
        for table in ("recommendations", "rating_predictions", "user_results"):
            n_bytes = int(connection.execute(statement, {"table": table}).scalar_one())
            n_rows = int(connection.execute(text(f"select count(*) from {table}")).scalar_one())
            yield table, f"{n_rows:,}", f"{n_bytes / 1e9:.2f}", f"{n_bytes / max(n_rows, 1):.0f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="to try the script: its figures mean little")
    parser.add_argument("--rows", type=int, default=10_000_000, help="of recommendations, in all")
    parser.add_argument("--trials", type=int, default=2_000, help="in all, in ten sweeps")
    options = parser.parse_args()
    size = Size(300_000, 400) if options.quick else Size(options.rows, options.trials)
    arguments = "" if options.rows == parser.get_default("rows") else f" --rows {options.rows}"
    print_heading("The database with many trials", f"bench_store{arguments}")
    with open_bench(size) as bench:
        started = time.monotonic()
        sweeps = bench.fill()
        taken = time.monotonic() - started
        print_note(
            f"{size.n_trials:,} trials in {N_SWEEPS} sweeps, {size.n_users:,} users; Postgres as "
            f"`make sweep` starts it. Filled in {taken:.0f} s. A look at one user's list in "
            f"best_recommendations holds {locks(bench.engine)} locks."
        )
        print_table(("table", "rows", "GB", "bytes a row"), sizes(bench.engine), "Rows")
        columns = ("what", "first, ms", "median, ms", "bar")
        print_table(columns, reading(bench, sweeps[1], sweeps[-1]), "Reading")
        print_table(columns, changing(bench, sweeps), "Changing")


if __name__ == "__main__":
    main()
