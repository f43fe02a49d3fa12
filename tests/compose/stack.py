"""The stack under test: its containers, its database, its make targets."""

import json
import subprocess
import time
import urllib.request
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import psycopg2

from scheduler.stack.env_file import read_env_file
from tests.compose.engine import Engine

# Of the sample, and of every list.
N_USERS = 940
K = 20
# About half a minute of training on the sample data with one core, longer than it takes to break something.
SLOW_SWEEP = """
name = "slow"
[grid]
merge = ["concatenate"]
embedding_size = [16]
dense_layers = [[8, 1]]
[training]
max_epochs = {max_epochs}
patience = {max_epochs}
batch_size = 8
random_seed = {random_seed}
"""


@dataclass(frozen=True)
class Stack:
    """A copy of the project whose containers run."""

    folder: Path
    environment: dict[str, str]
    engine: Engine

    @property
    def env(self) -> dict[str, str]:
        """The variables of its .env."""
        return read_env_file(self.folder / ".env")

    def make(self, *arguments: str, timeout_seconds: float = 300, is_checked: bool = True) -> str:
        """What a make target prints; fails with it unless it exits with 0."""
        done = subprocess.run(
            ["make", "--no-print-directory", *arguments],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout_seconds,
            check=False,
        )
        assert not is_checked or done.returncode == 0, done.stdout[-3000:]
        return done.stdout

    def start_sweep(self, spec: str) -> "subprocess.Popen[str]":
        """`make sweep` of this sweep file on the sample data, not waited for."""
        path = self.folder / "under_test.toml"
        path.write_text(spec)
        return subprocess.Popen(
            ["make", "--no-print-directory", "sweep", f"SWEEP={path}", "DATASET=sample"],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def containers(self, service: str = "", project: str = "") -> list[dict[str, Any]]:
        """What docker knows of the containers, running or not, of one service."""
        labels = [f"label=com.docker.compose.project={project or self.env['COMPOSE_PROJECT_NAME']}"]
        labels += [f"label=com.docker.compose.service={service}"] if service else []
        filters = [word for label in labels for word in ("--filter", label)]
        ids = self.engine.docker("ps", "--all", "--quiet", *filters).split()
        found: list[dict[str, Any]] = json.loads(self.engine.docker("inspect", *ids)) if ids else []
        return found

    def running(self, service: str) -> list[dict[str, Any]]:
        """Those that run."""
        return [one for one in self.containers(service) if one["State"]["Running"]]

    def execute(self, service: str, *command: str) -> str:
        """What a command in the first container of a service prints."""
        return self.engine.docker("exec", self.running(service)[0]["Id"], *command)

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        """Rows, asked from outside the containers by way of the published port."""
        connection = psycopg2.connect(
            host=self.env["PUBLISH_ADDRESS"],
            port=self.env["POSTGRES_PORT"],
            user="recsweep",
            password=self.env["POSTGRES_PASSWORD"],
            dbname="recsweep",
            connect_timeout=5,
        )
        try:
            with connection.cursor() as cursor:
                cursor.execute(statement)
                return list(cursor.fetchall())
        finally:
            connection.close()

    def ask(
        self, port_name: str, path: str, *, password: str = "", data: bytes | None = None
    ) -> tuple[int, str]:
        """Status and body of a page of Flower or the watcher."""
        url = f"http://{self.env['PUBLISH_ADDRESS']}:{self.env[port_name]}{path}"
        request = urllib.request.Request(url, data=data)
        if password:
            request.add_header(
                "Authorization", "Basic " + b64encode(f"recsweep:{password}".encode()).decode()
            )
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return answer.status, answer.read().decode()
        except HTTPError as error:
            return error.code, error.read().decode()

    def trial(self) -> tuple[int, str, int, str | None, int]:
        """trial_id, status, attempt, worker and last epoch of the newest architecture's trial."""
        [row] = self.query("""
            select trial_id, status, attempt, worker,
                (select coalesce(max(epoch), 0) from epochs where epochs.trial_id = trials.trial_id)
            from trials where not is_baseline order by trial_id desc limit 1
        """)
        return row  # type: ignore[return-value]

    def worker_of_trial(self) -> dict[str, Any]:
        """The container that trains the newest trial: the worker's host name is the container's short id."""
        host = (self.trial()[3] or "").split("@")[-1].split("/")[0]
        return next(one for one in self.containers("worker") if one["Id"].startswith(host))


def wait_until(condition: Callable[[], bool], what: str, timeout_seconds: float = 120) -> float:
    """Seconds until the condition held; fails with `what` when it does not come true."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < timeout_seconds, f"not within {timeout_seconds:.0f} s: {what}"
        time.sleep(0.5)
    return time.monotonic() - began
