"""Workers on other hosts: other networks, other volumes, and nothing shared but three URLs.

The first host publishes its ports on an address of a network that all can reach, as it would in a cluster;
every other host is a compose project of its own with `deploy/docker-compose.worker.yml`.
"""

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from scheduler.stack.env_file import set_in_env_file
from tests.compose.engine import Engine, say
from tests.compose.object_store import BUCKET, ObjectStore, object_store
from tests.compose.stack import SLOW_SWEEP, Stack, wait_until

N_EPOCHS = 90


@dataclass(frozen=True)
class Host:
    """Another host: a compose project that knows three URLs."""

    name: str
    stack: Stack
    environment: dict[str, str]

    def compose(self, *arguments: str) -> None:
        file = str(self.stack.folder / "deploy" / "docker-compose.worker.yml")
        plugin = subprocess.run(
            ["docker", "compose", "version"], env=self.environment, capture_output=True, check=False
        )
        compose = ["docker", "compose"] if plugin.returncode == 0 else ["docker-compose"]
        command = [*compose, "--project-name", self.name, "--file", file, *arguments]
        # Not in the project's folder: the .env of the first host is not for it.
        done = subprocess.run(
            command, env=self.environment, cwd="/", capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr[-2000:]

    def container(self) -> str:
        [found] = self.stack.containers("worker", project=self.name)
        return str(found["Id"])

    def files(self, folder: str) -> str:
        return self.stack.engine.docker("exec", self.container(), "find", folder, "-type", "f")


@pytest.fixture(scope="module")
def lan(engine: Engine) -> Iterator[str]:
    """An address of this machine that containers of all networks reach, as hosts reach a private network."""
    name = f"recsweep-test-lan-{os.getpid()}"
    engine.docker("network", "create", name)
    try:
        yield engine.docker("network", "inspect", "--format", "{{(index .IPAM.Config 0).Gateway}}", name)
    finally:
        engine.docker("network", "rm", name, is_checked=False)


@pytest.fixture(scope="module")
def store(engine: Engine, lan: str) -> Iterator[ObjectStore]:
    with object_store(engine, lan) as store:
        yield store


@pytest.fixture(scope="module")
def first_host(stack: Stack, lan: str, store: ObjectStore) -> Stack:
    """The stack without workers of its own, published on the network, with its files in the object store."""
    env_file = stack.folder / ".env"
    changes = {"PUBLISH_ADDRESS": lan, "ARTIFACT_URL": f"s3://{BUCKET}/artifacts"} | store.variables
    for name, value in changes.items():
        set_in_env_file(name, value, env_file)
    stack.make("up", "WORKERS=0")
    return stack


@pytest.fixture(scope="module")
def others(first_host: Stack, lan: str, store: ObjectStore) -> Iterator[list[Host]]:
    env = first_host.env
    urls = {
        "DATABASE_URL": f"postgresql://recsweep:{env['POSTGRES_PASSWORD']}@{lan}:{env['POSTGRES_PORT']}/recsweep",
        "BROKER_URL": f"redis://:{env['REDIS_PASSWORD']}@{lan}:{env['REDIS_PORT']}/0",
        "ARTIFACT_URL": f"s3://{BUCKET}/artifacts",
    }
    names = [f"recsweep-test-host{number}-{os.getpid()}" for number in (2, 3)]
    hosts = [Host(name, first_host, first_host.environment | urls | store.variables) for name in names]
    yield hosts
    for host in hosts:
        host.compose("down", "--volumes")


def test_a_trial_goes_on_on_a_third_host_after_the_second_died(
    first_host: Stack, others: list[Host], store: ObjectStore
) -> None:
    second, third = others
    second.compose("up", "--detach", "--no-build")
    sweep = first_host.start_sweep(SLOW_SWEEP.format(max_epochs=N_EPOCHS, random_seed=2))
    wait_until(
        lambda: first_host.trial()[1] == "running" and first_host.trial()[4] >= 10,
        "the second host trains",
        120,
    )
    trial_id, _, _, worker, trained_epochs = first_host.trial()
    assert second.container().startswith((worker or "").split("@")[1].split("/")[0])
    first_host.engine.docker("kill", second.container())
    third.compose("up", "--detach", "--no-build")
    seconds = wait_until(
        lambda: first_host.trial()[2] == 2 and first_host.trial()[4] > trained_epochs,
        "the third goes on",
        120,
    )
    say(f"the third host trains {seconds:.0f} s after the second was killed at epoch {trained_epochs}")
    printed, _ = sweep.communicate(timeout=240)
    assert sweep.returncode == 0, printed
    assert third.container().startswith((first_host.trial()[3] or "").split("@")[1].split("/")[0])
    log = first_host.make("logs", f"TRIAL={_label(first_host, trial_id)}")
    first, second_attempt = log.split("attempt 2 by ")
    assert f"epoch 1/{N_EPOCHS} " in first
    assert f"epoch 1/{N_EPOCHS} " not in second_attempt
    assert f"epoch {N_EPOCHS}/{N_EPOCHS} " in second_attempt


def test_all_files_are_in_the_object_store_and_none_on_a_shared_disk(
    first_host: Stack, others: list[Host], store: ObjectStore
) -> None:
    trial_id = first_host.trial()[0]
    [(model_url, log_url)] = first_host.query(
        f"select model_url, log_url from trials where trial_id = {trial_id}"
    )
    names = store.names("artifacts")
    for url in (model_url, log_url):
        assert url.removeprefix("s3://") in names
    root, uuid = f"{BUCKET}/artifacts/", model_url.removeprefix(f"s3://{BUCKET}/artifacts/").split("/")[0]
    assert any(name.startswith(f"{root}{uuid}/datasets/") for name in names)
    # Of no more use once the result is stored.
    assert not any(name.endswith("/checkpoint.npz") for name in names)
    third = others[1]
    assert third.files("/var/lib/recsweep/artifacts") == ""
    assert third.files("/var/lib/recsweep/cache").count(".npz") == 1


def test_the_model_in_the_object_store_verifies(first_host: Stack) -> None:
    assert "follow from the saved models" in first_host.make("verify", "SWEEP=slow")


def _label(stack: Stack, trial_id: int) -> str:
    [(label,)] = stack.query(f"select label from trials where trial_id = {trial_id}")
    return str(label)
