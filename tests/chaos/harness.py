"""Servers, workers and watcher of one chaos test: real processes that can be killed, paused and restarted."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypeVar

import psutil
from sqlalchemy import Engine, text

from scheduler.dispatch import dispatch
from scheduler.spec import read_spec
from shared import store
from shared.database import create_engine, upgrade_schema
from shared.datasets import Dataset
from shared.datasets.sample import generate_sample
from shared.errors import StoreUnavailable
from shared.services import Endpoints
from shared.services.ports import free_port
from shared.services.postgres import PostgresServer, can_connect, locate_server, prepare_data
from shared.services.processes import end_processes, find_processes
from shared.services.programs import Program, own_programs
from shared.services.redis import RedisServer, can_ping, write_config
from shared.services.secret import new_password
from shared.settings import Settings
from shared.store import Trial

# The machine may be busy with other things: these end a test that hangs, they do not measure.
PATIENCE_SECONDS = 120.0
TERMINAL = ("succeeded", "failed", "cancelled")

# Half a second an epoch on an idle core: small batches make many steps.
SLOW_TRAINING = "batch_size = 4\npatience = 1000\n"
ONE_TRIAL = f"""
[grid]
merge = ["concatenate"]
embedding_size = [8]
dense_layers = [[4, 1]]

[training]
{SLOW_TRAINING}max_epochs = 12
"""

T = TypeVar("T")
# What the tests found out, shown at the end of the suite.
MEASURED: list[str] = []


def wait_for(look: Callable[[], T | None], what: str, timeout_seconds: float = PATIENCE_SECONDS) -> T:
    """The first thing that `look` gives that is true; fails the test when there is none in time."""
    deadline = time.monotonic() + timeout_seconds
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout_seconds:.0f} s: {what}")
        time.sleep(0.05)


@cache
def sample() -> Dataset:
    return generate_sample()


class Server:
    """A process that is stopped and started again at the same place."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self.process: subprocess.Popen[bytes] | None = None

    def _popen(
        self, command: Sequence[str], cwd: Path, uid: int | None = None, gid: int | None = None
    ) -> None:
        with self._log.open("ab") as output:
            self.process = subprocess.Popen(
                command,
                cwd=cwd,
                stdout=output,
                stderr=output,
                start_new_session=True,
                user=uid,
                group=gid,
                extra_groups=None if uid is None else [],
            )

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def send(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def stop(self, number: signal.Signals) -> None:
        """Send the signal and wait for the end."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)
            self.process.wait(timeout=60)


class Postgres(Server):
    def __init__(self, folder: Path) -> None:
        super().__init__(folder / "postgres.log")
        passwords = {"password": new_password(), "admin_password": new_password()}
        self.server: PostgresServer = locate_server(folder, None, port=free_port(), **passwords)
        self.folder = folder
        prepare_data(self.server, sync=False)

    def start(self) -> None:
        account = self.server.account
        (self.server.data / "postmaster.pid").unlink(missing_ok=True)
        ids = (account.uid, account.gid) if account else (None, None)
        self._popen([*self.server.command(), "-c", "fsync=off"], self.server.home, *ids)
        wait_for(lambda: can_connect(self.server.url) is None, "Postgres answers")

    def kill(self) -> None:
        """All its processes, as when the machine goes."""
        self.stop(signal.SIGKILL)
        end_processes(find_processes(self.folder, [self.server.data]), signal.SIGKILL, timeout_seconds=10)

    def stop_fast(self) -> None:
        self.stop(signal.SIGINT)


class Redis(Server):
    def __init__(self, folder: Path) -> None:
        super().__init__(folder / "redis.log")
        self.server = RedisServer(folder / "redis", free_port(), new_password())
        write_config(self.server)

    def start(self) -> None:
        self._popen(self.server.command(), self.server.home)
        wait_for(lambda: can_ping(self.server.url) is None, "Redis answers")


class Worker(Server):
    """One Celery worker, started as the supervisor does it."""

    def __init__(self, program: Program, state_dir: Path, hostname: str) -> None:
        super().__init__(state_dir / "worker.log")
        self.program, self.state_dir, self.hostname = program, state_dir, hostname

    def start(self) -> None:
        self._popen(self.program.command, self.state_dir)

    @property
    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def wait_until_ready(self, n_times: int = 1) -> None:
        wait_for(lambda: self.log.count(" ready.") >= n_times, f"{self.hostname} is ready")

    def task_processes(self) -> list[psutil.Process]:
        """Its task processes, not the resource tracker of multiprocessing."""
        assert self.process is not None
        with contextlib.suppress(psutil.NoSuchProcess):
            children = psutil.Process(self.process.pid).children()
            return [child for child in children if _is_task_process(child)]
        return []

    def end(self) -> None:
        """Kill it with everything that it started."""
        if self.process is None:
            return
        with contextlib.suppress(psutil.NoSuchProcess):
            for child in psutil.Process(self.process.pid).children(recursive=True):
                with contextlib.suppress(psutil.NoSuchProcess):
                    child.kill()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(timeout=30)


def _is_task_process(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.Error):
        return process.status() != psutil.STATUS_ZOMBIE and "spawn_main" in " ".join(process.cmdline())
    return False


@dataclass
class Servers:
    """One Postgres and one Redis for all tests; a test that stops one need not start it again."""

    postgres: Postgres
    redis: Redis

    def ensure(self) -> None:
        for server in (self.postgres, self.redis):
            if not server.is_running:
                server.start()
            else:
                server.send(signal.SIGCONT)


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
        programs = own_programs(settings, settings.state_dir, endpoints, n_processes, free_port())
        return Worker(next(one for one in programs if one.name == name), settings.state_dir, state)

    def dispatch(self, sweep: str, name: str = "chaos") -> int:
        """Store and publish a sweep given as the text of a sweep file; gives its sweep_id."""
        file = self.folder / f"{name}.toml"
        file.write_text(sweep)
        spec = read_spec(file)
        stored, _ = dispatch(self.engine, self.broker_url, self.artifacts_url, spec, sample(), fresh=False)
        return stored.sweep_id

    def trials(self, sweep_id: int) -> list[Trial]:
        return store.sweep_trials(self.engine, sweep_id)

    def trial(self, sweep_id: int, label: str = "") -> Trial:
        """The one trial that is no baseline, or the one of this label."""
        trials = self.trials(sweep_id)
        (found,) = [one for one in trials if (one.label == label if label else one.config.baseline is None)]
        return found

    def select(self, statement: str, **parameters: object) -> list[tuple[object, ...]]:
        with self.engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(statement), parameters)]

    def wait_for_epoch(self, trial_id: int, epoch: int) -> None:
        statement = "select 1 from epochs where trial_id = :trial_id and epoch >= :epoch"
        wait_for(
            lambda: self.select(statement, trial_id=trial_id, epoch=epoch),
            f"trial {trial_id} has finished epoch {epoch}",
        )

    def wait_for_attempt(
        self, trial_id: int, attempt: int, timeout_seconds: float = PATIENCE_SECONDS
    ) -> None:
        statement = (
            "select 1 from trials where trial_id = :trial_id and attempt >= :attempt and status = 'running'"
        )
        wait_for(
            lambda: self.select(statement, trial_id=trial_id, attempt=attempt),
            f"attempt {attempt} of trial {trial_id} runs",
            timeout_seconds,
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
            (select count(*) from metrics where metrics.trial_id = trials.trial_id and name = 'rmse'),
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


@contextlib.contextmanager
def paused(process: psutil.Process | Server) -> Iterator[None]:
    process.send_signal(signal.SIGSTOP) if isinstance(process, psutil.Process) else process.send(
        signal.SIGSTOP
    )
    try:
        yield
    finally:
        with contextlib.suppress(psutil.NoSuchProcess, ProcessLookupError):
            if isinstance(process, psutil.Process):
                process.send_signal(signal.SIGCONT)
            else:
                process.send(signal.SIGCONT)


def make_database(servers: Servers, name: str) -> str:
    """A new database with the schema; gives its URL."""
    admin = create_engine(servers.postgres.server.url.rpartition("/")[0] + "/postgres")
    with admin.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"create database {name}"))
    admin.dispose()
    url = servers.postgres.server.url.rpartition("/")[0] + f"/{name}"
    engine = create_engine(url)
    upgrade_schema(engine)
    engine.dispose()
    return url
