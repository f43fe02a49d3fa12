"""The plan says what a sweep file asks for beside what is stored."""

from datetime import UTC, datetime

import pytest

from scheduler.progress import done_fraction
from scheduler.sweep.dispatch import by_cost, make_plan, remove_old_checkpoints
from shared.domain.families.item_popularity import ItemPopularity
from shared.domain.families.tower import Tower
from shared.domain.training import TrainingConfig
from shared.domain.trial import TrialConfig
from shared.store import Trial


def _config(embedding_size: int = 8, merge: str = "concatenate") -> TrialConfig:
    return TrialConfig(Tower(merge, embedding_size, (1,)), TrainingConfig())


def _trial(config: TrialConfig, status: str, epoch: int | None = None) -> Trial:
    return Trial(
        trial_id=1,
        sweep_id=1,
        label=config.label,
        config=config,
        config_hash=config.config_hash,
        status=status,
        attempt=1,
        attempts_allowed=3,
        worker=None,
        epoch=epoch,
        val_rmse=None,
        error_reason=None,
        error_message=None,
        queued_at=None,
        started_at=datetime(2026, 1, 1, tzinfo=UTC),
        finished_at=None,
    )


@pytest.mark.parametrize(
    ("status", "is_to_run"),
    [("queued", False), ("running", False), ("succeeded", False), ("failed", True), ("cancelled", True)],
)
def test_a_stored_trial_runs_again_only_when_it_failed_or_was_cancelled(status, is_to_run):
    plan = make_plan([_config()], [_trial(_config(), status)])
    assert bool(plan.to_run) == is_to_run


def test_a_stopped_trial_is_counted_and_runs_again_only_where_the_rule_lets_it_go_on():
    stored = [_trial(_config(), "stopped")]
    plan = make_plan([_config()], stored)
    assert (str(plan), plan.n_trials) == ("to run 0, done 0, running 0, stopped 1, failed 0", 1)
    plan = make_plan([_config()], stored, reprieved={1})
    assert (str(plan), plan.n_trials) == ("to run 1, done 0, running 0, failed 0", 1)
    assert done_fraction(stored) == 1.0


def test_plan_counts_every_state_and_runs_what_is_new():
    configs = [_config(size) for size in (1, 2, 3, 4, 5)]
    stored = [
        _trial(configs[0], "succeeded"),
        _trial(configs[1], "running"),
        _trial(configs[2], "queued"),
        _trial(configs[3], "failed"),
    ]
    plan = make_plan(configs, stored)
    assert [config.label for config in plan.to_run] == ["concatenate_4_1", "concatenate_5_1"]
    assert str(plan) == "to run 2, done 1, running 1, queued 1, failed 1 (to run again)"
    assert plan.n_trials == 5


def test_trials_no_longer_in_the_file_are_left_alone():
    plan = make_plan([_config(1)], [_trial(_config(2), "failed")])
    assert [config.label for config in plan.to_run] == ["concatenate_1_1"]
    assert plan.n_failed == 0


def test_most_expensive_trials_are_published_first():
    cheap, dear = _trial(_config(1), "queued"), _trial(_config(100, "dot"), "queued")
    assert by_cost([cheap, dear]) == [dear, cheap]


def test_done_fraction_counts_epochs_of_running_trials():
    trials = [_trial(_config(), "succeeded"), _trial(_config(), "running", epoch=15)]
    # 1 trial whole and 15 of 30 epochs of one of the same cost: (1 + 1/2) / 2.
    assert done_fraction(trials) == pytest.approx(3 / 4)


def test_done_fraction_of_ended_trials_is_one():
    assert done_fraction([_trial(TrialConfig(ItemPopularity()), "failed")]) == 1.0


def test_checkpoints_of_version_0_1_are_removed_and_nothing_else(tmp_path):
    old, of_others = tmp_path / "checkpoints" / "7.npz", tmp_path / "checkpoints" / "8.npz"
    new = tmp_path / "sweep-1" / "label" / "checkpoint.npz"
    for file in (old, of_others, new):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"state")
    remove_old_checkpoints(tmp_path.as_uri(), [6, 7])
    remove_old_checkpoints(tmp_path.as_uri(), [6, 7])
    assert [file.exists() for file in (old, of_others, new)] == [False, True, True]
