"""A search against the grid that contains its answer, and what asking and looking cost.

The grid is measured once, in one process, on MovieLens 100K; searches of it are then looked up. What counts
is after how many trials the best validation ndcg@20 of the grid is reached, or nearly.
"""

import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from itertools import product
from pathlib import Path
from statistics import mean, median
from typing import Any

import numpy as np
from sqlalchemy import Engine, text

from scheduler.sweep.growth import Grower
from scheduler.sweep.search.proposing import SUPPLY, propose
from scheduler.sweep.search.space import space_of
from scheduler.sweep.spec import SweepSpec, parse_spec
from shared import store
from shared.datasets import resolve_dataset
from shared.domain.trial import TrialConfig
from shared.settings import load_settings
from shared.store import GrowingSweep, Proposal, Sweep, Trial
from shared.store.database import create_engine
from shared.store.schema import upgrade_schema
from tests.benchmarks.fresh_process import measure
from tests.benchmarks.report import judge, parse_options, print_heading, print_note, print_table, seconds
from tests.benchmarks.search_grid import AXES
from tests.chaos.servers import Postgres

N_SEEDS = 5
ASK_BAR, LOOK_BAR = 0.050, 0.100
N_FINISHED, N_SWEEPS = 1_000, 10
# What counts as the same ndcg@20: trials of one configuration with other seeds scatter more.
NEAR = 0.001
_RANGES = {
    "family": "matrix_factorization",
    "size": {"from": 8, "to": 256, "scale": "log"},
    "user_l2": {"from": 0.01, "to": 3, "scale": "log"},
    "item_l2": {"from": 0.01, "to": 3, "scale": "log"},
    "learning_rate": {"from": 0.001, "to": 0.1, "scale": "log"},
}


def make_spec(table: dict[str, Any], method: str, n_trials: int, seed: int = 0) -> SweepSpec:
    document = {
        "models": [table],
        "search": {"method": method, "n_trials": n_trials, "seed": seed},
        "protocol": {"objective": "ndcg@20"},
    }
    return parse_spec(document, Path("search.toml"))


def make_trial(number: int, config: TrialConfig, value: float) -> Trial:
    return Trial(
        trial_id=number,
        sweep_id=1,
        label=config.label,
        config=config,
        config_hash=config.config_hash,
        status="succeeded",
        attempt=1,
        attempts_allowed=3,
        worker=None,
        epoch=None,
        val_rmse=None,
        error_reason=None,
        error_message=None,
        queued_at=None,
        started_at=None,
        finished_at=None,
        objective=value,
    )


def growing(spec: SweepSpec, trials: Sequence[Trial], proposals: Sequence[Proposal]) -> GrowingSweep:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    sweep = Sweep(
        sweep_id=1,
        name="search",
        dataset_id=1,
        dataset_name="ml-100k",
        fingerprint="",
        is_synthetic=False,
        protocol=spec.protocol,
        code_version="",
        created_at=now,
        spec=spec.document,
        growing_since=now,
    )
    return GrowingSweep(sweep, tuple(trials), tuple(proposals), now)


def search_values(values: dict[str, float], method: str, seed: int) -> list[float]:
    """The value of each trial of a search of the grid, one after the other, until there are no more."""
    table = {"family": "matrix_factorization", **AXES}
    spec = make_spec(table, method, len(values), seed)
    trials: list[Trial] = []
    proposals: list[Proposal] = []
    waiting: list[TrialConfig] = []
    while len(trials) < len(values):
        step = propose(spec, growing(spec, trials, proposals))
        proposals += step.proposals
        waiting = list(step.configs)
        if not waiting:
            break
        trials += [
            make_trial(len(trials) + place, config, values[config.config_hash])
            for place, config in enumerate(waiting)
        ]
    return [trial.objective or 0.0 for trial in trials]


def grid_rows(dataset: str, max_epochs: int) -> Iterator[tuple[object, ...]]:
    measured = measure("search_grid:grid_values", dataset=dataset, max_epochs=max_epochs)
    (branch,) = space_of(make_spec({"family": "matrix_factorization", **AXES}, "tpe", 1)).branches
    # The order of the grid is that of AXES, in which product counts too.
    hashes = [
        branch.config(dict(zip(AXES, point, strict=True))).config_hash for point in product(*AXES.values())
    ]
    values = dict(zip(hashes, measured["values"], strict=True))
    target, n_grid = max(values.values()) - NEAR, len(values)
    # A grid in its order, and in any order: a grid has no reason to begin where it is good.
    n_good = sum(value >= target for value in values.values())
    yield "grid, all its trials", n_grid, "", ""
    yield "grid, in any order, until it is there", f"{(n_grid + 1) / (n_good + 1):.1f}", "", ""
    for method in ("random", "tpe"):
        counts = [
            next(
                (number for number, value in enumerate(found, start=1) if value >= target),
                n_grid,
            )
            for found in (search_values(values, method, seed) for seed in range(N_SEEDS))
        ]
        verdict = f"≤ {n_grid / 2:.0f}: {judge(is_met=mean(counts) <= n_grid / 2)}" if method == "tpe" else ""
        yield method, f"{mean(counts):.1f}", ", ".join(map(str, counts)), verdict


def ask_rows(n_repeats: int) -> Iterator[tuple[object, ...]]:
    for n_finished in (100, N_FINISHED):
        spec = make_spec(_RANGES, "tpe", 10_000)
        (branch,) = space_of(spec).branches
        random = np.random.default_rng(0)
        drawn = [branch.draw(random) for _ in range(n_finished)]
        configs = [branch.config(parameters) for parameters in drawn]
        trials = [make_trial(n, config, random.random()) for n, config in enumerate(configs)]
        proposals = [
            Proposal(n + 1, 0, one, config.config_hash)
            for n, (one, config) in enumerate(zip(drawn, configs, strict=True))
        ]
        started = time.process_time()
        propose(spec, growing(spec, trials, proposals))
        first = (time.process_time() - started) / SUPPLY
        taken = []
        for _ in range(n_repeats):
            started = time.process_time()
            propose(spec, growing(spec, trials, proposals))
            taken.append((time.process_time() - started) / SUPPLY)
        verdict = f"≤ 50 ms: {judge(is_met=median(taken) <= ASK_BAR)}"
        yield f"{n_finished:,} finished trials", seconds(first), seconds(median(taken)), verdict


_SUCCEED = """
    update trials
    set status = 'succeeded', attempt = 1, started_at = now(), finished_at = now(), n_parameters = 1000,
        best_epoch = 20, val_rmse = 0.9, train_seconds = 60, log_url = 'file:///log'
    where label <> all (:waiting);
    insert into metrics (trial_id, split, name, value)
    select trial_id, 'validation', 'ndcg@20', random() from trials where status = 'succeeded';
    analyze trials;
    analyze metrics
"""


def fill(engine: Engine) -> list[int]:
    """Ten sweeps that search, each with a thousand finished trials and two that wait."""
    dataset_id = store.save_dataset(engine, resolve_dataset("sample", load_settings()).dataset)
    spec = make_spec(_RANGES, "tpe", 10_000)
    (branch,) = space_of(spec).branches
    random = np.random.default_rng(0)
    configs = [branch.config(branch.draw(random)) for _ in range(N_FINISHED + SUPPLY)]
    sweep_ids = []
    for number in range(N_SWEEPS):
        sweep = store.create_sweep(
            engine, f"search {number}", dataset_id, dict(spec.document), spec.protocol, "bench"
        )
        store.add_trials(engine, sweep.sweep_id, configs)
        store.begin_growing(engine, sweep.sweep_id)
        sweep_ids.append(sweep.sweep_id)
    waiting = [config.label for config in configs[-SUPPLY:]]
    with engine.begin() as connection:
        for statement in _SUCCEED.split(";"):
            connection.execute(text(statement), {"waiting": waiting} if ":waiting" in statement else {})
    return sweep_ids


def look_rows(n_repeats: int) -> Iterator[tuple[object, ...]]:
    with tempfile.TemporaryDirectory(prefix="recsweep-bench-") as folder:
        server = Postgres(Path(folder))
        server.start()
        try:
            engine = create_engine(server.server.url)
            upgrade_schema(engine)
            (sweep_id, *_) = fill(engine)
            grower = Grower(engine, "redis://", threading.Event())
            first = timed(grower.look)
            same = median(timed(grower.look) for _ in range(n_repeats))
            changed = median(timed(partial(look_anew, engine, grower, sweep_id)) for _ in range(n_repeats))
            engine.dispose()
        finally:
            server.stop_fast()
    yield "the first look", seconds(first), ""
    yield "nothing changed", seconds(same), f"≤ 100 ms: {judge(is_met=same <= LOOK_BAR)}"
    yield "one sweep changed: all its trials are read", seconds(changed), ""


def look_anew(engine: Engine, grower: Grower, sweep_id: int) -> None:
    """A trial ended and another was queued: the sweep is read, and asks for nothing."""
    with engine.begin() as connection:
        statement = "update sweeps set growing_since = clock_timestamp() where sweep_id = :sweep_id"
        connection.execute(text(statement), {"sweep_id": sweep_id})
    grower.look()


def timed(work: Callable[[], None]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def main() -> None:
    options = parse_options(__doc__)
    print_heading("A search", "bench_search")
    print_table(
        ("one question, CPU", "the first of a process, s", "median, s", "bar"),
        ask_rows(3 if options.quick else 20),
        "Asking for the next trial, of four axes",
    )
    print_table(
        ("look", "s", "bar"),
        look_rows(3 if options.quick else 20),
        f"A look at {N_SWEEPS} sweeps of {N_FINISHED:,} trials",
    )
    n_points = len(list(product(*AXES.values())))
    print_table(
        ("search", "trials, mean", "of each seed", "bar"),
        grid_rows("ml-100k", 2 if options.quick else 10),
        f"Trials until ndcg@20 is within {NEAR} of the best of {n_points}: {', '.join(AXES)}",
    )
    print_note(
        "The grid is of matrix_factorization on MovieLens 100K; a search of it is looked up in what was "
        "measured. In any order, n trials of which g are good find one after (n + 1) / (g + 1) on average."
    )


if __name__ == "__main__":
    main()
