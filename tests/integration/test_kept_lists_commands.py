"""What commands say and do where `[lists] keep` is set: sweep, leaderboard, status, recommend, promote."""

import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import Engine, text

from scheduler.commands import sweeps
from scheduler.commands.promotion import promote
from scheduler.commands.results import leaderboard, recommend
from scheduler.commands.services import status
from scheduler.commands.sweeps import sweep
from scheduler.kept_lists import remove_surplus_lists
from scheduler.rounds import Rounds
from scheduler.sweep import room
from shared import store
from shared.console import console
from shared.datasets import ResolvedDataset
from shared.errors import SpecError, StoreError
from shared.store import Claim
from tests.factories import make_dataset
from worker.trial import run_trial

DATASET = make_dataset(n_users=30, n_items=40, n_rated=12)
FILE = """
name = "kept"
[[models]]
family = "ease"
l2 = [1.0, 10.0, 100.0]
[protocol]
k = 3
objective = "ndcg"
relevance_threshold = 1.0
[lists]
keep = {}
"""


@pytest.fixture
def file(tmp_path: Path) -> Callable[[str], str]:
    """Writes the sweep file with this `keep`; gives its path."""

    def write(keep: str) -> str:
        path = tmp_path / "kept.toml"
        path.write_text(FILE.format(keep), encoding="utf-8")
        return str(path)

    return write


@pytest.fixture
def run(database_url, broker_url, tmp_path, monkeypatch) -> Callable[..., Result]:
    """Commands with these variables, on this database, where nothing else is started."""
    places = {
        "DATABASE_URL": database_url,
        "BROKER_URL": broker_url,
        "ARTIFACT_URL": (tmp_path / "artifacts").as_uri(),
        "STATE_DIR": str(tmp_path / "state"),
        "START_SERVICES": "false",
        "WORKERS": "1",
    }
    for name, value in places.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(console, "_width", 1000)
    monkeypatch.setattr(sweeps, "resolve_named_data", lambda *_: ResolvedDataset(DATASET, "tiny"))

    def call(command, **variables: str) -> Result:
        done = CliRunner(env=variables).invoke(command, [])
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done

    return call


@pytest.fixture
def worker(engine: Engine, tmp_path: Path) -> Iterator[None]:
    """Takes what is queued and runs it."""
    is_over = threading.Event()
    root = store.artifact_root(engine, (tmp_path / "artifacts").as_uri())

    def train(claim: Claim) -> None:
        result = run_trial(claim, DATASET, root, lambda _epoch: None, lambda: None)
        assert store.finish_trial(engine, claim, result, DATASET)

    def work() -> None:
        while not is_over.wait(0.05):
            for trial in store.queued_trials(engine):
                claim = store.claim_trial(engine, trial.trial_id, "worker-1", 60, "test")
                if claim is not None:
                    train(claim)

    thread = threading.Thread(target=work)
    thread.start()
    yield
    is_over.set()
    thread.join()


def rows_of(engine: Engine) -> list[store.LeaderboardRow]:
    found = store.latest_sweep(engine)
    assert found is not None
    return store.leaderboard(engine, found.sweep_id)


@pytest.mark.usefixtures("worker")
def test_a_sweep_keeps_the_lists_of_its_best_trials_and_every_command_says_so(engine, run, file):
    done = run(sweep, SWEEP=file("2"))
    # 5 trials x 30 users x 3, of which 2 and that of the one task process are there at one time.
    assert "Lists to write: 450 rows, about" in done.stdout
    assert "with those of at most 3 trials at one time" in done.stdout
    rows = rows_of(engine)
    assert [row.has_lists for row in rows] == [True, True, False, False, False]
    line = f"Lists are kept of 2 of 5 trials ([lists] keep): {rows[0].label}, {rows[1].label}\n"
    assert line in done.stdout
    assert line in run(leaderboard).stdout
    found = run(status).stdout
    assert "with lists" in found
    assert "User 1, " in run(recommend, RECSWEEP_USER="1").stdout
    last = rows[2].label
    with pytest.raises(SpecError) as caught:
        run(recommend, RECSWEEP_USER="1", TRIAL=last)
    assert f"those of {last} were removed. Lists are kept of 2 of 5" in str(caught.value)
    assert f"make promote TRIAL={last}" in str(caught.value)
    with pytest.raises(StoreError, match=f"those of {last} were removed.*without REFIT=0"):
        run(promote, TRIAL=last, REFIT="0")
    promoted = run(promote, TRIAL=next(row.label for row in rows[2:] if not row.is_baseline))
    assert promoted.exit_code == 0
    assert "as stored" in promoted.stdout or "serves tiny" in promoted.stdout

    again = run(sweep, SWEEP=file("4"))
    assert "to run 0" in again.stdout
    assert "Lists to write" not in again.stdout
    assert "Lists that an earlier `[lists] keep` removed stay so, those of " in again.stdout
    assert "FRESH=1 makes all anew" in again.stdout
    assert [row.has_lists for row in rows_of(engine)] == [True, True, False, False, False]
    fewer = run(sweep, SWEEP=file("1"))
    assert "stay so" not in fewer.stdout
    assert f"Lists are kept of 1 of 5 trials ([lists] keep): {rows[0].label}\n" in fewer.stdout

    # What began without a keep has its lists in one table.
    anew = run(sweep, SWEEP=file('"all"'), FRESH="1")
    assert "Lists are kept" not in anew.stdout
    fewer = run(sweep, SWEEP=file("3"))
    assert "Removing the lists of 2 trials row by row" in fewer.stdout
    assert "Lists are kept of 3 of 5 trials" in fewer.stdout


def test_what_has_no_room_is_not_queued(engine, run, file, tmp_path, monkeypatch):
    monkeypatch.setattr(sweeps, "database_folder", lambda _settings: tmp_path)
    monkeypatch.setattr(room, "_free_bytes", lambda _folder: 1_000)
    for variables in ({}, {"DRY_RUN": "1"}):
        with pytest.raises(SpecError, match=r"must fit on the disk of the database.*\[lists\] keep = 5"):
            run(sweep, SWEEP=file('"all"'), **variables)
    with engine.begin() as connection:
        assert connection.scalar(text("select count(*) from trials")) == 0
    monkeypatch.setattr(room, "_free_bytes", lambda _folder: 10**9)
    done = run(sweep, SWEEP=file('"all"'), DRY_RUN="1")
    assert "Lists to write: 450 rows, about" in done.stdout
    assert "at one time" not in done.stdout


def test_removing_lists_goes_on_after_a_database_that_was_away(engine, caplog, monkeypatch):
    keeper = Rounds("removing lists", partial(remove_surplus_lists, engine), threading.Event())

    def is_away(_engine):
        raise StoreError("away")

    with monkeypatch.context() as patch:
        patch.setattr(store, "remove_surplus_lists", is_away)
        keeper.look()
        keeper.look()
    assert caplog.text.count("not removing lists now: away") == 1
    removed = store.RemovedLists(1, 2, "ease")
    monkeypatch.setattr(store, "remove_surplus_lists", lambda _engine: [removed])
    with caplog.at_level("INFO"):
        keeper.look()
    assert "sweep 1 trial 2 ease: lists removed" in caplog.text
