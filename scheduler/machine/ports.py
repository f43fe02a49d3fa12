"""TCP ports on the loopback interface: chosen once, kept over restarts, or fixed by the person."""

import logging
import random
import socket
from collections.abc import Mapping, Sequence

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.errors import ServiceError
from shared.settings import PROJECT_ROOT

LOOPBACK = "127.0.0.1"
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


def requested_ports() -> dict[str, int]:
    """Service name to the port a person fixed for it."""
    try:
        requested = RequestedPorts()
    except ValidationError as error:
        first = error.errors()[0]
        name = "_".join(str(part) for part in first["loc"]).upper()
        raise ServiceError(f"environment variable {name}: {first['msg']}; got {first['input']!r}") from error
    return {name.removesuffix("_port"): port for name, port in requested if port is not None}


def is_port_free(port: int) -> bool:
    """Whether a server could listen on the loopback port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As the servers do: connections that are closing do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def free_port(taken: frozenset[int] = frozenset()) -> int:
    """A loopback port that is free now and not among `taken`."""
    for _ in range(_ATTEMPTS):
        port = random.SystemRandom().randint(_FIRST_PORT, _LAST_PORT)
        if port not in taken and is_port_free(port):
            return port
    raise ServiceError(f"no free port found between {_FIRST_PORT} and {_LAST_PORT} on {LOOPBACK}")


def choose_ports(names: Sequence[str], remembered: Mapping[str, int]) -> dict[str, int]:
    """A port for every named service, for services that are down: fixed, remembered or any free one."""
    requested = requested_ports()
    chosen: dict[str, int] = {}
    for name in names:
        if name in requested:
            if not is_port_free(requested[name]):
                raise _port_taken(name, requested[name])
            chosen[name] = requested[name]
            continue
        port = remembered.get(name)
        if port is None or port in chosen.values() or not is_port_free(port):
            others = frozenset([*chosen.values(), *requested.values()])
            chosen[name] = free_port(others)
            if port is not None:
                logger.warning("port %d is taken: %s now listens on %d", port, name, chosen[name])
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


def _port_taken(name: str, port: int) -> ServiceError:
    """The error for a port that a person fixed and another program holds."""
    variable = f"{name.upper()}_PORT"
    return ServiceError(
        f"{variable}={port}: another program listens on {LOOPBACK}:{port}; "
        f"end it, or choose another {variable} (unset: any free port)"
    )
