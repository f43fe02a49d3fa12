"""The product on servers of its own, and what must hold when a test is over."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import psutil
from sqlalchemy import Engine, text

from scheduler.machine import Endpoints
from scheduler.machine.ports import free_port
from scheduler.machine.programs import own_programs
from scheduler.sweep.dispatch import dispatch
from scheduler.sweep.spec import read_spec
from shared import store
from shared.datasets import Dataset
from shared.datasets.sources.sample import generate_sample
from shared.errors import StoreUnavailable
from shared.settings import PROJECT_ROOT, Settings
from shared.store import Trial
from shared.store.database import create_engine
from tests.chaos.servers import Servers, Worker
from tests.chaos.waiting import PATIENCE_SECONDS, wait_for

TERMINAL = ("succeeded", "failed", "cancelled")

# A fifth of a second an epoch on an idle core: small batches make many steps.
SLOW_TRAINING = "batch_size = 1\npatience = 1000\n"
# Many more than a test lets pass before it acts: it may come late where others keep the cores busy.
N_EPOCHS = 30


def one_trial(max_epochs: int, embedding_sizes: Iterable[int] = (8,)) -> str:
    """A sweep of one architecture, or one for each size, and the two baselines."""
    return f"""
[grid]
merge = ["concatenate"]
embedding_size = {list(embedding_sizes)}
dense_layers = [[4, 1]]

[training]
{SLOW_TRAINING}max_epochs = {max_epochs}
"""


ONE_TRIAL = one_trial(N_EPOCHS)


def short_trials(embedding_sizes: Iterable[int]) -> str:
    """A sweep of one epoch for each."""
    return one_trial(1, embedding_sizes)


@cache
def sample() -> Dataset:
    return generate_sample()


class Cluster:
    """The product on servers of its own: a database, an artifact folder, workers and a watcher."""

    def __init__(self, servers: Servers, database_url: str, folder: Path) -> None:
        self.servers = servers
        self.postgres, self.redis = servers.postgres, servers.redis
        self.database_url, self.broker_url = database_url, servers.redis.server.url
        self.folder = folder
        self.artifacts_url = (folder / "artifacts").as_uri()
        self.engine: Engine = create_engine(database_url)
        self.workers: list[Worker] = []
        self.watchers: list[Worker] = []

    def settings(self, name: str, **values: object) -> Settings:
        places = {
            "database_url": self.database_url,
            "broker_url": self.broker_url,
            "artifact_url": self.artifacts_url,
            "state_dir": self.folder / name,
        }
        return Settings.model_validate(places | values)

    def add_worker(self, n_processes: int = 1, *, wait: bool = True, **values: object) -> Worker:
        """Start another worker; `values` are settings of its own."""
        worker = self._program("worker", n_processes, f"w{len(self.workers) + 1}", values)
        self.workers.append(worker)
        worker.start()
        if wait:
            worker.wait_until_ready()
        return worker

    def add_watcher(self) -> Worker:
        watcher = self._program("watcher", 0, f"v{len(self.watchers) + 1}", {})
        self.watchers.append(watcher)
        watcher.start()
        return watcher

    def _program(self, name: str, n_processes: int, state: str, values: dict[str, object]) -> Worker:
        settings = self.settings(state, **values)
        settings.state_dir.mkdir(exist_ok=True)
        endpoints = Endpoints(self.database_url, self.broker_url, None)
        programs = own_programs(
            settings,
            settings.state_dir,
            endpoints,
            n_processes,
            {"flower": free_port(), "dashboard": free_port()},
        )
        return Worker(next(one for one in programs if one.name == name), settings.state_dir, state)

    @property
    def artifact_root(self) -> str:
        """The folder of its database's artifacts."""
        return store.artifact_root(self.engine, self.artifacts_url)

    def dispatch(self, sweep: str, name: str = "chaos") -> int:
        """Store and publish a sweep given as the text of a sweep file; gives its sweep_id."""
        file = self.folder / f"{name}.toml"
        file.write_text(sweep)
        spec = read_spec(file)
        stored, _ = dispatch(self.engine, self.broker_url, self.artifact_root, spec, sample(), fresh=False)
        return stored.sweep_id

    def make_sweep(self, sweep: str, name: str = "chaos") -> subprocess.CompletedProcess[str]:
        """What `make sweep` runs, on these servers, with the text of a sweep file."""
        file = self.folder / f"{name}.toml"
        file.write_text(sweep)
        environment = os.environ | {
            "DATABASE_URL": self.database_url,
            "BROKER_URL": self.broker_url,
            "ARTIFACT_URL": self.artifacts_url,
            "STATE_DIR": str(self.folder / "scheduler"),
            "START_SERVICES": "false",
            "SWEEP": str(file),
            "DATASET": "sample",
        }
        return subprocess.run(
            [sys.executable, "-m", "scheduler", "sweep"],
            env=environment,
            cwd=PROJECT_ROOT,
            capture_output=True,
            text=True,
            check=False,
        )

    def trials(self, sweep_id: int) -> list[Trial]:
        return store.sweep_trials(self.engine, sweep_id)

    def trial(self, sweep_id: int, label: str = "") -> Trial:
        """The one trial that is no baseline, or the one of this label."""
        trials = self.trials(sweep_id)
        (found,) = [one for one in trials if (one.label == label if label else not one.config.is_baseline)]
        return found

    def holder(self, trial_id: int) -> psutil.Process:
        """The task process that runs the trial now."""
        statement = "select worker from trials where trial_id = :trial_id and status = 'running'"
        ((worker,),) = wait_for(
            lambda: self.select(statement, trial_id=trial_id), f"a process runs trial {trial_id}"
        )
        return psutil.Process(int(str(worker).rpartition("/")[2]))

    def select(self, statement: str, **parameters: object) -> list[tuple[object, ...]]:
        with self.engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(statement), parameters)]

    def wait_for_epoch(self, trial_id: int, epoch: int) -> None:
        statement = "select 1 from epochs where trial_id = :trial_id and epoch >= :epoch"
        wait_for(
            lambda: self.select(statement, trial_id=trial_id, epoch=epoch),
            f"trial {trial_id} has finished epoch {epoch}",
        )

    def wait_for_attempt(self, trial_id: int, attempt: int) -> None:
        statement = (
            "select 1 from trials where trial_id = :trial_id and attempt >= :attempt and status = 'running'"
        )
        wait_for(
            lambda: self.select(statement, trial_id=trial_id, attempt=attempt),
            f"attempt {attempt} of trial {trial_id} runs",
        )

    def wait_for_end(self, sweep_id: int, timeout_seconds: float = 2 * PATIENCE_SECONDS) -> list[Trial]:
        def ended() -> list[Trial] | None:
            with contextlib.suppress(StoreUnavailable):
                trials = self.trials(sweep_id)
                return trials if all(trial.status in TERMINAL for trial in trials) else None
            return None

        return wait_for(ended, f"all trials of sweep {sweep_id} have ended", timeout_seconds)

    def attempts(self, trial_id: int) -> list[tuple[str, str | None]]:
        """End reason and message of every attempt, in order."""
        return self.select(  # type: ignore[return-value]
            "select end_reason, error_message from attempts where trial_id = :trial_id order by attempt",
            trial_id=trial_id,
        )

    def close(self) -> None:
        """End all processes; pytest shows their last words when the test has failed."""
        for process in [*self.workers, *self.watchers]:
            process.end()
            sys.stdout.write(f"---- {process.hostname}\n{process.log[-6000:]}\n")
        self.engine.dispose()


def assert_whole(cluster: Cluster, sweep_id: int) -> None:
    """Every succeeded trial has its whole result once; every other has none. Nothing is left running."""
    dataset = sample()
    statement = """
        select trials.label, trials.status,
            (select count(*) from recommendations r where r.sweep_id = trials.sweep_id
                and r.trial_id = trials.trial_id),
            (select count(distinct user_id) from recommendations r where r.sweep_id = trials.sweep_id
                and r.trial_id = trials.trial_id),
            (select count(*) from metrics where metrics.trial_id = trials.trial_id and name = 'ndcg@20'),
            (select count(*) from attempts where attempts.trial_id = trials.trial_id) - trials.attempt,
            (select count(*) from attempts where attempts.trial_id = trials.trial_id and ended_at is null)
        from trials where trials.sweep_id = :sweep_id
    """
    for label, status, n_rows, n_users, n_metrics, n_surplus, n_open in cluster.select(
        statement, sweep_id=sweep_id
    ):
        assert status in TERMINAL, (label, status)
        assert (n_surplus, n_open) == (0, 0), (label, "attempts")
        wanted = (dataset.n_users * 20, dataset.n_users, 1) if status == "succeeded" else (0, 0, 0)
        assert (n_rows, n_users, n_metrics) == wanted, (label, status)


def assert_all_succeeded_at_once(cluster: Cluster, sweep_id: int) -> None:
    """Every trial ends with its whole result, from its first attempt."""
    trials = cluster.wait_for_end(sweep_id)
    assert_whole(cluster, sweep_id)
    assert {(trial.status, trial.attempt) for trial in trials} == {("succeeded", 1)}


def fingerprint(cluster: Cluster, trial_id: int) -> dict[str, object]:
    """All that must not depend on what happened to the machines."""
    queries = {
        "trial": "select n_parameters, best_epoch, val_loss, val_rmse from trials where trial_id = :id",
        "epochs": "select epoch, loss, val_loss, val_rmse from epochs where trial_id = :id order by epoch",
        "metrics": "select split, name, value from metrics where trial_id = :id order by split, name",
        "recommendations": """
            select count(*), md5(string_agg(concat_ws(' ', user_id, rank, item_id, score), ','
                order by user_id, rank)) from recommendations where trial_id = :id
        """,
        "predictions": """
            select count(*), md5(string_agg(concat_ws(' ', user_id, rank, item_id, prediction), ','
                order by user_id, rank)) from rating_predictions where trial_id = :id
        """,
    }
    return {name: cluster.select(statement, id=trial_id) for name, statement in queries.items()}
