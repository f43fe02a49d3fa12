"""A start, a change or a clean-up that is killed at any step: the next command ends with all in order."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from scheduler.machine import clean_services, ensure, ensure_services, postgres, stopping
from scheduler.machine.accounts import run_as
from scheduler.machine.patience import ask_until
from scheduler.machine.postgres import can_connect, prepare_data, running_postgres
from scheduler.machine.processes import find_processes, find_servers
from scheduler.machine.supervisor import Supervisor
from shared.settings import PROJECT_ROOT, Settings
from tests.embedded import SERVICE_NAMES, assert_kept, keep_something, pid_of, pids_of, settings_maker

_START = "import scheduler.machine as s, shared.settings as t; s.ensure_services(t.load_settings(), 0)"


@pytest.fixture
def interrupt(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """`interrupt(owner, name)`: what is called by this name is interrupted before (or after) it works."""

    def prepare(owner: object, name: str, *, is_after: bool = False) -> None:
        original = getattr(owner, name)

        def interrupted(*arguments: object, **options: object) -> None:
            if is_after:
                original(*arguments, **options)
            raise KeyboardInterrupt

        monkeypatch.setattr(owner, name, interrupted)

    return prepare


def test_a_start_that_is_killed_amid_initdb_leaves_nothing_in_the_way(settings: Settings) -> None:
    unfinished = settings.state_dir.resolve() / "postgres" / "data.unfinished"
    environment = os.environ | {"STATE_DIR": str(settings.state_dir)}
    with subprocess.Popen([sys.executable, "-c", _START], cwd=PROJECT_ROOT, env=environment) as start:
        orphans = ask_until(lambda: find_servers(unfinished), bool, 60, pause_seconds=0.001)
        # It alone. What it started stands still, so that it is surely there at the next start.
        for orphan in orphans:
            orphan.suspend()
        start.kill()
    assert orphans
    keep_something(ensure_services(settings, n_workers=0))
    assert find_servers(unfinished) == []
    assert_kept(ensure_services(settings, n_workers=0))


@pytest.mark.parametrize("n_programs", [1, 2])
def test_a_cluster_that_was_not_finished_is_made_anew(
    monkeypatch: pytest.MonkeyPatch, n_programs: int, services_folder: Path
) -> None:
    done: list[object] = []

    def run_some(*arguments, **options):
        if len(done) == n_programs:
            raise KeyboardInterrupt
        done.append(arguments)
        return run_as(*arguments, **options)

    folder = services_folder / f"interrupted-{n_programs}"
    folder.mkdir(mode=0o755)
    monkeypatch.setattr(postgres, "run_as", run_some)
    monkeypatch.setattr(Path, "rename", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt), running_postgres(folder):
        pass
    assert not list(folder.rglob("admin-password"))
    monkeypatch.undo()
    with running_postgres(folder) as server:
        prepare_data(server)
        assert can_connect(server.url) is None


@pytest.fixture(scope="module")
def running_with_a_worker() -> Iterator[Settings]:
    with settings_maker() as make:
        settings = make()
        ensure_services(settings, n_workers=1)
        yield settings


@pytest.mark.parametrize("method", ["reloadConfig", "stopProcess", "removeProcessGroup", "addProcessGroup"])
@pytest.mark.parametrize("is_after", [False, True])
def test_a_change_that_is_interrupted_at_any_call_is_made_by_the_next_command(
    running_with_a_worker: Settings, monkeypatch: pytest.MonkeyPatch, method: str, is_after: bool
) -> None:
    settings = running_with_a_worker
    original = Supervisor._call
    before = pids_of(settings)

    def call(self: Supervisor, name: str, *arguments: object) -> object:
        if name == method and not is_after:
            raise KeyboardInterrupt
        answer = original(self, name, *arguments)
        if name == method:
            raise KeyboardInterrupt
        return answer

    n_workers = 2 if _n_workers(settings) == 1 else 1
    monkeypatch.setattr(Supervisor, "_call", call)
    with pytest.raises(KeyboardInterrupt):
        ensure_services(settings, n_workers)
    monkeypatch.setattr(Supervisor, "_call", original)
    ensure_services(settings, n_workers)
    after = pids_of(settings)
    assert _n_workers(settings) == n_workers
    assert [name for name in SERVICE_NAMES if before[name] != after[name]] == ["worker"]


def test_a_supervisor_that_was_started_a_moment_ago_is_taken_over(
    settings: Settings, interrupt: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupt(ensure, "start_supervisor", is_after=True)
    with pytest.raises(KeyboardInterrupt):
        ensure_services(settings, n_workers=0)
    monkeypatch.undo()
    state_dir = settings.state_dir.resolve()
    [supervisor] = find_processes(state_dir, [])
    ensure_services(settings, n_workers=0)
    assert pid_of(settings, "supervisor") == supervisor.pid


def test_a_supervisor_that_a_busy_machine_keeps_waiting_is_not_killed(settings: Settings) -> None:
    ensure_services(settings, n_workers=0)
    before = pids_of(settings)
    pid = pid_of(settings, "supervisor")
    os.kill(pid, signal.SIGSTOP)
    # Longer than one question waits for its answer.
    threading.Timer(6, os.kill, (pid, signal.SIGCONT)).start()
    ensure_services(settings, n_workers=0)
    assert pids_of(settings) == before


def test_a_clean_up_that_is_interrupted_leaves_a_folder_that_starts(
    settings: Settings, interrupt: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    keep_something(ensure_services(settings, n_workers=0))
    interrupt(stopping, "remove_outside")
    with pytest.raises(KeyboardInterrupt):
        clean_services(settings)
    monkeypatch.undo()
    # The worst moment: the passwords went before the rest.
    (settings.state_dir / "services.json").unlink()
    keep_something(ensure_services(settings, n_workers=0))


def _n_workers(settings: Settings) -> int:
    """What the worker that runs, or starts next, is told."""
    command = json.loads((settings.state_dir / "programs" / "worker.json").read_text())["command"]
    return int(command[command.index("--processes") + 1])
