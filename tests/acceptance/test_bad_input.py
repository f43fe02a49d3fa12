"""A mistake of a person gets one line and exit code 2, and nothing stored is lost."""

import socket
import subprocess
import time
from pathlib import Path

import pytest

from tests.acceptance.conftest import Make, ask_all

_GRID = '[grid]\nmerge = ["dot"]\nembedding_size = [8]\ndense_layers = [[4, 1]]\n'


def _only_line(result: subprocess.CompletedProcess[str]) -> str:
    """The one line a person sees, without the line that make adds."""
    lines = [line for line in result.stderr.splitlines() if not line.startswith("make")]
    assert result.returncode == 2, result.stdout + result.stderr
    assert len(lines) == 1, result.stderr
    assert "Traceback" not in result.stdout
    return lines[0]


def _folder(tmp_path: Path, ratings: str) -> Path:
    folder = tmp_path / "ml-1m"
    folder.mkdir()
    (folder / "ratings.dat").write_text(ratings, encoding="latin-1")
    (folder / "movies.dat").write_text(
        "1::First (2000)::Drama\n2::Second (2001)::Comedy\n", encoding="latin-1"
    )
    (folder / "users.dat").write_text("1::F::1::10::48067\n", encoding="latin-1")
    return tmp_path


MISTAKES = [
    (_GRID.replace("[4, 1]", "[4, 2]"), "grid.dense_layers[0]: the last dense layer must be 1"),
    (_GRID + "momentum = [0.5]\n", "grid.momentum: unknown key; known are"),
    (_GRID.replace("[8]", "[]"), "grid.embedding_size: must be a list with at least one value"),
    (_GRID.replace("[8]", "[-8]"), "grid.embedding_size[0]: Input should be greater than or equal to 1"),
    ("[grid\n", "line 1"),
    ('name = "a\\u0000b"\n' + _GRID, "name: must be a non-empty text of at most 100 characters"),
    ('name = "a\\u001b[2Jb"\n' + _GRID, r"got 'a\x1b[2Jb'; write another"),
    (f'name = "{"x" * 5000}"\n' + _GRID, "name: must be a non-empty text of at most 100 characters"),
]


@pytest.fixture(scope="module")
def refusals(
    make: Make, tmp_path_factory: pytest.TempPathFactory
) -> list[tuple[Path, subprocess.CompletedProcess[str]]]:
    """The file of each mistake, and what is said of it."""
    folder = tmp_path_factory.mktemp("mistakes")
    paths = [folder / f"mine{number}.toml" for number in range(len(MISTAKES))]
    for path, (text, _) in zip(paths, MISTAKES, strict=True):
        path.write_text(text)
    answers = ask_all(make, [("sweep", f"SWEEP={path}") for path in paths])
    return list(zip(paths, answers, strict=True))


@pytest.mark.parametrize("number", range(len(MISTAKES)), ids=lambda number: MISTAKES[number][1])
def test_a_broken_sweep_file_is_named_with_its_place(refusals, number):
    path, answer = refusals[number]
    line = _only_line(answer)
    assert f"{path}: " in line
    assert MISTAKES[number][1] in line


def test_a_long_name_is_shown_by_its_beginning(refusals):
    path, answer = refusals[-1]
    assert len(_only_line(answer)) - len(str(path)) < 400


def test_a_wrong_option_is_named_as_it_was_written(make: Make):
    assert _only_line(make("sweep", "WORKERS=0")).startswith("recsweep: Invalid value for WORKERS: 0 is not")


def test_an_unknown_sweep_lists_the_known_ones(make: Make):
    assert "reference, search, smoke" in _only_line(make("sweep", "SWEEP=referense"))


def test_an_unknown_data_set_lists_the_known_ones(make: Make):
    line = _only_line(make("sweep", "SWEEP=smoke", "DATASET=ml-2m"))
    assert "ml-2m" in line
    assert "ml-100k" in line


def test_a_ratings_line_that_does_not_parse_is_named(make: Make, tmp_path):
    folder = _folder(tmp_path, "1::1::5::978300760\n1::2::five::978300761\n")
    line = _only_line(make("sweep", "SWEEP=smoke", "DATASET=ml-1m", f"DATA_DIR={folder}"))
    assert "ratings.dat" in line
    assert "2" in line
    assert "five" in line


def test_broken_data_is_an_error_even_when_no_data_set_was_named(make: Make, tmp_path):
    folder = _folder(tmp_path, "1::1\n")
    assert "ratings.dat" in _only_line(make("sweep", "SWEEP=smoke", f"DATA_DIR={folder}"))


def test_a_truncated_archive_is_refused(make: Make, tmp_path):
    (tmp_path / "ml-1m.zip").write_bytes(b"PK\x03\x04 not a whole archive")
    line = _only_line(make("sweep", "SWEEP=smoke", "DATASET=ml-1m", f"DATA_DIR={tmp_path}"))
    assert "ml-1m.zip" in line


@pytest.mark.parametrize("scheme", ["DATABASE_URL=postgresql", "BROKER_URL=redis"])
def test_an_unreachable_server_is_named_within_fifteen_seconds_without_its_password(make: Make, scheme):
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # Bound and not listening: every connection is refused.
        port = held.getsockname()[1]
        started = time.monotonic()
        result = make(
            "sweep", "SWEEP=smoke", "DATASET=sample", f"{scheme}://someone:s3cret@127.0.0.1:{port}/0"
        )
    line = _only_line(result)
    assert time.monotonic() - started < 15 + 5  # The start of Python is not part of the promise.
    assert f"127.0.0.1:{port}" in line
    assert "s3cret" not in line


def test_recommend_without_a_user_says_how(make: Make):
    assert "make recommend USER=" in _only_line(make("recommend"))


def test_compare_without_two_trials_says_how(make: Make):
    assert "make compare A=label B=label" in _only_line(make("compare", "A=ease"))


@pytest.mark.parametrize("target", ["recommend", "leaderboard", "report", "psql", "flower", "cancel"])
def test_results_before_anything_runs_name_the_remedy(make: Make, tmp_path, target):
    result = make(target, "USER=1", environment={"STATE_DIR": str(tmp_path / "nothing here")})
    assert "make sweep" in _only_line(result)
