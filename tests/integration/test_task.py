"""The Celery task, called as a task process calls it: what it leaves in Postgres and tells Celery."""

from pathlib import Path

import pytest
from celery.exceptions import Reject, SoftTimeLimitExceeded
from sqlalchemy import text

from shared import store
from shared.artifacts import local_path
from shared.datasets import store_prepared
from shared.domain.families.user_item_bias import UserItemBias
from shared.domain.trial import TrialConfig
from shared.errors import StoreUnavailable, TrialError
from tests.factories import make_dataset, store_sweep
from worker import task
from worker.process.database import database_engine
from worker.trial import checkpoint_url

CONFIG = TrialConfig(UserItemBias())
LABEL = CONFIG.label
AWAY = StoreUnavailable("Postgres is away")


@pytest.fixture
def artifacts(tmp_path, monkeypatch, engine, database_url):
    """Folder of the database's artifacts, for the worker that this process plays."""
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("ARTIFACT_URL", (tmp_path / "artifacts").as_uri())
    monkeypatch.setattr(task, "_sleep", lambda _seconds: None)
    database_engine.cache_clear()
    task._dataset.cache_clear()
    task._artifact_root.cache_clear()
    yield local_path(store.artifact_root(engine, (tmp_path / "artifacts").as_uri()))
    database_engine().dispose()
    database_engine.cache_clear()


@pytest.fixture
def trial_id(engine, artifacts):
    dataset = make_dataset(n_users=20, n_items=30, n_rated=6)
    store_prepared(artifacts.as_uri(), dataset)
    sweep = store_sweep(engine, dataset, [CONFIG])
    return store.sweep_trials(engine, sweep.sweep_id)[0].trial_id


@pytest.fixture
def checkpoint(engine, trial_id, artifacts):
    """The file that an earlier attempt has left."""
    sweep_id = trial_of(engine, trial_id).sweep_id
    path = artifacts / f"sweep-{sweep_id}" / LABEL / "checkpoint.npz"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"not read by a baseline")
    return path


def trial_of(engine, trial_id):
    [sweep] = store.list_sweeps(engine)
    return next(trial for trial in store.sweep_trials(engine, sweep.sweep_id) if trial.trial_id == trial_id)


def raise_error(error):
    def call(*_: object, **__: object) -> None:
        raise error

    return call


def end_reasons(engine):
    with engine.begin() as connection:
        return list(connection.scalars(text("select end_reason from attempts order by attempt")))


def run(trial_id):
    return task.train_architecture(trial_id, LABEL)


def test_a_trial_that_succeeds_leaves_its_result_and_no_checkpoint(engine, trial_id, checkpoint):
    assert run(trial_id).startswith(f"{LABEL}: rmse ")
    assert trial_of(engine, trial_id).status == "succeeded"
    assert not checkpoint.exists()


def test_a_trial_that_fails_keeps_its_checkpoint_for_the_next_run(engine, trial_id, checkpoint, monkeypatch):
    monkeypatch.setattr(task, "run_trial", raise_error(TrialError("not_finite_loss", "it was not finite")))
    with pytest.raises(TrialError, match="not finite"):
        run(trial_id)
    assert (trial_of(engine, trial_id).status, trial_of(engine, trial_id).error_reason) == (
        "failed",
        "not_finite_loss",
    )
    assert checkpoint.exists()


def test_a_checkpoint_that_cannot_be_removed_is_no_failure(engine, trial_id, checkpoint, caplog):
    checkpoint.unlink()
    # Root too may not remove a folder as if it were a file.
    checkpoint.mkdir()
    assert run(trial_id).startswith(f"{LABEL}: rmse ")
    assert trial_of(engine, trial_id).status == "succeeded"
    assert "is left behind" in caplog.text


@pytest.mark.parametrize("error", [SoftTimeLimitExceeded(), ValueError("a fault of ours"), MemoryError()])
def test_whatever_comes_after_the_commit_does_not_fail_the_task(engine, trial_id, monkeypatch, error):
    monkeypatch.setattr(task, "_remove_checkpoint", raise_error(error))
    assert run(trial_id) == f"{LABEL}: succeeded"
    assert trial_of(engine, trial_id).status == "succeeded"
    assert end_reasons(engine) == ["succeeded"]


@pytest.mark.parametrize(("is_final", "status"), [(True, "failed"), (False, "queued")])
def test_memory_that_may_be_there_later_is_asked_for_again(engine, trial_id, monkeypatch, is_final, status):
    monkeypatch.setattr(
        task, "run_trial", raise_error(TrialError("out_of_memory", "needs 61 GB", is_final=is_final))
    )
    with pytest.raises(TrialError, match="needs 61 GB"):
        run(trial_id)
    assert trial_of(engine, trial_id).status == status
    assert end_reasons(engine) == ["out_of_memory"]


def test_a_failure_of_a_superseded_attempt_is_nobodys_failure(engine, trial_id, monkeypatch):
    def lose_the_trial(claim, *_: object, **__: object) -> None:
        store.release_trial(engine, claim.trial_id, claim.attempt, "handed_back")
        raise TrialError("artifact", "came too late")

    monkeypatch.setattr(task, "run_trial", lose_the_trial)
    assert run(trial_id) == f"{LABEL}: superseded"
    assert trial_of(engine, trial_id).status == "queued"


def test_a_result_waits_longer_than_any_outage_of_the_database(engine, trial_id, monkeypatch):
    finish, answers = store.finish_trial, [AWAY] * 3

    def finish_in_the_end(*arguments):
        if answers:
            raise answers.pop()
        return finish(*arguments)

    monkeypatch.setattr(task, "_STORE_PATIENCE_SECONDS", 0.0)
    monkeypatch.setattr(store, "finish_trial", finish_in_the_end)
    assert run(trial_id).startswith(f"{LABEL}: rmse ")
    assert trial_of(engine, trial_id).status == "succeeded"


def test_a_result_that_cannot_be_written_in_time_is_made_again(engine, trial_id, checkpoint, monkeypatch):
    answers = [SoftTimeLimitExceeded(), AWAY]
    monkeypatch.setattr(store, "finish_trial", lambda *_: raise_error(answers.pop())())
    with pytest.raises(Reject, match="could not be written") as rejected:
        run(trial_id)
    assert rejected.value.requeue
    trial = trial_of(engine, trial_id)
    assert (trial.status, trial.attempt, trial.attempts_allowed) == ("queued", 1, 4)
    assert end_reasons(engine) == ["handed_back"]
    assert checkpoint.exists()


def test_a_trial_that_cannot_be_handed_back_returns_its_message(engine, trial_id, monkeypatch, caplog):
    monkeypatch.setattr(task, "run_trial", raise_error(task.HandedBack()))
    monkeypatch.setattr(store, "release_trial", raise_error(AWAY))
    with pytest.raises(Reject, match="shutting down") as rejected:
        run(trial_id)
    assert rejected.value.requeue
    assert "not noted, the lease runs out" in caplog.text


def test_a_claim_that_waits_in_vain_returns_its_message(engine, trial_id, monkeypatch):
    monkeypatch.setattr(task, "_STORE_PATIENCE_SECONDS", 0.0)
    monkeypatch.setattr(store, "claim_trial", raise_error(AWAY))
    with pytest.raises(Reject, match="away") as rejected:
        run(trial_id)
    assert rejected.value.requeue
    assert trial_of(engine, trial_id).attempt == 0


def test_every_attempt_finds_the_checkpoint_in_the_folder_of_its_sweep(engine, trial_id):
    first = store.claim_trial(engine, trial_id, "worker-1", 60, "test")
    store.release_trial(engine, trial_id, first.attempt, "handed_back")
    second = store.claim_trial(engine, trial_id, "worker-2", 60, "test")
    url = checkpoint_url("file:///artifacts", second)
    assert url == checkpoint_url("file:///artifacts", first)
    # `make prune` removes that folder.
    assert Path(f"/artifacts/sweep-{second.sweep_id}") in Path(url.removeprefix("file://")).parents
