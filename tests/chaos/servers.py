"""Servers and workers of the chaos tests: real processes that can be killed, paused and started again."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil
from sqlalchemy import text

from scheduler.machine.ports import free_port
from scheduler.machine.postgres import PostgresServer, can_connect, locate_server, prepare_data
from scheduler.machine.processes import end_processes, find_processes
from scheduler.machine.programs import Program
from scheduler.machine.redis import RedisServer, can_ping, write_config
from scheduler.machine.secret import new_password
from shared.store.database import create_engine
from shared.store.schema import upgrade_schema
from tests.chaos.waiting import PATIENCE_SECONDS, wait_for


class Server:
    """A process that is stopped and started again at the same place."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self.process: subprocess.Popen[bytes] | None = None

    def _popen(
        self, command: Sequence[str], cwd: Path, uid: int | None = None, gid: int | None = None
    ) -> None:
        with self._log.open("ab") as output:
            self.process = subprocess.Popen(
                command,
                cwd=cwd,
                stdout=output,
                stderr=output,
                start_new_session=True,
                user=uid,
                group=gid,
                extra_groups=None if uid is None else [],
            )

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def send(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def stop(self, number: signal.Signals) -> None:
        """Send the signal and wait for the end."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)
            self.process.wait(timeout=PATIENCE_SECONDS)


class Postgres(Server):
    def __init__(self, folder: Path) -> None:
        super().__init__(folder / "postgres.log")
        passwords = {"password": new_password(), "admin_password": new_password()}
        self.server: PostgresServer = locate_server(folder, None, port=free_port(), **passwords)
        self.folder = folder
        prepare_data(self.server, sync=False)

    def start(self) -> None:
        account = self.server.account
        (self.server.data / "postmaster.pid").unlink(missing_ok=True)
        ids = (account.uid, account.gid) if account else (None, None)
        self._popen([*self.server.command(), "-c", "fsync=off"], self.server.home, *ids)
        wait_for(lambda: can_connect(self.server.url) is None, "Postgres answers")

    def kill(self) -> None:
        """All its processes, as when the machine goes."""
        self.stop(signal.SIGKILL)
        end_processes(find_processes(self.folder, [self.server.data]), signal.SIGKILL, timeout_seconds=60)

    def stop_fast(self) -> None:
        self.stop(signal.SIGINT)


class Redis(Server):
    def __init__(self, folder: Path) -> None:
        super().__init__(folder / "redis.log")
        self.server = RedisServer(folder / "redis", free_port(), new_password())
        write_config(self.server)

    def start(self) -> None:
        self._popen(self.server.command(), self.server.home)
        wait_for(lambda: can_ping(self.server.url) is None, "Redis answers")


class Worker(Server):
    """One Celery worker, started as the supervisor does it."""

    def __init__(self, program: Program, state_dir: Path, hostname: str) -> None:
        super().__init__(state_dir / "worker.log")
        self.program, self.state_dir, self.hostname = program, state_dir, hostname

    def start(self) -> None:
        self._popen(self.program.command, self.state_dir)

    @property
    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def wait_until_ready(self, n_times: int = 1) -> None:
        wait_for(lambda: self.log.count(" ready.") >= n_times, f"{self.hostname} is ready")

    def task_processes(self) -> list[psutil.Process]:
        """Its task processes, not the resource tracker of multiprocessing."""
        assert self.process is not None
        with contextlib.suppress(psutil.NoSuchProcess):
            children = psutil.Process(self.process.pid).children()
            return [child for child in children if _is_task_process(child)]
        return []

    def end(self) -> None:
        """Kill it with everything that it started."""
        if self.process is None:
            return
        with contextlib.suppress(psutil.NoSuchProcess):
            for child in psutil.Process(self.process.pid).children(recursive=True):
                with contextlib.suppress(psutil.NoSuchProcess):
                    child.kill()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(timeout=PATIENCE_SECONDS)


def _is_task_process(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.Error):
        return process.status() != psutil.STATUS_ZOMBIE and "spawn_main" in " ".join(process.cmdline())
    return False


@dataclass
class Servers:
    """One Postgres and one Redis for all tests; a test that stops one need not start it again."""

    postgres: Postgres
    redis: Redis

    def ensure(self) -> None:
        for server in (self.postgres, self.redis):
            if not server.is_running:
                server.start()
            else:
                server.send(signal.SIGCONT)


@contextlib.contextmanager
def paused(process: psutil.Process | Server) -> Iterator[None]:
    process.send_signal(signal.SIGSTOP) if isinstance(process, psutil.Process) else process.send(
        signal.SIGSTOP
    )
    try:
        yield
    finally:
        with contextlib.suppress(psutil.NoSuchProcess, ProcessLookupError):
            if isinstance(process, psutil.Process):
                process.send_signal(signal.SIGCONT)
            else:
                process.send(signal.SIGCONT)


def make_database(servers: Servers, name: str) -> str:
    """A new database with the schema; gives its URL."""
    admin = create_engine(servers.postgres.server.url.rpartition("/")[0] + "/postgres")
    with admin.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"create database {name}"))
    admin.dispose()
    url = servers.postgres.server.url.rpartition("/")[0] + f"/{name}"
    engine = create_engine(url)
    upgrade_schema(engine)
    engine.dispose()
    return url
