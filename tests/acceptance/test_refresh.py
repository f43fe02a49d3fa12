"""From a promoted model on one day's ratings to that of the next day's, by the commands that cron runs."""

import re
import subprocess
import sys
from collections.abc import Callable

import pytest

from tests.acceptance.conftest import ROOT, Make
from tests.growing_source import N_USERS, NAME, GrowingSource, first_ratings, later_ratings

_SWEEP = """
[[models]]
family = "ease"
[[models]]
family = "weighted_als"
size = 4
iterations = 2
[protocol]
objective = "ndcg@5"
k = 5
"""
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> GrowingSource:
    return GrowingSource(tmp_path_factory.mktemp("growing source"))


@pytest.fixture(scope="module")
def run(make: Make, source: GrowingSource, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """`make` on the growing source, whose first ratings were swept and an EASE of which is promoted."""
    path = tmp_path_factory.mktemp("nightly") / "nightly.toml"
    path.write_text(_SWEEP)

    def call(*arguments: str) -> subprocess.CompletedProcess[str]:
        # Five of forty items are listed, and a third of the ratings are new.
        data = (f"DATASET={NAME}", f"DATA_DIR={source.data_dir}", "MAX_CHANGED=0.9")
        return make(*arguments, *data, "WORKERS=1")

    source.write(first_ratings())
    for arguments in (("sweep", f"SWEEP={path}"), ("promote", "TRIAL=ease", "SWEEP=nightly")):
        result = call(*arguments)
        assert result.returncode == 0, result.stdout + result.stderr
    return call


@pytest.fixture
def n_served(select) -> Callable[[], int]:
    def count() -> int:
        where = f"where dataset_name = '{NAME}'"
        (row,) = select(f"select count(distinct user_id) as n from best_recommendations {where}")
        return int(row["n"])

    return count


def test_the_same_ratings_change_nothing(run: Run) -> None:
    result = run("refresh")
    assert result.returncode == 0, result.stdout + result.stderr
    assert f"Nothing changed: {NAME} gives the 400 ratings" in result.stdout


def test_ratings_that_grew_are_served_and_their_lineage_is_known(run: Run, source, make, n_served) -> None:
    source.write(first_ratings(N_USERS + 2) | later_ratings())
    result = run("refresh")
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.count(": passed") == 5
    assert f"best_recommendations serves {NAME} with ease_refit of sweep" in result.stdout
    assert n_served() == N_USERS + 2
    lineage = make("query", "Q=lineage", f"ARGS=dataset={NAME}").stdout
    assert "2 rows" in lineage
    assert "weighted_als" in make("leaderboard", "SWEEP=nightly").stdout


def test_ratings_that_were_cut_short_keep_what_is_served(
    run: Run, source, n_served, make_environment
) -> None:
    source.write(first_ratings(N_USERS // 2))
    result = run("refresh")
    # make says 2 for every failure, and the code of the command on its last line.
    assert result.returncode == 2
    assert "Error 1" in result.stderr
    assert "users still there: 20 of 42 (47.6%); at least 90.0%: failed" in result.stdout
    assert n_served() == N_USERS + 2
    command = [sys.executable, "-m", "scheduler", "refresh"]
    environment = {**make_environment, "DATASET": NAME, "DATA_DIR": str(source.data_dir)}
    assert (
        subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, check=False).returncode == 1
    )


def test_a_source_that_is_broken_is_a_mistake(run: Run, source: GrowingSource, n_served) -> None:
    (source.data_dir / NAME / "u.data").write_text("1\t2\n")
    result = run("refresh")
    lines = [line for line in result.stderr.splitlines() if not line.startswith("make")]
    assert (result.returncode, len(lines)) == (2, 1)
    assert "u.data, line 1" in lines[0]
    assert "Error 2" in result.stderr
    assert n_served() == N_USERS + 2


def test_a_user_who_is_forgotten_stays_away(run: Run, source: GrowingSource, select, n_served) -> None:
    source.write(first_ratings(N_USERS + 2) | later_ratings())
    result = run("forget", "USER=7", "YES=1")
    assert result.returncode == 0, result.stdout + result.stderr
    # Ten and thirteen in the two versions of this module; other modules may have stored some of this name.
    removed = re.search(r"and (\d+) ratings in (\d+) prepared data sets", result.stdout)
    assert removed
    assert (int(removed[1]) >= 10 + 13, int(removed[2]) >= 2) == (True, True)
    assert n_served() == N_USERS + 1
    unknown = run("forget", "USER=nobody", "YES=1")
    assert f"no stored version of {NAME} has a user 'nobody'" in unknown.stderr
    result = run("refresh")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "Left out of ml-100k: 1 who were forgotten" in result.stdout
    assert n_served() == N_USERS + 1
    planned = run("sweep", "SWEEP=smoke", "DRY_RUN=1")
    assert "41 users, 40 items, 527 ratings" in planned.stdout


def test_nothing_promoted_is_a_mistake(run: Run, make: Make) -> None:
    result = make("refresh", "DATASET=nothing")
    assert result.returncode == 2
    assert (
        "nothing is promoted for 'nothing', so nothing can be refreshed; promoted are trials for"
        in result.stderr
    )
