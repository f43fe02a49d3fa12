"""Blends in the database: added when their parts have ended, trained from these, refitted after them."""

import os
from pathlib import Path
from unittest.mock import patch

import pytest
from click.testing import CliRunner
from sqlalchemy import Engine, text

from scheduler.commands import promotion
from scheduler.commands.promotion import promote
from scheduler.sweep.dispatch import dispatch
from scheduler.sweep.growth import grow
from scheduler.sweep.spec import SweepSpec, read_spec
from shared import store
from shared.artifacts import local_path
from shared.console import console
from shared.ending import INTERRUPTED
from shared.errors import TrialError
from shared.store import Claim
from tests.factories import make_dataset
from tests.integration.test_promote import working
from worker.trial import run_trial, split_of
from worker.verify.differences import find_differences

DATASET = make_dataset(n_users=30, n_items=40, n_rated=12)
_FILE = """
[[models]]
family = "ease"
l2 = 5
[[models]]
family = "item_knn"
neighbours = 5
[[blends]]
of_best = 2
weights = "validation"
[protocol]
objective = "ndcg"
k = 3
validation_fraction = 0.2
"""


@pytest.fixture
def artifacts(engine: Engine, tmp_path: Path) -> str:
    return store.artifact_root(engine, (tmp_path / "artifacts").as_uri())


@pytest.fixture
def spec(tmp_path: Path) -> SweepSpec:
    path = tmp_path / "small.toml"
    path.write_text(_FILE, encoding="utf-8")
    return read_spec(path)


@pytest.fixture
def begin(engine, broker_url, artifacts, spec):
    """`make sweep`, as far as it asks for trials; gives the sweep's id."""

    def call(asked: SweepSpec = spec) -> int:
        sweep, _ = dispatch(engine, broker_url, artifacts, asked, DATASET, fresh=False)
        return sweep.sweep_id

    return call


def claim(engine: Engine, trial_id: int) -> Claim:
    found = store.claim_trial(engine, trial_id, "worker-1", 60, "test")
    assert found is not None
    return found


def run(engine: Engine, artifacts: str, one: Claim) -> None:
    result = run_trial(one, DATASET, artifacts, lambda _epoch: None, lambda: None)
    assert store.finish_trial(engine, one, result, DATASET)


def run_queued(engine: Engine, artifacts: str) -> None:
    for trial in store.queued_trials(engine):
        run(engine, artifacts, claim(engine, trial.trial_id))


def blends_of(engine: Engine, sweep_id: int) -> list[store.Trial]:
    return [trial for trial in store.sweep_trials(engine, sweep_id) if trial.asked_by == "blends"]


@pytest.fixture
def blended(engine, broker_url, artifacts, begin):
    """A sweep whose blend has succeeded; gives that."""
    sweep_id = begin()
    run_queued(engine, artifacts)
    grow(engine, broker_url, sweep_id)
    run_queued(engine, artifacts)
    store.mark_ended_sweeps(engine)
    (blend,) = blends_of(engine, sweep_id)
    return blend


def test_a_blend_is_added_once_its_parts_have_ended_and_only_once(engine, broker_url, artifacts, begin):
    sweep_id = begin()
    grow(engine, broker_url, sweep_id)
    assert blends_of(engine, sweep_id) == []
    assert store.is_growing(engine, sweep_id)
    run_queued(engine, artifacts)
    grow(engine, broker_url, sweep_id)
    grow(engine, broker_url, sweep_id)
    (blend,) = blends_of(engine, sweep_id)
    assert blend.status == "queued"
    assert not store.is_growing(engine, sweep_id)
    begin()
    grow(engine, broker_url, sweep_id)
    assert len(blends_of(engine, sweep_id)) == 1
    parts = store.parts_of(engine, blend.trial_id)
    assert [(part.label, part.status, part.weight) for part in parts] == [
        ("ease_l2-5", "succeeded", None),
        ("item_knn_neighbours-5", "succeeded", None),
    ]


def test_a_blend_leaves_weights_lists_and_metrics_that_can_be_verified(engine, blended):
    parts = store.parts_of(engine, blended.trial_id)
    assert sum(part.weight for part in parts) == pytest.approx(1)
    assert blended.status == "succeeded"
    assert blended.objective is not None
    sweep = store.get_sweep(engine, blended.sweep_id)
    # What it needs is in its own file.
    for part in parts:
        local_path(part.model_url).unlink()
    split = split_of(None, DATASET, sweep.protocol)
    assert find_differences(engine, sweep, blended, DATASET, split).differences == ()
    with engine.begin() as connection:
        own, of_parts = connection.execute(
            text("""
                select blends.train_seconds, sum(parts.train_seconds)
                from blend_parts
                join trials as blends using (trial_id)
                join trials as parts on parts.trial_id = blend_parts.part_trial_id
                group by blends.trial_id
            """)
        ).one()
    assert own > of_parts


@pytest.mark.parametrize("fault", ["gone", "cut off"])
def test_a_part_that_cannot_be_read_fails_the_blend_and_make_sweep_runs_it_again(
    engine, broker_url, artifacts, begin, fault
):
    sweep_id = begin()
    run_queued(engine, artifacts)
    grow(engine, broker_url, sweep_id)
    (blend,) = blends_of(engine, sweep_id)
    path = local_path(store.parts_of(engine, blend.trial_id)[0].model_url)
    content = path.read_bytes()
    path.write_bytes(content[:100])
    if fault == "gone":
        path.unlink()
    failing = claim(engine, blend.trial_id)
    with pytest.raises(TrialError, match="ease_l2-5") as told:
        run_trial(failing, DATASET, artifacts, lambda _epoch: None, lambda: None)
    assert told.value.reason == "artifact"
    store.fail_trial(engine, blend.trial_id, failing.attempt, "artifact", str(told.value))
    grow(engine, broker_url, sweep_id)
    assert [one.status for one in blends_of(engine, sweep_id)] == ["failed"]

    path.write_bytes(content)
    begin()
    run_queued(engine, artifacts)
    assert [one.status for one in blends_of(engine, sweep_id)] == ["succeeded"]


@pytest.fixture
def larger(tmp_path: Path) -> SweepSpec:
    """The same sweep with more trials of a family."""
    path = tmp_path / "larger" / "small.toml"
    path.parent.mkdir()
    path.write_text(_FILE.replace("neighbours = 5", "neighbours = [5, 6, 30]"), encoding="utf-8")
    return read_spec(path)


def test_a_better_part_makes_a_new_blend_and_the_old_one_stays(  # noqa: PLR0917  Fixtures.
    engine, broker_url, artifacts, begin, blended, larger
):
    begin(larger)
    run_queued(engine, artifacts)
    with engine.begin() as connection:
        connection.execute(
            text("""
                update metrics set value = 0.99
                from trials
                where trials.trial_id = metrics.trial_id and metrics.name = 'ndcg@3'
                    and trials.label = 'item_knn_neighbours-30'
            """)
        )
    grow(engine, broker_url, blended.sweep_id)
    old, new = blends_of(engine, blended.sweep_id)
    assert (old.trial_id, old.status, new.status) == (blended.trial_id, "succeeded", "queued")
    assert [part.label for part in new.config.architecture.parts] == ["ease_l2-5", "item_knn_neighbours-30"]


@pytest.fixture
def promoting(engine, database_url, broker_url, tmp_path, monkeypatch):
    places = {
        "DATABASE_URL": database_url,
        "BROKER_URL": broker_url,
        "ARTIFACT_URL": (tmp_path / "artifacts").as_uri(),
        "STATE_DIR": str(tmp_path / "state"),
        "START_SERVICES": "false",
    }
    for name, value in places.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(console, "_width", 1000)
    assert os.environ["BROKER_URL"] == broker_url

    def call(label: str):
        return CliRunner(env={"TRIAL": label}).invoke(promote, [], catch_exceptions=False)

    return call


def test_a_promoted_blend_is_of_the_refits_of_its_parts(engine, artifacts, blended, promoting):
    # Interrupted while a part is trained, the same command goes on.
    with patch.object(promotion, "watch_trial", side_effect=KeyboardInterrupt):
        interrupted = promoting(blended.label)
    assert interrupted.exit_code == INTERRUPTED
    assert f"make promote TRIAL={blended.label} SWEEP=small" in interrupted.stdout
    with working(engine, lambda one: run(engine, artifacts, one)) as taken:
        done = promoting(blended.label)
        again = promoting(blended.label)
    assert done.exit_code == again.exit_code == 0, done.stdout
    assert sorted(taken) == sorted(
        ["ease_l2-5_refit", "item_knn_neighbours-5_refit", f"{blended.label}_refit"]
    )
    assert taken[-1] == f"{blended.label}_refit"
    served = store.served_trial(engine, DATASET.name)
    assert (served.label, served.chosen_label) == (f"{blended.label}_refit", blended.label)
    refit = store.find_trial(engine, blended.sweep_id, f"{blended.label}_refit")
    parts, refitted = (store.parts_of(engine, one.trial_id) for one in (blended, refit))
    assert [part.label for part in refitted] == [f"{part.label}_refit" for part in parts]
    assert [part.weight for part in refitted] == [part.weight for part in parts]
    assert f"{refit.label} is served already" in again.stdout
    columns, (row,) = store.run_query(engine, "lineage", {"dataset": DATASET.name})
    told = dict(zip(columns, row, strict=True))["parts"]
    assert told == ", ".join(f"{part.label} {part.weight:.3f}" for part in refitted)


def test_a_part_whose_refit_fails_changes_nothing(engine, artifacts, blended, promoting):
    def fail(one: Claim) -> None:
        assert store.fail_trial(engine, one.trial_id, one.attempt, "disk_full", "no space left")

    with working(engine, fail):
        failed = promoting(blended.label)
    assert failed.exit_code == 1
    assert "failed: ease_l2-5_refit: disk_full: no space left" in failed.stdout
    assert store.find_trial(engine, blended.sweep_id, f"{blended.label}_refit") is None
