"""A sweep is judged by the trials that its file asks for now."""

from dataclasses import replace

from scheduler.sweep.end import judge_end
from tests.factories import make_config
from tests.unit.test_progress import QUEUED

KEPT, ADDED, LEFT = (make_config(embedding_size=size) for size in (4, 8, 16))


def _trial(config, status):
    return replace(QUEUED, config=config, config_hash=config.config_hash, label=config.label, status=status)


def test_a_failed_trial_of_the_file_is_run_again():
    end = judge_end([KEPT, ADDED], [_trial(KEPT, "succeeded"), _trial(ADDED, "failed")])
    assert [trial.label for trial in end.failed] == [ADDED.label]
    assert end.lines() == ["1 of 2 trials succeeded"]


def test_a_failed_trial_that_left_the_file_is_mentioned_and_not_promised():
    end = judge_end([KEPT], [_trial(KEPT, "succeeded"), _trial(LEFT, "failed")])
    assert end.failed == []
    assert end.lines() == [
        "1 of 1 trials succeeded",
        f"1 older trial that the sweep file no longer asks for stays as it is (1 failed: {LEFT.label})",
    ]


def test_cancelled_trials_of_the_file_are_promised_and_older_ones_are_not():
    trials = [_trial(KEPT, "cancelled"), _trial(LEFT, "cancelled"), _trial(ADDED, "succeeded")]
    assert judge_end([KEPT], trials).lines() == [
        "0 of 1 trials succeeded, 1 cancelled (`make sweep` runs them)",
        "2 older trials that the sweep file no longer asks for stay as they are",
    ]


def test_stopped_trials_are_no_failures():
    end = judge_end([KEPT, ADDED], [_trial(KEPT, "succeeded"), _trial(ADDED, "stopped")])
    assert end.failed == []
    assert end.lines() == ["1 of 2 trials succeeded, 1 stopped early, they could not win"]
