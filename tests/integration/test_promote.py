"""`make promote` with a worker that trains, fails or stands still, and what is served after each."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import pytest
import redis
from click.testing import CliRunner, Result
from sqlalchemy import Engine, text

from scheduler.commands import promotion
from scheduler.commands.promotion import promote
from scheduler.commands.services import status
from scheduler.commands.sweeps import cancel
from shared import store
from shared.artifacts import local_path
from shared.console import console
from shared.datasets import Dataset, store_prepared
from shared.domain.families.ease import Ease
from shared.domain.families.item_popularity import ItemPopularity
from shared.domain.families.user_item_bias import UserItemBias
from shared.domain.protocol import Protocol
from shared.domain.trial import TrialConfig
from shared.ending import INTERRUPTED
from shared.queue import QUEUE_NAME
from shared.settings import PROJECT_ROOT
from shared.store import Claim, Sweep, Trial
from tests.factories import claim_label, make_dataset, store_sweep
from worker.trial import run_trial

DATASET = make_dataset(n_users=30, n_items=40, n_rated=12)
EASE, BIAS, POPULARITY = (TrialConfig(one) for one in (Ease(), UserItemBias(), ItemPopularity()))
REFIT = "ease_refit"
Run = Callable[..., Result]


@pytest.fixture
def artifacts(engine: Engine, tmp_path: Path) -> str:
    """Where this database keeps its files, the prepared data set among them."""
    root = store.artifact_root(engine, (tmp_path / "artifacts").as_uri())
    store_prepared(root, DATASET)
    return root


@pytest.fixture
def sweep(engine: Engine, artifacts: str) -> Sweep:
    """The bias model leads and is served; EASE and item popularity have succeeded too."""
    sweep = store_sweep(engine, DATASET, [EASE, BIAS, POPULARITY], protocol=Protocol(k=3))
    for config in (EASE, BIAS, POPULARITY):
        train(engine, claim_label(engine, sweep.sweep_id, config.label), artifacts, DATASET)
    store.mark_ended_sweeps(engine)
    return sweep


@pytest.fixture
def run(
    engine: Engine, database_url: str, broker_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Run:
    """`make promote` with these variables, on this database, where nothing else is started."""
    places = {
        "DATABASE_URL": database_url,
        "BROKER_URL": broker_url,
        "ARTIFACT_URL": (tmp_path / "artifacts").as_uri(),
        "STATE_DIR": str(tmp_path / "state"),
        "START_SERVICES": "false",
    }
    for name, value in places.items():
        monkeypatch.setenv(name, value)
    # So wide that no line is broken.
    monkeypatch.setattr(console, "_width", 1000)

    def call(**variables: str) -> Result:
        return CliRunner(env=variables).invoke(promote, [], catch_exceptions=False)

    return call


def train(engine: Engine, claim: Claim, artifacts: str, dataset: Dataset) -> None:
    result = run_trial(claim, dataset, artifacts, lambda _epoch: None, lambda: None)
    assert store.finish_trial(engine, claim, result, dataset)


@contextmanager
def working(engine: Engine, handle: Callable[[Claim], None]) -> Iterator[list[str]]:
    """A worker that takes what is queued and does as told; gives the labels that it took."""
    is_over, taken = threading.Event(), []

    def work() -> None:
        while not is_over.wait(0.05):
            for trial in store.queued_trials(engine):
                claim = store.claim_trial(engine, trial.trial_id, "worker-1", 60, "test")
                assert claim is not None
                taken.append(claim.label)
                handle(claim)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield taken
    finally:
        is_over.set()
        thread.join()


def served(engine: Engine) -> str:
    found = store.served_trial(engine, DATASET.name)
    assert found is not None
    return found.label


def find(engine: Engine, sweep: Sweep, label: str) -> Trial | None:
    return store.find_trial(engine, sweep.sweep_id, label)


def test_a_refit_is_trained_on_all_ratings_verified_and_served(engine, sweep, artifacts, run, capfd):
    assert served(engine) == BIAS.label
    with working(engine, lambda claim: train(engine, claim, artifacts, DATASET)) as taken:
        done = run(TRIAL=EASE.label, NOTE="better lists")
        assert done.exit_code == 0
        # The second run trains and verifies nothing.
        again = run(TRIAL=EASE.label)
    assert taken == [REFIT]
    assert f"{REFIT}: ease of sweep {sweep.sweep_id} small learns from all ratings of tiny" in done.stdout
    assert f"[1/1] {REFIT}: succeeded" in done.stdout
    # What the worker's command says goes to the screen itself.
    assert f"{REFIT}: as stored" in capfd.readouterr().out
    assert f"{REFIT} of sweep {sweep.sweep_id}: better lists" in done.stdout
    whole = (
        f"best_recommendations serves tiny with {REFIT} of sweep {sweep.sweep_id} small, the refit of ease: "
        f"it was promoted. It learned from all 360 ratings of version {DATASET.fingerprint} of tiny."
    )
    assert whole in done.stdout
    assert (again.exit_code, f"{REFIT} is served already" in again.stdout) == (0, True)
    assert whole in again.stdout
    assert len(store.list_promotions(engine, DATASET.name)) == 1
    store.rollback_promotion(engine, DATASET.name)
    assert served(engine) == BIAS.label


def test_a_refit_leaves_lists_without_any_rated_item_and_no_metrics(engine, sweep, artifacts, run):
    with working(engine, lambda claim: train(engine, claim, artifacts, DATASET)):
        assert run(TRIAL=EASE.label).exit_code == 0
    refit, chosen = find(engine, sweep, REFIT), find(engine, sweep, EASE.label)
    lists = store.stored_recommendations(engine, refit.trial_id, DATASET)
    rated = set(zip(DATASET.user_index.tolist(), DATASET.item_index.tolist(), strict=True))
    assert not rated & set(zip(lists.user_index.tolist(), lists.item_index.tolist(), strict=True))
    assert set(lists.user_index.tolist()) == set(range(DATASET.n_users))
    assert store.metrics_of(engine, refit.trial_id) == {}
    assert store.metrics_of(engine, chosen.trial_id) != {}
    assert refit.model_url.endswith(f"/sweep-{sweep.sweep_id}/{REFIT}/attempt-1/{REFIT}.npz")


def test_a_baseline_is_refitted_too(engine, sweep, artifacts, run):
    with working(engine, lambda claim: train(engine, claim, artifacts, DATASET)):
        done = run(TRIAL=POPULARITY.label)
    assert done.exit_code == 0
    assert served(engine) == f"{POPULARITY.label}_refit"


def test_a_refit_that_fails_changes_nothing_and_is_queued_again_by_the_same_command(
    engine, sweep, artifacts, run
):
    def fail(claim: Claim) -> None:
        assert store.fail_trial(engine, claim.trial_id, claim.attempt, "disk_full", "no space left")

    with working(engine, fail):
        failed = run(TRIAL=EASE.label)
    assert failed.exit_code == 1
    assert f"failed: {REFIT}: disk_full: no space left" in failed.stdout
    assert "To run it again: make promote TRIAL=ease SWEEP=small" in failed.stdout
    assert "What is served stays as it was." in failed.stdout
    assert f"best_recommendations serves tiny with {BIAS.label}" in failed.stdout
    assert served(engine) == BIAS.label
    with working(engine, lambda claim: train(engine, claim, artifacts, DATASET)):
        assert run(TRIAL=EASE.label).exit_code == 0
    assert served(engine) == REFIT


def test_a_refit_that_was_cancelled_says_so(engine, sweep, run):
    def stop(claim: Claim) -> None:
        assert store.cancel_sweep(engine, sweep.sweep_id) == (0, 1)
        store.fail_trial(engine, claim.trial_id, claim.attempt, "cancelled", "asked to stop")

    with working(engine, stop):
        done = run(TRIAL=EASE.label)
    assert (done.exit_code, f"{REFIT} was cancelled." in done.stdout) == (1, True)


# Ctrl-C may come while the first line is printed, or later.
@pytest.mark.parametrize("step", ["describe_data", "watch_trial"])
def test_an_interrupted_command_leaves_the_refit_and_the_same_command_goes_on(
    engine, sweep, artifacts, run, step
):
    with patch.object(promotion, step, side_effect=KeyboardInterrupt):
        left = [run(TRIAL=EASE.label) for _ in range(2)]
    for result in left:
        assert result.exit_code == INTERRUPTED
        assert "The refit goes on without you" in result.stdout
        assert "make promote TRIAL=ease SWEEP=small" in result.stdout
    refit = find(engine, sweep, REFIT)
    assert refit.status == "queued"
    # One message, however often the command ran.
    with redis.Redis.from_url(os.environ["BROKER_URL"]) as client:
        assert client.llen(QUEUE_NAME) == 1
    with working(engine, lambda claim: train(engine, claim, artifacts, DATASET)) as taken:
        assert run(TRIAL=EASE.label).exit_code == 0
    assert taken == [REFIT]


def test_an_interrupted_verification_says_that_the_refit_is_not_verified(engine, sweep, artifacts, run):
    with (
        working(engine, lambda claim: train(engine, claim, artifacts, DATASET)),
        patch.object(promotion, "run_in_foreground", return_value=INTERRUPTED),
    ):
        left = run(TRIAL=EASE.label)
    assert left.exit_code == INTERRUPTED
    assert "The refit is trained, but not verified." in left.stdout
    assert served(engine) == BIAS.label
    assert run(TRIAL=EASE.label).exit_code == 0
    assert served(engine) == REFIT


def test_lists_that_do_not_follow_from_the_model_are_not_served(engine, sweep, artifacts, run, capfd):
    def train_and_spoil(claim: Claim) -> None:
        train(engine, claim, artifacts, DATASET)
        with engine.begin() as connection:
            connection.execute(
                text("update recommendations set score = score + 1 where trial_id = :trial_id and rank = 1"),
                {"trial_id": claim.trial_id},
            )

    with working(engine, train_and_spoil):
        done = run(TRIAL=EASE.label)
    assert done.exit_code == 1
    assert f"{REFIT}: stored recommendations differ from the model's" in capfd.readouterr().out
    assert f"{REFIT} is not served, because its lists could not be verified." in done.stdout
    assert served(engine) == BIAS.label


def test_an_open_refit_is_in_the_status_and_is_cancelled_with_its_sweep(engine, sweep, run):
    store.queue_refit(engine, find(engine, sweep, EASE.label))
    assert f"Refit {REFIT} of sweep {sweep.sweep_id}: queued" in CliRunner().invoke(status).stdout
    cancelled = CliRunner().invoke(cancel).stdout
    assert "1 queued trials cancelled, 0 running ones stop within seconds" in cancelled
    assert f"Among them {REFIT}, which `make promote` takes up again." in cancelled
    assert "Refit " not in CliRunner().invoke(status).stdout


def test_refit_0_serves_the_trial_as_it_is(engine, sweep, run):
    done = run(TRIAL=EASE.label, REFIT="0")
    assert done.exit_code == 0
    assert served(engine) == EASE.label
    assert find(engine, sweep, REFIT) is None
    assert "It learned from the training part of the 360 ratings" in done.stdout


def test_verify_looks_at_refits_by_all_ratings(engine, sweep, artifacts, run):
    with working(engine, lambda claim: train(engine, claim, artifacts, DATASET)):
        assert run(TRIAL=EASE.label).exit_code == 0
    done = worker_command("worker.verify", str(sweep.sweep_id))
    assert (done.returncode, done.stderr) == (0, "")
    labels = (EASE.label, BIAS.label, POPULARITY.label, REFIT)
    assert sorted(done.stdout.splitlines()[:4]) == sorted(f"{label}: as stored" for label in labels)


def test_verify_refuses_a_trial_of_another_sweep(engine, sweep, run):
    other = store_sweep(engine, DATASET, [EASE])
    (trial,) = store.sweep_trials(engine, other.sweep_id)
    done = worker_command("worker.verify", str(sweep.sweep_id), "--trial", str(trial.trial_id))
    assert done.returncode == 2
    assert f"must be the id of a trial of sweep {sweep.sweep_id}; got {trial.trial_id}" in done.stderr


def test_a_history_that_equals_a_users_ratings_gets_that_users_list(engine, sweep, artifacts, run):
    with working(engine, lambda claim: train(engine, claim, artifacts, DATASET)):
        assert run(TRIAL=EASE.label).exit_code == 0
    refit = find(engine, sweep, REFIT)
    rated = [
        f"{DATASET.item_ids[item]}:{rating:g}"
        for user, item, rating in zip(DATASET.user_index, DATASET.item_index, DATASET.ratings, strict=True)
        if user == 4
    ]
    done = worker_command("worker.recommend", str(refit.trial_id), "--", ",".join(rated))
    assert (done.returncode, done.stderr) == (0, "")
    recommended = done.stdout.partition("Recommended")[2].splitlines()
    shown = [tuple(line.split()[:3]) for line in recommended if line.strip()[:1].isdigit()]
    stored = store.recommendations_of(engine, refit.trial_id, DATASET.user_ids[4])
    assert shown == [(str(one.rank), one.item_id, f"{one.score:.4f}") for one in stored]
    assert len(shown) == 3


def test_a_model_that_is_gone_is_named(engine, sweep, artifacts, run):
    trial = find(engine, sweep, EASE.label)
    local_path(trial.model_url).unlink()
    done = worker_command("worker.recommend", str(trial.trial_id), "--", "10")
    assert done.returncode == 2
    assert f"the saved model {trial.model_url} of ease is gone" in done.stderr


def worker_command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=PROJECT_ROOT,
        env={name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"},
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
