"""A real stack from the real files, in a copy of the project, driven with `make` as a person does.

Runs with `make test-compose` alone: it takes minutes and may install and start a Docker engine.
"""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.compose.engine import SAID, Engine, NoEngine, running_engine, say
from tests.compose.images import base_images
from tests.compose.stack import Stack
from tests.project_copy import copy_project

ROOT = Path(__file__).parents[2]


def pytest_ignore_collect(config: pytest.Config) -> bool | None:
    """Only when named: `pytest tests/compose`."""
    return None if any("tests/compose" in str(argument) for argument in config.args) else True


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What was done, and measured times."""
    for line in SAID:
        terminalreporter.write_line(line)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The first test waits for images to be built."""
    for item in items:
        item.add_marker(pytest.mark.timeout(900))


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    try:
        with running_engine() as engine, base_images(engine):
            yield engine
    except NoEngine as error:
        say(f"NOT RUN: {error}")
        pytest.skip(f"no containers on this machine: {error}")


@pytest.fixture(scope="session")
def stack(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """`make up WORKERS=2` in a copy of the project; everything of it is removed at the end."""
    folder = tmp_path_factory.mktemp("clone") / "recsweep"
    copy_project(ROOT, folder)
    settings = ("DATABASE_URL", "BROKER_URL", "ARTIFACT_URL", "STATE_DIR", "DATA_DIR", "WORKERS", "SWEEP")
    environment = {name: value for name, value in engine.environment.items() if name not in settings}
    # A tag of our own: an image of the person who runs the tests is left alone.
    environment |= {"RECSWEEP_VERSION": "compose-test", "COLUMNS": "160"}
    stack = Stack(folder, environment, engine)
    example = (folder / ".env.example").read_text()
    (folder / ".env").write_text(example.replace("WORKER_MEMORY=2g", "WORKER_MEMORY=1200m"))
    try:
        say("building the image and starting the stack")
        stack.make("up", "WORKERS=2", timeout_seconds=800)
        say("the stack is up")
        yield stack
    finally:
        if os.environ.get("KEEP_STACK"):
            say(f"kept: {folder}")
        else:
            stack.make("down", "VOLUMES=1", is_checked=False)
            engine.docker("rmi", "--force", "recsweep:compose-test", is_checked=False)
            subprocess.run(["rm", "-rf", str(folder)], check=False)
            say("removed the stack and its image")
