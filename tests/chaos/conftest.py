"""One Postgres and one Redis for all chaos tests; a database, workers and a watcher for each."""

import itertools
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from scheduler.machine.places import remove_outside
from tests.chaos.cluster import ONE_TRIAL, Cluster, fingerprint
from tests.chaos.servers import Postgres, Redis, Servers, make_database
from tests.chaos.waiting import MEASURED


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest of these tests take many minutes on a slow machine; each wait has its own limit."""
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.timeout(3000))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Measured times."""
    for line in MEASURED:
        terminalreporter.write_line(line)


_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def chaos_folder() -> Iterator[Path]:
    """A folder that also the account of Postgres may enter."""
    folder = Path(tempfile.mkdtemp(prefix="recsweep-chaos-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def servers(chaos_folder: Path) -> Iterator[Servers]:
    servers = Servers(Postgres(chaos_folder), Redis(chaos_folder))
    servers.ensure()
    yield servers
    servers.ensure()
    servers.redis.stop(signal.SIGTERM)
    servers.postgres.kill()
    remove_outside(chaos_folder)


def _empty(servers: Servers) -> None:
    """Both run, and Redis holds no message of another test: trials are numbered from 1 in each."""
    servers.ensure()
    with redis.Redis.from_url(servers.redis.server.url) as client:
        client.config_set("maxmemory", 0)
        client.flushall()


@pytest.fixture
def cluster(servers: Servers, chaos_folder: Path) -> Iterator[Cluster]:
    _empty(servers)
    number = next(_numbers)
    folder = chaos_folder / f"test-{number}"
    folder.mkdir()
    cluster = Cluster(servers, make_database(servers, f"chaos_{number}"), folder)
    yield cluster
    cluster.close()
    servers.ensure()


@pytest.fixture(scope="session")
def undisturbed(servers: Servers, chaos_folder: Path) -> dict[str, object]:
    """The result of the trial of `ONE_TRIAL` when nothing happens to it."""
    folder = chaos_folder / "undisturbed"
    folder.mkdir()
    _empty(servers)
    cluster = Cluster(servers, make_database(servers, "undisturbed"), folder)
    try:
        sweep_id = cluster.dispatch(ONE_TRIAL)
        cluster.add_worker()
        cluster.wait_for_end(sweep_id)
        return fingerprint(cluster, cluster.trial(sweep_id).trial_id)
    finally:
        cluster.close()
