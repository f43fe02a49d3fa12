"""The view of all sweeps: states, what it costs still; pure, from records made by hand."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from scheduler.page.time_left import Progress, progress_of
from scheduler.page.views.sweeps import build, outcome_of, state_of
from shared.store.page.sweeps import OpenTrial, SweepLine, Sweeps
from tests.factories import make_config

NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
SWEEP = SweepLine(
    sweep_id=7,
    name="lists",
    dataset_name="sample",
    is_synthetic=True,
    is_refresh=False,
    created_at=NOW,
    ended_at=None,
    objective="ndcg@20",
    n_trials=4,
    n_queued=0,
    n_running=0,
    n_succeeded=0,
    n_failed=0,
    n_cancelled=0,
    n_stopped=0,
    train_seconds=0.0,
    started_at=None,
    finished_at=None,
    leader_trial_id=None,
    leader_label=None,
    leader_value=None,
)
CONFIG = make_config()
TRIAL = OpenTrial(
    sweep_id=7,
    trial_id=1,
    label="dot",
    status="queued",
    worker=None,
    attempt=0,
    config=CONFIG.canonical,
    config_hash=CONFIG.config_hash,
    started_at=None,
    finished_at=None,
    is_lost=None,
    epoch=None,
    n_epochs=10,
    is_refit=False,
)
DONE = replace(TRIAL, status="succeeded", started_at=NOW - timedelta(seconds=60), finished_at=NOW)


@pytest.mark.parametrize(
    ("counts", "state"),
    [
        ({"n_trials": 0}, "empty"),
        ({"n_running": 1, "n_queued": 3}, "running"),
        ({"n_queued": 3, "n_succeeded": 1}, "waiting"),
        ({"n_succeeded": 3, "n_cancelled": 1}, "cancelled"),
        ({"n_succeeded": 3, "n_failed": 1}, "ended"),
        ({"n_failed": 4}, "failed"),
    ],
)
def test_a_sweep_is_in_one_state(counts: dict[str, int], state: str) -> None:
    assert state_of(replace(SWEEP, **counts)) == state


def test_the_outcome_names_what_there_is() -> None:
    assert (
        outcome_of(replace(SWEEP, n_succeeded=3, n_stopped=2, n_failed=1))
        == "3 succeeded, 2 stopped, 1 failed"
    )


def test_time_left_follows_from_what_trials_have_cost() -> None:
    # One of four equal trials took 60 s, one is half done after 30 s: 1.5 of 4 in 90 s of work; 2.5 are left,
    # 60 s each, and one runs at a time.
    half = replace(TRIAL, status="running", started_at=NOW - timedelta(seconds=30), epoch=5)
    progress = progress_of([DONE, half, TRIAL, TRIAL], NOW)
    assert progress.fraction == pytest.approx(1.5 / 4)
    assert progress.seconds_left == pytest.approx(150)


def test_without_a_running_trial_nobody_says_how_long_it_takes() -> None:
    assert progress_of([DONE, TRIAL], NOW) == Progress(0.5, None)


def test_a_configuration_of_another_version_counts_as_no_work() -> None:
    unreadable = replace(TRIAL, config={"family": "of tomorrow"}, config_hash="0" * 16)
    assert progress_of([DONE, unreadable], NOW).fraction == 1.0


def test_a_refit_is_at_work_but_no_part_of_the_progress() -> None:
    refit = replace(TRIAL, status="running", is_refit=True, started_at=NOW)
    (one,) = build(Sweeps((SWEEP,), (DONE, refit), ()), NOW)["open_sweeps"]
    assert one.fraction == 1.0
    assert one.running == (refit,)
