"""Processes are ours by their environment, never by a recorded number alone."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from scheduler.machine.processes import MARKER, end_processes, find_processes, is_alive


@pytest.fixture
def sleeper(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process of the state folder `tmp_path`."""
    with subprocess.Popen(["/bin/sleep", "60"], env={MARKER: str(tmp_path)}) as process:
        yield process
        process.kill()


def test_finds_processes_that_carry_the_mark_of_the_folder(
    tmp_path: Path, sleeper: subprocess.Popen[bytes]
) -> None:
    assert [process.pid for process in find_processes(tmp_path, [])] == [sleeper.pid]


def test_leaves_processes_of_other_folders_alone(tmp_path: Path, sleeper: subprocess.Popen[bytes]) -> None:
    assert find_processes(tmp_path / "other", []) == []
    assert sleeper.poll() is None


def test_a_person_working_in_a_data_folder_is_not_ours(tmp_path: Path) -> None:
    with subprocess.Popen(["/bin/sleep", "60"], cwd=tmp_path) as process:
        try:
            assert find_processes(tmp_path, [tmp_path]) == []
        finally:
            process.kill()


def test_the_caller_and_its_parents_are_never_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = (
        "from pathlib import Path; from scheduler.machine.processes import find_processes;"
        f"print(find_processes(Path({str(tmp_path)!r}), []))"
    )
    monkeypatch.setenv(MARKER, str(tmp_path))
    command = ["/bin/sh", "-c", '"$@"; true', "sh", sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_zombie_counts_as_dead(tmp_path: Path, sleeper: subprocess.Popen[bytes]) -> None:
    [process] = find_processes(tmp_path, [])
    sleeper.send_signal(signal.SIGKILL)
    # Wait for its end without reaping it.
    os.waitid(os.P_PID, sleeper.pid, os.WEXITED | os.WNOWAIT)
    assert not is_alive(process)
    assert find_processes(tmp_path, []) == []


def test_another_process_with_the_same_number_is_not_signalled(
    tmp_path: Path, sleeper: subprocess.Popen[bytes]
) -> None:
    [process] = find_processes(tmp_path, [])
    # What is remembered of a process that had this number before.
    process._ident = (process.pid, 1.0)
    end_processes([process], signal.SIGKILL, timeout_seconds=0.1)
    assert sleeper.poll() is None


def test_a_process_that_ignores_the_signal_is_killed(tmp_path: Path) -> None:
    command = ["/bin/sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.1; done"]
    with subprocess.Popen(command, env={MARKER: str(tmp_path)}, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        ours = [found for found in find_processes(tmp_path, []) if found.pid == process.pid]
        end_processes(ours, signal.SIGTERM, timeout_seconds=0.2)
        assert process.wait() == -signal.SIGKILL
