"""Runs `make` as a person does, on a state folder of its own."""

import csv
import io
import os
import subprocess
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from pathlib import Path

import psycopg2
import pytest

from scheduler.machine import find_endpoints
from scheduler.stack.env_file import read_env_file
from shared.cores import count_cores
from shared.settings import Settings

ROOT = Path(__file__).parents[2]
Make = Callable[..., subprocess.CompletedProcess[str]]

# What decides where recsweep looks; a test must not inherit it from the person who runs it.
_OWN_SETTINGS = (
    "DATABASE_URL",
    "BROKER_URL",
    "ARTIFACT_URL",
    "DATA_DIR",
    "DATASET",
    "SWEEP",
    "FRESH",
    "STOPPING",
    *("SEARCH", "N", "BUDGET", "SEED"),
    "WORKERS",
)


@pytest.fixture(scope="session")
def make_environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    environment = {name: value for name, value in os.environ.items() if name not in _OWN_SETTINGS}
    from_file = read_env_file(ROOT / ".env")
    named = [name for name in _OWN_SETTINGS if name != "ARTIFACT_URL" and from_file.get(name)]
    if named:
        pytest.exit(f"the tests would take {', '.join(named)} from .env: move that file aside", returncode=2)
    state_dir = tmp_path_factory.mktemp("state folder") / "recsweep"
    environment["STATE_DIR"] = str(state_dir)
    environment["ARTIFACT_URL"] = (state_dir / "artifacts").as_uri()
    environment["COLUMNS"] = "160"
    return environment


@pytest.fixture(scope="session")
def make(make_environment: dict[str, str]) -> Iterator[Make]:
    """`make("sweep", "SWEEP=smoke")`; the services that it starts are stopped at the end."""

    def run(
        *arguments: str, environment: dict[str, str] | None = None, timeout_seconds: float = 240
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["make", "--no-print-directory", *arguments],
            cwd=ROOT,
            env={**make_environment, **(environment or {})},
            capture_output=True,
            text=True,
            timeout=timeout_seconds,
            check=False,
            stdin=subprocess.DEVNULL,
        )

    yield run
    run("clean", "YES=1")


def ask_all(make: Make, commands: Sequence[Sequence[str]]) -> list[subprocess.CompletedProcess[str]]:
    """The answers to commands that change nothing, several asked at once: each takes a second to load."""
    with ThreadPoolExecutor(count_cores()) as pool:
        return list(pool.map(lambda command: make(*command), commands))


@pytest.fixture
def embedded_database(make: Make, make_environment: dict[str, str]) -> str:
    """URL of the database that `make` started."""
    own = {"_env_file": None, "database_url": None, "broker_url": None}
    return find_endpoints(Settings(state_dir=Path(make_environment["STATE_DIR"]), **own)).database_url


@pytest.fixture
def select(embedded_database: str) -> Callable[[str], list[dict[str, str]]]:
    """Rows of one SQL statement, as text."""
    return partial(select_text, embedded_database)


def select_text(database_url: str, statement: str) -> list[dict[str, str]]:
    """Past `make psql`, which gives the same and takes seconds to load."""
    text = io.StringIO()
    with (
        closing(psycopg2.connect(database_url.replace("+psycopg2", ""))) as connection,
        connection.cursor() as cursor,
    ):
        cursor.copy_expert(f"copy ({statement}) to stdout with csv header", text)
    return list(csv.DictReader(io.StringIO(text.getvalue())))
