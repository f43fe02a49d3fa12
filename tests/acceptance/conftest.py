"""Runs `make` as a person does, on a state folder of its own."""

import csv
import io
import os
import subprocess
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from scheduler.stack.env_file import read_env_file
from shared.cores import count_cores
from tests.real_data import data_dir_with

ROOT = Path(__file__).parents[2]
_MERGES = ("concatenate", "multiply", "average", "dot")
LABELS = [f"{merge}_8_4_1_epochs2" for merge in _MERGES]
_SWEEP = """
[grid]
merge = {merges}
embedding_size = [8]
dense_layers = [[4, 1]]
[training]
max_epochs = {max_epochs}
[protocol]
embedding_rows = "max_id"
"""
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


@pytest.fixture(scope="session")
def two_sweeps(make: Make, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Output by name of `earlier`, a sweep of one small model, and `real`, one of LABELS, on the same data.

    MovieLens 1M where DATA_DIR holds it, else the sample.
    """
    folder = tmp_path_factory.mktemp("sweeps")
    (folder / "earlier.toml").write_text(_SWEEP.format(merges=["average"], max_epochs=1))
    (folder / "real.toml").write_text(_SWEEP.format(merges=list(_MERGES), max_epochs=2))
    data_dir = data_dir_with("ml-1m")
    data = ("DATASET=ml-1m", f"DATA_DIR={data_dir}") if data_dir else ("DATASET=sample",)
    outputs = {}
    for name in ("earlier", "real"):
        result = make("sweep", f"SWEEP={folder / name}.toml", *data)
        assert result.returncode == 0, result.stdout + result.stderr
        outputs[name] = result.stdout
    return outputs


def ask_all(make: Make, commands: Sequence[Sequence[str]]) -> list[subprocess.CompletedProcess[str]]:
    """The answers to commands that change nothing, several asked at once: each takes a second to load."""
    with ThreadPoolExecutor(count_cores()) as pool:
        return list(pool.map(lambda command: make(*command), commands))


@pytest.fixture
def select(make: Make) -> Callable[[str], list[dict[str, str]]]:
    """Rows of one SQL statement, by `make psql`."""

    def run(statement: str) -> list[dict[str, str]]:
        result = make("psql", f"C=copy ({statement}) to stdout with csv header")
        assert result.returncode == 0, result.stderr
        return list(csv.DictReader(io.StringIO(result.stdout)))

    return run
