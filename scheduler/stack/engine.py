"""Docker and compose as commands: find them, run them, ask them what runs."""

import json
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
HEALTHY_TIMEOUT_SECONDS = 300.0
_POLL_SECONDS = 1.0

Container = dict[str, Any]


class StackError(Exception):
    """What a person can correct: printed as one line, exit code 2."""


def find_compose() -> list[str]:
    """Command of Compose v2, else of docker-compose; COMPOSE names another."""
    if not shutil.which("docker"):
        raise StackError("docker is not installed: install Docker Engine; `make sweep` needs no containers")
    output(["docker", "version", "--format", "{{.Server.Version}}"])
    named = os.environ.get("COMPOSE")
    if named:
        return named.split()
    if _runs(["docker", "compose", "version"]):
        return ["docker", "compose"]
    if shutil.which("docker-compose"):
        return ["docker-compose"]
    raise StackError("neither `docker compose` nor `docker-compose` is installed: install Compose v2")


def find_containers(project: str) -> list[Container]:
    """What docker knows of every container of the stack, by name."""
    ids = output(["docker", "ps", "--all", "--quiet", "--no-trunc", *_filters(project)]).split()
    found: list[Container] = json.loads(output(["docker", "inspect", *ids])) if ids else []
    return sorted(found, key=name_of)


def find_running(project: str, service: str) -> list[str]:
    """Ids of the running containers of one service."""
    return output(["docker", "ps", "--quiet", *_filters(project, service)]).split()


def has_containers(project: str) -> bool:
    """Whether the stack has any container, running or not."""
    return bool(output(["docker", "ps", "--all", "--quiet", *_filters(project)]).strip())


def wait_until_healthy(project: str) -> None:
    """Return when every container runs and is healthy; raises StackError after some minutes."""
    deadline = time.monotonic() + HEALTHY_TIMEOUT_SECONDS
    while True:
        waiting = [
            f"{name_of(container)} ({state})"
            for container in find_containers(project)
            if (state := health_of(container)) not in ("healthy", "running")
        ]
        if not waiting:
            return
        if time.monotonic() > deadline:
            raise StackError(
                f"not healthy after {HEALTHY_TIMEOUT_SECONDS:.0f} s: {', '.join(waiting)}; "
                "`docker logs` of it shows why"
            )
        time.sleep(_POLL_SECONDS)


def name_of(container: Container) -> str:
    """The container's name."""
    return str(container["Name"]).lstrip("/")


def health_of(container: Container) -> str:
    """The health of a running container that has one, else its state."""
    state = container["State"]
    health = (state.get("Health") or {}).get("Status")
    return str(health if health and state["Status"] == "running" else state["Status"])


def addresses_of(container: Container) -> str:
    """Where its ports are reached from outside."""
    ports = container["NetworkSettings"]["Ports"] or {}
    return ", ".join(f"{one['HostIp']}:{one['HostPort']}" for bound in ports.values() for one in bound or ())


def check(command: list[str]) -> None:
    """Run it before the person's eyes; raises StackError when it fails."""
    if subprocess.call(command, cwd=ROOT) != 0:
        raise StackError(f"`{' '.join(command)}` failed: see above")


def output(command: list[str]) -> str:
    """What it prints; raises StackError with its last words when it fails."""
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        reason = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise StackError(f"`{' '.join(command[:2])}` failed: {reason}")
    return done.stdout


def _runs(command: list[str]) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _filters(project: str, service: str = "") -> list[str]:
    # A container of `docker-compose run` is not part of the stack.
    labels = {"project": project, "oneoff": "False", **({"service": service} if service else {})}
    return [
        word
        for name, value in labels.items()
        for word in ("--filter", f"label=com.docker.compose.{name}={value}")
    ]
