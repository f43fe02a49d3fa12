"""What a run of the tests says of those that need real data."""

import os
import subprocess
import sys

import pytest

from shared.settings import PROJECT_ROOT


def run_pytest(data_dir: str | None, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "DATA_DIR"}
    if data_dir is not None:
        environment["DATA_DIR"] = data_dir
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    return subprocess.run(
        [*command, *arguments], cwd=PROJECT_ROOT, env=environment, capture_output=True, text=True, check=False
    )


def collect(data_dir: str | None, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run_pytest(data_dir, "--collect-only", *arguments)


@pytest.mark.parametrize("is_set", [False, True])
def test_tests_that_need_data_are_left_out_and_counted_once_at_the_end(tmp_path, is_set):
    collected = collect(str(tmp_path) if is_set else None, "tests/integration/test_movielens.py")
    assert "test_ml" not in collected.stdout
    (line,) = [line for line in collected.stdout.splitlines() if "ml-1" in line]
    assert line.startswith("left out: 2 tests need ml-100k, 6 tests need ml-1m; set DATA_DIR to a folder")


def test_two_processes_say_it_once_too():
    # Every test of this file needs data.
    ran = run_pytest(None, "tests/integration/test_movielens.py", "-n", "2")
    assert ran.stdout.count("left out: 2 tests need ml-100k, 6 tests need ml-1m;") == 1, ran.stdout


def test_tests_whose_data_are_there_are_kept(tmp_path):
    (tmp_path / "ml-100k").mkdir()
    collected = collect(str(tmp_path), "tests/integration/test_movielens.py")
    assert "test_ml_100k_has_the_published_sizes" in collected.stdout
    assert "test_ml_1m" not in collected.stdout
    assert "left out: 6 tests need ml-1m; " in collected.stdout


def test_tests_that_were_not_asked_for_are_not_counted():
    collected = collect(None, "tests/integration/test_movielens.py", "-k", "100k")
    assert "left out: 2 tests need ml-100k; " in collected.stdout


def test_a_data_dir_that_is_no_folder_ends_the_run(tmp_path):
    collected = collect(str(tmp_path / "nowhere"), "tests/integration/test_movielens.py")
    assert collected.returncode == pytest.ExitCode.USAGE_ERROR
    assert "DATA_DIR must be a folder; there is none at" in collected.stderr
