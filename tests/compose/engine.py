"""A Docker engine for the tests: the one that runs, else one of our own in a temporary folder."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_PACKAGES = ("docker.io", "iptables", "cgroupfs-mount", "debootstrap", "docker-compose")
_START_SECONDS = 60.0
_BEGAN = time.monotonic()

SAID: list[str] = []


class NoEngine(Exception):  # noqa: N818  A state of the machine, not a mistake.
    """Why no engine can run here."""


@dataclass(frozen=True)
class Engine:
    """How to reach the engine, and whether it is ours to remove."""

    environment: dict[str, str]
    is_ours: bool

    def docker(self, *arguments: str, stdin: bytes | None = None, is_checked: bool = True) -> str:
        """What `docker <arguments>` prints; fails with its words."""
        done = subprocess.run(
            ["docker", *arguments], env=self.environment, input=stdin, capture_output=True, check=False
        )
        if is_checked and done.returncode != 0:
            raise AssertionError(f"docker {' '.join(arguments)}: {done.stderr.decode()[-2000:]}")
        return done.stdout.decode().strip()


def say(text: str) -> None:
    """Note what was done, with the seconds since the start; pytest's summary shows it."""
    SAID.append(f"{time.monotonic() - _BEGAN:4.0f} s  {text}")


@contextmanager
def running_engine() -> Iterator[Engine]:
    """An engine while entered; raises NoEngine with the reason."""
    # The classic builder is what every engine and docker-compose 1.29 have.
    environment = os.environ | {"DOCKER_BUILDKIT": "0", "COMPOSE_DOCKER_CLI_BUILD": "0"}
    found = Engine(environment, is_ours=False)
    if shutil.which("docker") and _answers(found):
        say("using the Docker engine that runs")
        yield found
        return
    if os.geteuid() != 0:
        raise NoEngine("no Docker engine answers, and only root can start one")
    _install()
    with tempfile.TemporaryDirectory(prefix="recsweep-engine-", ignore_cleanup_errors=True) as folder:
        yield from _own_engine(Path(folder), environment)


def _own_engine(folder: Path, environment: dict[str, str]) -> Iterator[Engine]:
    socket = f"unix://{folder}/docker.sock"
    if not any(Path("/sys/fs/cgroup").iterdir()):
        subprocess.run(["cgroupfs-mount"], check=False)
    command = [
        *("dockerd", "--host", socket, "--data-root", str(folder / "data")),
        *("--exec-root", str(folder / "exec"), "--pidfile", str(folder / "dockerd.pid")),
    ]
    log = folder / "dockerd.log"
    with log.open("wb") as stream:
        process = subprocess.Popen(command, stdout=stream, stderr=stream, start_new_session=True)
    engine = Engine(environment | {"DOCKER_HOST": socket}, is_ours=True)
    try:
        deadline = time.monotonic() + _START_SECONDS
        while not _answers(engine):
            if process.poll() is not None or time.monotonic() > deadline:
                last = (log.read_text(errors="replace").strip().splitlines() or ["it said nothing"])[-1]
                raise NoEngine(f"dockerd does not start: {last}")
            time.sleep(0.2)
        say("started a Docker engine")
        yield engine
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        say("stopped the Docker engine")


def _answers(engine: Engine) -> bool:
    command = ["docker", "version", "--format", "{{.Server.Version}}"]
    done = subprocess.run(command, env=engine.environment, capture_output=True, check=False)
    return done.returncode == 0


def _install() -> None:
    if shutil.which("dockerd") and shutil.which("debootstrap") and shutil.which("docker-compose"):
        return
    if not shutil.which("apt-get"):
        raise NoEngine("no Docker engine is installed, and there is no apt-get to install one")
    say(f"installing {', '.join(_PACKAGES)}")
    install = ["apt-get", "install", "-qy", "--no-install-recommends", *_PACKAGES]
    for command in (["apt-get", "update", "-q"], install):
        environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise NoEngine(f"`{' '.join(command[:2])}` failed: {done.stderr.strip()[-300:]}")
