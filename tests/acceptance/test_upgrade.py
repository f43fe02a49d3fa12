"""A database and an artifact folder of version 0.1 under this code: nothing is lost, nothing runs twice."""

import csv
import gzip
import io
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
import sqlalchemy

from scheduler.machine import psql_command
from shared.settings import Settings
from shared.store.database import create_engine
from tests.acceptance.conftest import select_text

FIXTURE = Path(__file__).parents[1] / "fixtures" / "version_0_1"
PLACEHOLDER = "file:///ARTIFACTS"


@pytest.fixture(scope="module")
def upgraded_database(postgres_server) -> Iterator[str]:
    """URL of a database of this module's own, empty."""
    url = postgres_server.url.rpartition("/")[0]
    admin = create_engine(f"{url}/postgres").execution_options(isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(sqlalchemy.text("create database of_version_0_1"))
    yield f"{url}/of_version_0_1"
    with admin.connect() as connection:
        connection.execute(sqlalchemy.text("drop database of_version_0_1 with (force)"))
    admin.dispose()


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("artifacts of 0.1")
    with tarfile.open(FIXTURE / "artifacts.tar.gz") as archive:
        archive.extractall(folder, filter="data")
    return folder


@pytest.fixture(scope="module")
def run(make, upgraded_database, artifacts, redis_server, tmp_path_factory) -> Iterator[Callable]:
    """`make` on what version 0.1 left, with workers of this code."""
    dump = gzip.decompress((FIXTURE / "database.sql.gz").read_bytes()).decode()
    urls = {"database_url": upgraded_database, "broker_url": redis_server.url.rpartition("/")[0] + "/7"}
    command, variables = psql_command(Settings.model_validate(urls))
    subprocess.run(
        [*command, "--quiet", "-v", "ON_ERROR_STOP=1"],
        input=dump.replace(PLACEHOLDER, artifacts.as_uri()),
        env=variables,
        text=True,
        check=True,
        capture_output=True,
    )
    environment = {
        **{name.upper(): url for name, url in urls.items()},
        "ARTIFACT_URL": artifacts.as_uri(),
        "STATE_DIR": str(tmp_path_factory.mktemp("state of the upgrade")),
        "DATA_DIR": str(FIXTURE),
    }
    yield lambda *arguments: make(*arguments, environment=environment)
    make("clean", "YES=1", environment=environment)


@pytest.fixture
def rows(run, upgraded_database) -> Callable[[str], list[dict[str, str]]]:
    return partial(select_text, upgraded_database)


def before(name: str, artifacts: Path) -> list[dict[str, str]]:
    text = (FIXTURE / name).read_text().replace(PLACEHOLDER, artifacts.as_uri())
    return list(csv.DictReader(io.StringIO(text)))


def test_a_sweep_of_version_0_1_is_done(run):
    result = run("sweep", f"SWEEP={FIXTURE / 'small.toml'}", "DATASET=ml-100k")
    assert result.returncode == 0, result.stdout + result.stderr
    # Version 0.1 trained the architectures with one dense layer twice: 8 of its 10 trials are asked for.
    assert "Sweep 1 small, 8 trials: to run 0, done 8, running 0, failed 0" in result.stdout


def test_what_version_0_1_promoted_can_be_refreshed(run):
    """It noted no source: the name is one of the known sets."""
    result = run("refresh", "DATASET=ml-100k")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "Nothing changed: ml-100k gives the" in result.stdout


@pytest.mark.parametrize(
    ("name", "plan"),
    [
        ("other", "4 trials: to run 1, done 3, running 0, failed 1 (to run again)"),
        ("half", "4 trials: to run 4, done 0, running 0, failed 0"),
    ],
)
def test_failed_and_cancelled_trials_of_version_0_1_run_again(run, name, plan):
    result = run("sweep", f"SWEEP={FIXTURE / name}.toml", "DATASET=ml-100k", "DRY_RUN=1")
    assert f"Sweep {name}, {plan}" in result.stdout


def test_the_leaderboard_is_the_same(rows, artifacts):
    stored = before("leaderboard.csv", artifacts)
    columns = ", ".join(f'"{name}"' for name in stored[0])
    assert rows(f"select {columns} from leaderboard order by sweep_id, rank") == stored


def test_the_lists_of_what_was_promoted_are_the_same(rows, artifacts):
    stored = before("best_recommendations.csv", artifacts)
    assert {row["label"] for row in stored} == {"concatenate_4_2_1_batch64_epochs2"}
    columns = ", ".join(f'"{name}"' for name in stored[0])
    assert rows(f"select {columns} from best_recommendations order by 1, 2, 3") == stored


def test_the_models_give_what_is_stored(run):
    result = run("verify", "SWEEP=small")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "follow from the saved models" in result.stdout
    assert "did not store graded_ndcg@20, long_tail@20, personalisation@20, results of users" in result.stdout


def test_results_of_users_that_version_0_1_did_not_keep_are_said_to_be_missing(run):
    result = run("leaderboard", "SWEEP=small")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "No verdict on" in result.stdout
    assert "no results of users were kept when it was stored: FRESH=1 trains it again" in result.stdout
    result = run("compare", "A=dot_4_1_batch64_epochs2", "B=baseline_user_item_bias", "SWEEP=small")
    assert result.returncode == 2
    assert "A must have results of users" in result.stderr
    assert "run its sweep again with FRESH=1" in result.stderr


def test_the_logs_of_version_0_1_are_read(run):
    assert "val_rmse" in run("logs", "TRIAL=dot_4_1_batch64_epochs2").stdout


def test_a_new_trial_lies_in_the_folder_of_the_database(run, rows, artifacts, tmp_path):
    text = (FIXTURE / "small.toml").read_text().replace("embedding_size = [4]", "embedding_size = [4, 2]")
    (tmp_path / "small.toml").write_text(text)
    result = run("sweep", f"SWEEP={tmp_path / 'small.toml'}", "DATASET=ml-100k")
    assert "14 trials: to run 6, done 8, running 0, failed 0" in result.stdout
    (database,) = rows("select database_id from installation")
    (trial,) = rows("select model_url from trials where label = 'dot_2_1_batch64_epochs2'")
    assert trial["model_url"].startswith(f"{artifacts.as_uri()}/{database['database_id']}/sweep-1/")


def test_a_promotion_of_version_0_1_can_be_rolled_back_and_old_files_go_with_their_sweep(run, artifacts):
    result = run("prune", "KEEP=1", "YES=1")
    assert "Sweep 1 (small on ml-100k" in result.stdout
    assert "is kept: its trial concatenate_4_2_1_batch64_epochs2 is served for ml-100k" in result.stdout
    assert not list((artifacts / "sweep-2").rglob("*.*"))
    assert list((artifacts / "sweep-1").rglob("*.keras"))
    result = run("rollback", "DATASET=ml-100k")
    leads = "baseline_user_item_bias of sweep 1 small: it leads the newest sweep that has ended"
    assert f"best_recommendations serves ml-100k with {leads}" in result.stdout
