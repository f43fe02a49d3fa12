"""The embedded services as a person meets them: started, killed, changed and stopped for real."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import psycopg2
import pytest
import redis

from shared.errors import ServiceError
from shared.services import (
    Endpoints,
    clean_services,
    ensure_services,
    find_endpoints,
    programs,
    psql_command,
    reachability,
    services_status,
    stop_services,
)
from shared.services.places import outside_home
from shared.services.processes import MARKER
from shared.settings import PROJECT_ROOT, Settings

_NAMES = ("postgres", "redis", "watcher", "flower", "worker", "supervisor")
# Blanks, comment signs of the supervisor, a percent sign, quotes, accents; longer than a socket path.
_ODD_NAME = "a b #c ;d 100%s é'\"ü " + "long" * 40


@pytest.fixture(autouse=True, scope="module")
def _clear_environment() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as monkeypatch:
        for name in ("DATABASE_URL", "BROKER_URL", "POSTGRES_PORT", "REDIS_PORT", "FLOWER_PORT", "STATE_DIR"):
            monkeypatch.delenv(name, raising=False)
        yield


@contextlib.contextmanager
def _settings_maker() -> Iterator[Callable[..., Settings]]:
    root = Path(tempfile.mkdtemp(prefix="recsweep-services-"))
    root.chmod(0o755)
    made = []

    def make(folder: str = "clone", **values: str) -> Settings:
        settings = Settings.model_validate({"state_dir": root / folder / ".recsweep", **values})
        made.append(settings)
        return settings

    yield make
    for settings in made:
        clean_services(settings)
        assert processes_of(settings.state_dir) == []
        assert not outside_home(settings.state_dir.resolve()).exists()
    shutil.rmtree(root)


@pytest.fixture
def make_settings() -> Iterator[Callable[..., Settings]]:
    """Settings for state folders that are cleaned up, whatever a test left running in them."""
    with _settings_maker() as make:
        yield make


@pytest.fixture
def settings(make_settings: Callable[..., Settings]) -> Settings:
    return make_settings()


@pytest.fixture(scope="module")
def running() -> Iterator[Settings]:
    """Services of one worker that several tests use and leave running."""
    with _settings_maker() as make:
        settings = make()
        keep_something(ensure_services(settings, n_workers=1))
        yield settings


def processes_of(state_dir: Path) -> list[psutil.Process]:
    """Live processes that hold the state folder's name in their environment, command or working folder."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            places = [*process.cmdline(), process.cwd(), process.environ().get(MARKER, "")]
            is_ours = any(str(place).startswith(str(state_dir)) for place in places)
            if is_ours and process.status() != psutil.STATUS_ZOMBIE and process.pid != os.getpid():
                found.append(process)
    return found


def pid_of(settings: Settings, name: str) -> int:
    return next(status.pid for status in services_status(settings) if status.name == name and status.pid)


def _pids(settings: Settings) -> dict[str, int | None]:
    return {status.name: status.pid for status in services_status(settings)}


def query(endpoints: Endpoints, statement: str) -> list[tuple[object, ...]]:
    dsn = endpoints.database_url.replace("+psycopg2", "")
    with contextlib.closing(psycopg2.connect(dsn)) as connection, connection.cursor() as cursor:
        cursor.execute(statement)
        rows = cursor.fetchall() if cursor.description else []
        connection.commit()
        return rows


def keep_something(endpoints: Endpoints) -> None:
    query(endpoints, "create table kept as select 7 as n")
    with redis.Redis.from_url(endpoints.broker_url) as client:
        client.set("kept", "7")
        client.execute_command("waitaof", 1, 0, 5000)


def assert_kept(endpoints: Endpoints) -> None:
    assert query(endpoints, "select n from kept") == [(7,)]
    with redis.Redis.from_url(endpoints.broker_url) as client:
        assert client.get("kept") == b"7"


def test_all_services_run_and_are_listed(running: Settings) -> None:
    statuses = {status.name: status for status in services_status(running)}
    assert {name: status.state for name, status in statuses.items()} == dict.fromkeys(_NAMES, "running")
    endpoints = find_endpoints(running)
    assert f"@{statuses['postgres'].address}/" in endpoints.database_url
    assert f"@{statuses['redis'].address}/" in endpoints.broker_url
    assert endpoints.flower_url == f"http://{statuses['flower'].address}"


def test_no_command_line_shows_a_password(running: Settings) -> None:
    endpoints = find_endpoints(running)
    passwords = [urlsplit(url).password for url in (endpoints.database_url, endpoints.broker_url)]
    command_lines = " ".join(" ".join(process.cmdline()) for process in processes_of(running.state_dir))
    assert "valkey-server" in command_lines
    assert not any(password in command_lines for password in passwords if password)


def test_everything_listens_on_the_loopback_only(running: Settings) -> None:
    listening = {
        connection.laddr.ip
        for process in processes_of(running.state_dir)
        for connection in process.net_connections()
        if connection.status == psutil.CONN_LISTEN
    }
    assert listening == {"127.0.0.1"}


def test_files_with_secrets_are_private(running: Settings) -> None:
    folder = running.state_dir
    files = [
        *folder.glob("*.json"),
        *folder.glob("*.conf"),
        *folder.glob("*/*.json"),
        *folder.glob("*/*.conf"),
    ]
    assert {path.name for path in files} >= {"services.json", "supervisor.conf", "redis.conf", "worker.json"}
    assert [path for path in files if path.stat().st_mode & 0o077] == []


def test_psql_reaches_the_database_without_a_password_on_its_command_line(running: Settings) -> None:
    command, environment = psql_command(running)
    done = subprocess.run(
        [*command, "-Atc", "select current_user, current_database()"],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "recsweep|recsweep"
    assert environment["PGPASSWORD"] not in " ".join(command)


def test_second_call_is_quick_and_changes_nothing(running: Settings) -> None:
    first = ensure_services(running)
    pids = _pids(running)
    began = time.monotonic()
    assert ensure_services(running) == first
    assert time.monotonic() - began < 1.0
    assert _pids(running) == pids


def test_another_number_of_workers_restarts_only_the_worker(running: Settings) -> None:
    before = _pids(running)
    ensure_services(running, n_workers=2)
    after = _pids(running)
    assert [name for name in before if before[name] != after[name]] == ["worker"]


def test_changed_code_restarts_what_runs_it(running: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    before = _pids(running)
    monkeypatch.setattr(programs, "code_version", lambda: "0.0.0+edited")
    ensure_services(running)
    after = _pids(running)
    assert {name for name in before if before[name] != after[name]} == {"worker", "watcher", "flower"}


def test_two_calls_at_once_share_one_set_of_services(settings: Settings) -> None:
    results: list[Endpoints] = []
    threads = [
        threading.Thread(target=lambda: results.append(ensure_services(settings, n_workers=0)))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 2
    assert results[0] == results[1]
    names = [process.name() for process in processes_of(settings.state_dir)]
    assert names.count("valkey-server") == 1


@pytest.mark.parametrize("victim", ["postgres", "redis", "supervisor"])
def test_a_killed_service_comes_back_with_its_data(running: Settings, victim: str) -> None:
    old = pid_of(running, victim)
    os.kill(old, signal.SIGKILL)
    psutil.wait_procs([psutil.Process(old)] if psutil.pid_exists(old) else [], timeout=5)
    assert_kept(ensure_services(running))
    assert pid_of(running, victim) != old
    names = [process.name() for process in processes_of(running.state_dir)]
    assert names.count("valkey-server") == 1


def test_everything_killed_and_a_reused_pid_in_the_pid_file_is_recovered(settings: Settings) -> None:
    keep_something(ensure_services(settings, n_workers=1))
    victims = processes_of(settings.state_dir)
    for process in victims:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(victims, timeout=5)
    # As after a reboot: the id in the file now belongs to a live process of the same account.
    pid_file = settings.state_dir / "postgres" / "data" / "postmaster.pid"
    _, _, rest = pid_file.read_text().partition("\n")
    account = pid_file.stat()
    with contextlib.ExitStack() as stack:
        other = subprocess.Popen(
            ["/bin/sleep", "60"], user=account.st_uid if os.geteuid() == 0 else None, cwd="/"
        )
        stack.callback(other.wait)
        stack.callback(other.kill)
        pid_file.write_text(f"{other.pid}\n{rest}")
        assert_kept(ensure_services(settings, n_workers=0))
        assert other.poll() is None


def test_an_odd_long_path_below_a_closed_folder_works(make_settings: Callable[..., Settings]) -> None:
    settings = make_settings(f"{_ODD_NAME}/{'deep' * 40}")
    clone = settings.state_dir.parent
    clone.mkdir(parents=True)
    clone.parent.chmod(0o700)
    keep_something(ensure_services(settings, n_workers=1))
    stop_services(settings)
    assert_kept(ensure_services(settings, n_workers=0))
    if os.geteuid() == 0:
        assert (outside_home(settings.state_dir.resolve()) / "data").exists()


def test_ports_are_kept_over_restarts_and_given_up_when_taken(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    first = ensure_services(settings, n_workers=0)
    stop_services(settings)
    assert processes_of(settings.state_dir) == []
    with pytest.raises(ServiceError, match="make sweep"):
        find_endpoints(settings)
    assert ensure_services(settings, n_workers=0) == first
    stop_services(settings)
    port = int(first.broker_url.split(":")[-1].split("/")[0])
    with _listening_on(port):
        second = ensure_services(settings, n_workers=0)
    assert second.broker_url != first.broker_url
    assert second.database_url == first.database_url
    assert f"port {port} is taken: redis now listens on" in caplog.text


def test_a_fixed_port_that_is_taken_is_one_clear_error(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with _listening_on(0) as port:
        monkeypatch.setenv("POSTGRES_PORT", str(port))
        with pytest.raises(ServiceError, match=f"POSTGRES_PORT={port}: another program listens"):
            ensure_services(settings, n_workers=0)
    assert processes_of(settings.state_dir) == []


def test_given_urls_start_no_embedded_server(
    make_settings: Callable[..., Settings], empty_database_url: str, broker_url: str
) -> None:
    settings = make_settings("with-urls", database_url=empty_database_url, broker_url=broker_url)
    endpoints = ensure_services(settings, n_workers=1)
    assert (endpoints.database_url, endpoints.broker_url) == (empty_database_url, broker_url)
    states = {status.name: status.state for status in services_status(settings)}
    assert states["postgres"] == states["redis"] == "external"
    assert states["worker"] == states["watcher"] == states["flower"] == "running"
    assert query(endpoints, "select count(*) from trials") == [(0,)]


def test_a_state_folder_that_cannot_be_written_is_one_clear_error(
    make_settings: Callable[..., Settings],
) -> None:
    settings = make_settings()
    settings.state_dir.parent.write_text("a file where the folder should be")
    with pytest.raises(ServiceError, match=r"cannot use the state folder .*: Not a directory"):
        ensure_services(settings, n_workers=0)


def test_given_urls_and_no_workers_start_nothing(
    make_settings: Callable[..., Settings], database_url: str, broker_url: str
) -> None:
    settings = make_settings(database_url=database_url, broker_url=broker_url)
    assert ensure_services(settings, n_workers=0) == Endpoints(database_url, broker_url, None)
    assert processes_of(settings.state_dir) == []


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"database_url": "postgresql://me:secret@127.0.0.1:1/x"}, "no Postgres database at 127.0.0.1:1/x"),
        ({"broker_url": "redis://:secret@127.0.0.1:1/0"}, "no Redis at 127.0.0.1:1/0"),
    ],
)
def test_unreachable_url_is_told_in_time_without_the_password(
    make_settings: Callable[..., Settings],
    monkeypatch: pytest.MonkeyPatch,
    values: dict[str, str],
    message: str,
) -> None:
    assert reachability._PATIENCE_SECONDS + reachability._ATTEMPT_SECONDS < 15
    monkeypatch.setattr(reachability, "_PATIENCE_SECONDS", 0.5)
    with pytest.raises(ServiceError, match=message) as caught:
        ensure_services(make_settings(**values), n_workers=0)
    assert "secret" not in str(caught.value)


@pytest.mark.skipif(os.geteuid() != 0, reason="runs as an ordinary user already")
def test_an_ordinary_user_can_do_the_same(make_settings: Callable[..., Settings]) -> None:
    settings = make_settings(f"{_ODD_NAME}/{'deep' * 40}")
    nobody = 65534
    settings.state_dir.parent.mkdir(parents=True)
    os.chown(settings.state_dir.parent, nobody, nobody)
    script = (
        "import shared.services as s, shared.settings as t; x = t.load_settings(); "
        "s.ensure_services(x, 1); e = s.ensure_services(x, 1); "
        "print(*(f'{i.name}={i.state}' for i in s.services_status(x))); s.stop_services(x)"
    )
    with tempfile.TemporaryDirectory(prefix="recsweep-python-") as copy:
        python, variables = _python_for_everybody(Path(copy))
        done = subprocess.run(
            [python, "-c", script],
            cwd=PROJECT_ROOT,
            env={"PATH": os.environ["PATH"], "STATE_DIR": str(settings.state_dir), **variables},
            user=nobody,
            group=nobody,
            extra_groups=[],
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [f"{name}=running" for name in _NAMES]
    assert {path.owner() for path in settings.state_dir.rglob("*")} == {"nobody"}


def _python_for_everybody(folder: Path) -> tuple[str, dict[str, str]]:
    """This interpreter, copied where everybody can run it when root keeps it in a closed home."""
    packages = next(path for path in sys.path if path.endswith("site-packages"))
    variables = {"PYTHONPATH": f"{PROJECT_ROOT}:{packages}", "PYTHONDONTWRITEBYTECODE": "1"}
    probe = ["/bin/sh", "-c", '"$1" -c ""', "sh", sys.executable]
    if subprocess.run(probe, user=65534, check=False, capture_output=True).returncode == 0:
        return sys.executable, variables
    folder.chmod(0o755)
    base, version = Path(sys.base_prefix), f"python{sys.version_info.major}.{sys.version_info.minor}"
    (folder / "bin").mkdir()
    shutil.copy2(base / "bin" / version, folder / "bin")
    unneeded = shutil.ignore_patterns("site-packages", "test", "idlelib", "config-*", "__pycache__")
    shutil.copytree(base / "lib" / version, folder / "lib" / version, ignore=unneeded)
    for library in (base / "lib").glob("libpython*"):
        shutil.copy2(library, folder / "lib")
    return str(folder / "bin" / version), variables | {"LD_LIBRARY_PATH": str(folder / "lib")}


@contextlib.contextmanager
def _listening_on(port: int) -> Iterator[int]:

    with socket.create_server(("127.0.0.1", port)) as server:
        yield server.getsockname()[1]
