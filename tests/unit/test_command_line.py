"""How a command ends: a mistake, Ctrl-C, a reader that has gone."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

_COMMAND = """
import click, sys, time
from shared.command_line import run_command
from shared.console import console
from shared.errors import SpecError
sys.argv = ["test", *sys.argv[1:]]

@click.command()
@click.option("--workers", envvar="WORKERS", type=click.IntRange(min=1))
@click.argument("what")
def command(workers, what):
    if what == "mistake":
        raise SpecError("rule \\x1b[31m\\nand value")
    if what == "socket":
        raise BrokenPipeError(32, "Broken pipe")
    if what == "wait":
        console.print("ready")
        time.sleep(60)
    if what == "encoding":
        console.print("Am\\xe9lie \\u6620")
        sys.stdout.write("\\u6620\\n")
    for number in range(100_000 if what == "many" else 1):
        console.print(f"line {number}")

run_command(command, "test")
"""


def _run(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", _COMMAND, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, **options)


def test_an_expected_error_is_one_line_and_code_2():
    result = _run("mistake")
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == "recsweep: rule \\x1b[31m and value\n"


def test_a_wrong_option_is_one_line_with_the_name_that_a_person_wrote():
    result = _run("x", env={**os.environ, "WORKERS": "0"})
    assert result.returncode == 2
    assert result.stderr == "recsweep: Invalid value for WORKERS: 0 is not in the range x>=1.\n"


def test_help_is_no_error():
    result = _run("--help")
    assert result.returncode == 0
    assert result.stdout.startswith("Usage: test")


@pytest.mark.parametrize("what", ["many", "one", "--help"])
def test_a_reader_that_has_gone_is_no_error(what):
    reading, writing = os.pipe()
    os.close(reading)
    result = subprocess.run(
        [sys.executable, "-c", _COMMAND, what], cwd=ROOT, stdout=writing, stderr=subprocess.PIPE, check=False
    )
    os.close(writing)
    assert (result.returncode, result.stderr) == (0, b"")


def test_a_broken_connection_of_the_command_is_no_success():
    result = _run("socket")
    assert result.returncode == 1
    assert "BrokenPipeError" in result.stderr


def test_a_closed_screen_is_no_error():
    command = ["sh", "-c", '"$@" >&- 2>&-', "sh", sys.executable, "-c", _COMMAND, "one"]
    assert subprocess.run(command, cwd=ROOT, check=False).returncode == 0


def test_what_the_encoding_lacks_is_an_escape():
    result = _run("encoding", env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.splitlines()[:2] == [r"Am\xe9lie \u6620", r"\u6620"]


def test_ctrl_c_is_code_130_without_a_traceback():
    command = [sys.executable, "-c", _COMMAND, "wait"]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (130, "")


@pytest.mark.parametrize("module", ["scheduler", "scheduler.stack", "worker.verify"])
def test_ctrl_c_while_python_imports_is_code_130_without_a_word(module, tmp_path):
    # A package that is imported early, and takes long to.
    name = "json" if module == "scheduler.stack" else "click"
    (tmp_path / f"{name}.py").write_text("import time\nopen('importing', 'w').close()\ntime.sleep(60)\n")
    command = ["sh", "-c", '"$@"', "sh", sys.executable, "-m", module, "status"]
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}:{ROOT}"}
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, start_new_session=True
    ) as process:
        while not (tmp_path / "importing").exists():
            assert process.poll() is None, process.communicate()
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    assert errors == b""
    assert process.returncode in (130, -signal.SIGINT)
