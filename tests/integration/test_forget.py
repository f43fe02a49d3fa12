"""`make forget`: nothing is left of one user, others keep everything, and no read brings the user back."""

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import Engine, text

from scheduler.commands.forgetting import forget
from scheduler.commands.refresh import refresh
from scheduler.sweep.refit import find_chosen
from shared import store
from shared.console import console
from shared.datasets import load_dataset, load_prepared
from shared.errors import SpecError, StoreError
from shared.settings import load_settings
from tests.factories import make_config, make_dataset, store_sweep
from tests.growing_source import N_USERS, NAME, GrowingSource, first_ratings, later_ratings
from tests.integration.test_promote import worker_command
from tests.integration.test_refresh import EASE, answer, sweep_and_promote, working
from worker.task import _drop_forgotten

USER = "7"
TABLES = ("recommendations", "rating_predictions", "user_results")
Run = Callable[..., Result]


@pytest.fixture
def source(tmp_path: Path) -> GrowingSource:
    source = GrowingSource(tmp_path / "data")
    source.write(first_ratings())
    return source


@pytest.fixture
def run(source, database_url, broker_url, tmp_path, monkeypatch) -> Run:
    """A command with these variables, on this database and source, where nothing else is started."""
    places = {
        "DATABASE_URL": database_url,
        "BROKER_URL": broker_url,
        "ARTIFACT_URL": (tmp_path / "artifacts").as_uri(),
        "STATE_DIR": str(tmp_path / "state"),
        "DATA_DIR": str(source.data_dir),
        "START_SERVICES": "false",
        "MAX_CHANGED": "0.9",
    }
    for name, value in places.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(console, "_width", 1000)

    def call(command=forget, **variables: str) -> Result:
        return CliRunner(env={"YES": "1", **variables}).invoke(command, [], catch_exceptions=False)

    return call


@pytest.fixture
def promoted(engine: Engine, run: Run) -> int:
    return sweep_and_promote(engine, EASE)


def rows_of(engine: Engine, user_id: str) -> dict[str, int]:
    return {
        table: answer(engine, f"select count(*) as n from {table} where user_id = '{user_id}'")[0]["n"]
        for table in TABLES
    }


def prepared(engine: Engine):
    settings = load_settings()
    root = store.artifact_root(engine, settings.artifacts)
    return [
        load_prepared(root, one.fingerprint, settings.cache_dir)
        for one in store.dataset_versions(engine, NAME)
    ]


def test_nothing_is_left_of_the_user_in_any_version(engine, promoted, source, run):
    source.write(first_ratings() | later_ratings())
    with working(engine):
        assert run(refresh, MARGIN="1").exit_code == 0
    others = rows_of(engine, "8")
    assert all(rows_of(engine, USER).values())
    done = run(RECSWEEP_USER=USER)
    assert done.exit_code == 0
    assert rows_of(engine, USER) == dict.fromkeys(TABLES, 0)
    assert rows_of(engine, "8") == others
    # 10 ratings of the first version, 13 of the second.
    assert "and 23 ratings in 2 prepared data sets." in done.stdout
    for dataset in prepared(engine):
        assert USER not in dataset.user_ids.tolist()
        assert dataset.n_users == N_USERS - 1
    assert "sweep 1 small: ease, baseline_item_popularity, ease_refit" in done.stdout
    assert "sweep 2 small: ease, ease_refit (served)" in done.stdout
    assert f"make refresh DATASET={NAME}" in done.stdout
    assert "remove the user there too" in done.stdout
    # No id is kept: a hash for each version.
    kept = answer(engine, "select user_hash from forgotten_users")
    assert len(kept) == 2
    assert len({row["user_hash"] for row in kept}) == 1


def test_a_refresh_leaves_the_user_out_whom_the_source_still_has(engine, promoted, source, run):
    run(RECSWEEP_USER=USER)
    with working(engine):
        done = run(refresh)
    assert done.exit_code == 0
    assert f"Left out of {NAME}: 1 who were forgotten and whom its source still has" in done.stdout
    assert "users still there: 39 of 39 (100.0%)" in done.stdout
    assert "what is new: no rating was added: not made" in done.stdout
    assert rows_of(engine, USER) == dict.fromkeys(TABLES, 0)
    fingerprint = store.served_trial(engine, NAME).fingerprint
    # Once the source has done its part nothing changes any more.
    source.write({key: value for key, value in first_ratings().items() if str(key[0]) != USER})
    assert load_dataset(NAME, load_settings()).fingerprint == fingerprint
    again = run(refresh)
    assert "Nothing changed" in again.stdout
    assert "Left out" not in again.stdout


def test_a_user_of_a_source_that_was_refused_can_be_forgotten(engine, promoted, source, run):
    """The source has lost half of its users, so nothing is refreshed; one of them asks to be forgotten."""
    source.write(first_ratings(N_USERS // 2))
    refused = run(refresh)
    assert refused.exit_code == 1
    assert run(RECSWEEP_USER="33").exit_code == 0
    assert rows_of(engine, "33")["recommendations"] == 0


def test_who_is_not_there_is_a_mistake_and_who_was_forgotten_is_not(engine, promoted, run):
    with pytest.raises(SpecError, match=f"no stored version of {NAME} has a user 'nobody'"):
        run(RECSWEEP_USER="nobody")
    assert run(RECSWEEP_USER=USER).exit_code == 0
    again = run(RECSWEEP_USER=USER)
    assert (again.exit_code, "was forgotten already" in again.stdout) == (0, True)


def test_what_was_interrupted_is_finished_by_the_same_command(engine, promoted, run):
    """Rows are gone and the file is not, as after a Ctrl-C in between."""
    (version,) = store.dataset_versions(engine, NAME)
    store.forget_user(engine, NAME, USER, [version.dataset_id])
    assert USER in prepared(engine)[0].user_ids.tolist()
    done = run(RECSWEEP_USER=USER)
    assert "0 rows of lists and results, and 10 ratings in 1 prepared data sets" in done.stdout
    assert USER not in prepared(engine)[0].user_ids.tolist()


def test_it_asks_first(engine, promoted, run):
    before = rows_of(engine, USER)
    done = CliRunner(env={"RECSWEEP_USER": USER}).invoke(forget, [], input="n\n")
    assert done.exit_code == 1
    assert rows_of(engine, USER) == before


def test_a_data_set_has_to_be_named_where_there_are_several(engine, promoted, run):
    store_sweep(engine, make_dataset(name="other"), [])
    with pytest.raises(SpecError, match="name it with DATASET=; stored are ml-100k, other"):
        run(RECSWEEP_USER=USER)
    with pytest.raises(SpecError, match="got 'third'; stored are ml-100k, other"):
        run(RECSWEEP_USER=USER, DATASET="third")
    with pytest.raises(SpecError, match="which user"):
        run()
    assert run(RECSWEEP_USER=USER, DATASET=NAME).exit_code == 0


def test_open_trials_and_a_running_refresh_come_first(engine, promoted, run, database_url):
    with (
        store.refresh_lock(database_url, NAME),
        pytest.raises(StoreError, match="is being refreshed: wait for the end"),
    ):
        run(RECSWEEP_USER=USER)
    store.add_trials(engine, promoted, [make_config()])
    with pytest.raises(StoreError, match="1 trials on ml-100k are queued or running"):
        run(RECSWEEP_USER=USER)


def test_what_was_trained_before_is_verified_without_its_models_and_refitted_no_more(engine, promoted, run):
    run(RECSWEEP_USER=USER)
    done = worker_command("worker.verify", str(promoted))
    assert (done.returncode, done.stderr) == (0, "")
    (line,) = done.stdout.splitlines()
    assert f"Sweep {promoted}: 1 users of its ratings were forgotten since" in line
    with engine.begin() as connection:
        connection.execute(text("update recommendations set rank = 9 where rank = 5 and user_id = '8'"))
    assert worker_command("worker.verify", str(promoted)).returncode == 1
    with pytest.raises(SpecError, match="were forgotten, so it is learned from no more"):
        find_chosen(engine, store.get_sweep(engine, promoted), EASE.label)


def test_a_worker_drops_copies_that_are_older_than_the_forgetting(engine, promoted, run):
    cache = load_settings().cache_dir
    cache.mkdir(parents=True, exist_ok=True)
    (version,) = store.dataset_versions(engine, NAME)
    store.forget_user(engine, NAME, USER, [version.dataset_id])
    copy, other = cache / f"{version.fingerprint}.npz", cache / "another.npz"
    for file in (copy, other):
        file.write_bytes(b"a copy")
    with engine.begin() as connection:
        connection.execute(text("update forgotten_users set forgotten_at = now() - interval '1 hour'"))
    _drop_forgotten(engine)
    assert copy.exists()
    with engine.begin() as connection:
        connection.execute(text("update forgotten_users set forgotten_at = now() + interval '1 hour'"))
    _drop_forgotten(engine)
    assert (copy.exists(), other.exists()) == (False, True)
