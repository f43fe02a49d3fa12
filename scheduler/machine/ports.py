"""TCP ports on the loopback interface: chosen once, kept over restarts, or fixed by the person."""

import logging
import os
import random
from collections.abc import Collection, Mapping, Sequence

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from scheduler.free_ports import PortError, find_free_port, why_not
from shared.errors import ServiceError
from shared.settings import PROJECT_ROOT

# Below the range from which systems take the ports of outgoing connections (32768 and up on Linux):
# a remembered port is then rarely taken when the services start again.
_FIRST_PORT, _LAST_PORT = 20_000, 32_000
_ATTEMPTS = 200

logger = logging.getLogger(__name__)


class RequestedPorts(BaseSettings):
    """Ports a person fixed in the environment or `.env`; None means any free one."""

    model_config = SettingsConfigDict(
        env_file=PROJECT_ROOT / ".env", env_ignore_empty=True, extra="ignore", frozen=True
    )

    postgres_port: int | None = Field(default=None, ge=1, le=65535)
    redis_port: int | None = Field(default=None, ge=1, le=65535)
    flower_port: int | None = Field(default=None, ge=1, le=65535)
    dashboard_port: int | None = Field(default=None, ge=1, le=65535)


def requested_ports() -> dict[str, int]:
    """Service name to the port a person fixed for it."""
    try:
        requested = RequestedPorts()
    except ValidationError as error:
        first = error.errors()[0]
        name = "_".join(str(part) for part in first["loc"]).upper()
        raise ServiceError(f"environment variable {name}: {first['msg']}; got {first['input']!r}") from error
    ports = {name.removesuffix("_port"): port for name, port in requested if port is not None}
    for name, port in ports.items():
        same = [f"{other.upper()}_PORT" for other in ports if ports[other] == port]
        if len(same) > 1:
            raise ServiceError(f"{name.upper()}_PORT={port}: {' and '.join(same)} must differ")
    return ports


def free_port(taken: Collection[int] = ()) -> int:
    """A loopback port that is free now and not among `taken`."""
    candidates = random.SystemRandom().sample(range(_FIRST_PORT, _LAST_PORT + 1), _ATTEMPTS)
    try:
        return find_free_port(candidates, taken)
    except PortError as error:
        raise ServiceError(
            f"none of {_ATTEMPTS} ports between {_FIRST_PORT} and {_LAST_PORT} can be used: {error}"
        ) from error


def choose_ports(names: Sequence[str], remembered: Mapping[str, int]) -> dict[str, int]:
    """A port for every named service, for services that are down: fixed, remembered or any free one."""
    requested = requested_ports()
    chosen: dict[str, int] = {}
    for name in names:
        if name in requested:
            _check_requested(name, requested[name])
            chosen[name] = requested[name]
            continue
        others = {*chosen.values(), *requested.values()}
        port = remembered.get(name)
        problem = "chosen for another service" if port in others else port and why_not(port)
        if port is None or problem:
            chosen[name] = free_port(others)
            if port is not None:
                logger.warning("port %d: %s; %s now listens on %d", port, problem, name, chosen[name])
        else:
            chosen[name] = port
    return chosen


def keep_ports(names: Sequence[str], remembered: Mapping[str, int]) -> dict[str, int]:
    """A port for every named service, for services that may be running: as remembered unless fixed anew."""
    requested = requested_ports()
    anew = [
        name
        for name in names
        if name not in remembered or requested.get(name, remembered[name]) != remembered[name]
    ]
    return {name: remembered[name] for name in names if name not in anew} | choose_ports(anew, remembered)


def _check_requested(name: str, port: int) -> None:
    """Raises ServiceError, with the cause, when the service cannot have the port that a person fixed."""
    # As root, all but Postgres run as the caller.
    problem = why_not(port, is_ordinary_account=name == "postgres" and os.geteuid() == 0)
    if problem:
        variable = f"{name.upper()}_PORT"
        raise ServiceError(f"{variable}={port}: {problem}; choose another {variable} (unset: any free port)")
