"""A search beside Optuna with Keras `fit` in processes of its own, and beside KerasTuner's Hyperband.

The same space, the same model, the same split of MovieLens 1M: when does each first reach the RMSE on
validation that all of them reach?
"""

import os
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sqlalchemy import text

from scheduler.machine import clean_services, find_endpoints
from shared.settings import PROJECT_ROOT, Settings
from shared.store.database import create_engine
from tests.benchmarks.fresh_process import measure
from tests.benchmarks.peers import Peers, installed_peers
from tests.benchmarks.prepared import prepared_dataset
from tests.benchmarks.report import parse_options, print_heading, print_note, print_table, seconds
from tests.benchmarks.tuner_times import Timeline

SPACE = {
    "merge": ["concatenate", "multiply"],
    "embedding_size": [8, 16, 32, 64],
    "batch_size": [256, 1024, 4096],
    "learning_rate": {"from": 1e-4, "to": 1e-2},
}
N_PROCESSES = 2
SEED = 0
_SWEEP = """
[grid]
merge = ["concatenate", "multiply"]
embedding_size = [8, 16, 32, 64]
dense_layers = [[32, 1]]
batch_size = [256, 1024, 4096]
learning_rate = {{ from = 1e-4, to = 1e-2, scale = "log" }}

[training]
optimizer = "adam"
max_epochs = {max_epochs}
patience = 2

[search]
method = "tpe"
n_trials = {n_trials}
seed = {seed}

[protocol]
embedding_rows = "max_id"
"""
_EPOCHS = text("""
    select cast(extract(epoch from epochs.recorded_at) as double precision) as at, epochs.val_rmse
    from epochs
    join trials using (trial_id)
    where trials.asked_by = 'search'
    order by at
""")
_FIRST = text("select cast(extract(epoch from min(started_at)) as double precision) from attempts")


@dataclass(frozen=True)
class Search:
    """One tool: the wall time of all of it, and when which RMSE was there."""

    name: str
    wall_seconds: float
    timeline: Timeline

    @property
    def best(self) -> float:
        """The smallest RMSE."""
        return min(rmse for _, rmse in self.timeline)

    def seconds_to(self, target: float) -> float:
        """From the start to the first epoch that reaches it."""
        return next(at for at, rmse in self.timeline if rmse <= target)


def search_ours(n_trials: int, max_epochs: int) -> list[Search]:
    """`make sweep` from no services at all; the second is the same, counted from its first trial."""
    own = ("DATABASE_URL", "BROKER_URL", "ARTIFACT_URL", "STATE_DIR", "WORKERS", "SWEEP", "DATASET")
    with TemporaryDirectory(prefix="recsweep-bench-") as folder:
        # Postgres may run as another account, which has to get in.
        Path(folder).chmod(0o755)
        settings = Settings.model_validate({"state_dir": Path(folder) / "state"})
        file = Path(folder) / "search.toml"
        file.write_text(_SWEEP.format(n_trials=n_trials, max_epochs=max_epochs, seed=SEED))
        environment = {name: value for name, value in os.environ.items() if name not in own}
        environment |= {"STATE_DIR": str(settings.state_dir), "SWEEP": str(file), "DATASET": "ml-1m"}
        environment["WORKERS"] = str(N_PROCESSES)
        started = time.time()
        try:
            subprocess.run(
                ["make", "--no-print-directory", "sweep"],
                cwd=PROJECT_ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                check=True,
            )
            ended = time.time()
            engine = create_engine(find_endpoints(settings).database_url)
            with engine.connect() as connection:
                epochs = [(row.at, row.val_rmse) for row in connection.execute(_EPOCHS)]
                first = connection.execute(_FIRST).scalar_one()
            engine.dispose()
        finally:
            clean_services(settings)
    names = ("recsweep, tpe: from no services, with lists and metrics", "the same from its first trial")
    return [
        Search(name, ended - begin, [(at - begin, rmse) for at, rmse in epochs])
        for name, begin in zip(names, (started, first), strict=True)
    ]


def search_peers(prepared: str, peers: Peers, n_trials: int, max_epochs: int) -> Iterator[Search]:
    """One after the other, in the peers' venv."""
    settings: dict[str, Any] = {"prepared": prepared, "space": SPACE, "max_epochs": max_epochs, "seed": SEED}
    started = time.perf_counter()
    timeline = measure(
        "tuner_times:search_with_optuna",
        python=peers.python,
        n_trials=n_trials,
        n_processes=N_PROCESSES,
        **settings,
    )
    name = f"Optuna tpe, {N_PROCESSES} processes of joblib, Keras fit"
    yield Search(name, time.perf_counter() - started, timeline)
    if any(requirement.startswith("keras-tuner") for requirement in peers.missing):
        return
    started = time.perf_counter()
    timeline = measure("tuner_times:search_with_hyperband", python=peers.python, all_threads=True, **settings)
    yield Search("KerasTuner Hyperband, one process, all cores", time.perf_counter() - started, timeline)


def main() -> None:
    quick = parse_options(__doc__).quick
    n_trials, max_epochs = (4, 3) if quick else (12, 10)
    print_heading("A search beside Optuna and KerasTuner with Keras", "bench_tuners")
    with prepared_dataset() as prepared, installed_peers() as peers:
        for requirement, reason in peers.missing.items():
            print_note(f"Could not be installed: {requirement}: {reason}")
        print_note(
            f"Towers on MovieLens 1M: {SPACE}. Adam, at most {max_epochs} epochs, patience 2, {n_trials} "
            f"trials (Hyperband: as many as it wants), {N_PROCESSES} processes. The target is the best RMSE "
            "on validation of whoever did worst, so that all reach it. Theirs has no lists, no ranking "
            "metrics and no database; one run of each, so that luck of the draw is in the figures."
        )
        searches = [*search_ours(n_trials, max_epochs), *search_peers(prepared, peers, n_trials, max_epochs)]
    target = max(search.best for search in searches)
    ours = searches[0].seconds_to(target)
    print_table(
        ("search", "whole, s", "best RMSE", f"to {target:.4f}, s", "times ours"),
        [
            (
                search.name,
                seconds(search.wall_seconds),
                f"{search.best:.4f}",
                seconds(search.seconds_to(target)),
                f"{search.seconds_to(target) / ours:.2g}",
            )
            for search in searches
        ],
    )


if __name__ == "__main__":
    main()
