"""A program that gets the screen and the keys."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from shared.ending import run_in_foreground

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("script", "code"), [("exit 0", 0), ("exit 3", 3), ("kill -TERM $$", 128 + 15), ("kill -PIPE $$", 0)]
)
def test_the_exit_code_is_the_programs_and_success_where_its_reader_has_gone(script, code):
    assert run_in_foreground(["sh", "-c", script], os.environ) == code


def test_it_runs_in_the_folder_and_environment_that_it_is_given(tmp_path):
    script = 'test "$(pwd)" = "$FOLDER"'
    folder = tmp_path.resolve()
    environment = {**os.environ, "FOLDER": str(folder)}
    assert run_in_foreground(["sh", "-c", script], environment, folder) == 0


def test_signals_mean_again_what_they_meant():
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    run_in_foreground(["true"], os.environ)
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_program_and_its_code_comes_back(number):
    # Ctrl-C reaches both, being sent to the group; an ending signal is passed on.
    program = "trap 'exit 7' INT TERM; echo ready; while :; do sleep 0.05; done"
    code = (
        "import os, sys; from shared.ending import run_in_foreground;"
        f"sys.exit(run_in_foreground(['sh', '-c', {program!r}], os.environ))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        if number is signal.SIGINT:
            os.killpg(process.pid, number)
        else:
            process.send_signal(number)
        assert process.wait(timeout=30) == 7
