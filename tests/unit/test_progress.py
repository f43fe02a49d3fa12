"""What a watcher of a sweep shows, and says when nothing moves."""

import io
from dataclasses import replace

import pytest

from scheduler import progress
from scheduler import stall as stalling
from scheduler.progress import (
    done_fraction,
    progress_table,
    watch_sweep,
)
from scheduler.stall import STALL_SECONDS, STARTING_SECONDS, Stall
from shared.console import PlainConsole
from shared.errors import ServiceError, StoreUnavailable
from shared.queue import Worker
from shared.store import Trial
from tests.clock import Clock
from tests.factories import make_config

QUEUED = Trial(
    trial_id=1,
    sweep_id=1,
    label="concatenate_4_2_1",
    config=make_config(),
    config_hash="0" * 16,
    status="queued",
    attempt=0,
    attempts_allowed=3,
    worker=None,
    epoch=None,
    val_rmse=None,
    error_reason=None,
    error_message=None,
    queued_at=None,
    started_at=None,
    finished_at=None,
)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    monkeypatch.setattr(stalling, "why_waiting", lambda _url, _waited: "no worker answers")
    return Clock()


def test_queued_trials_that_none_takes_are_explained_after_a_while(clock):
    stall = Stall("redis://", clock)
    assert stall.reason([QUEUED]) is None
    clock.seconds = STALL_SECONDS - 1
    assert stall.reason([QUEUED]) is None
    clock.seconds = STALL_SECONDS
    assert stall.reason([QUEUED]) == "1 trial waits, none runs: no worker answers"


@pytest.mark.parametrize(
    ("uptimes", "waited_seconds", "expected"),
    [
        # A worker, then its task processes, may still be starting.
        ([], STARTING_SECONDS - 1, None),
        ([], STARTING_SECONDS, "no worker answers; `make status` shows the services"),
        ([STARTING_SECONDS - 1], 1000, None),
        ([1000, STARTING_SECONDS - 1], 1000, None),
        ([1000, STARTING_SECONDS], 10, "worker-0, worker-1 answers but took none yet"),
    ],
)
def test_workers_that_start_are_waited_for_in_silence(monkeypatch, uptimes, waited_seconds, expected):
    workers = {f"worker-{number}": Worker(1, uptime) for number, uptime in enumerate(uptimes)}
    monkeypatch.setattr(stalling, "require_broker", lambda _url: None)
    monkeypatch.setattr(stalling, "find_workers", lambda _url: workers)

    reason = stalling.why_waiting("redis://", waited_seconds)

    assert reason is None if expected is None else reason.startswith(expected)


def test_a_broker_that_is_away_is_told_at_once(monkeypatch):
    def refuse(_url: str) -> None:
        raise ServiceError("Redis does not answer")

    monkeypatch.setattr(stalling, "require_broker", refuse)
    assert stalling.why_waiting("redis://", STALL_SECONDS) == "Redis does not answer"


def test_nothing_is_said_while_workers_start_and_they_are_asked_again(clock, monkeypatch):
    answers = [None, "no worker answers"]
    monkeypatch.setattr(stalling, "why_waiting", lambda _url, _waited: answers.pop(0))
    stall = Stall("redis://", clock)
    for clock.seconds, expected in (
        (0.0, None),
        (STALL_SECONDS, None),
        (2 * STALL_SECONDS - 1, None),
        (2 * STALL_SECONDS, "3 trials wait, none runs: no worker answers"),
    ):
        assert stall.reason([QUEUED] * 3) == expected


def test_a_running_trial_is_no_stall(clock):
    stall = Stall("redis://", clock)
    running = replace(QUEUED, trial_id=2, status="running", attempt=1)
    stall.reason([QUEUED, running])
    clock.seconds = 10 * STALL_SECONDS
    assert stall.reason([QUEUED, running]) is None


def test_a_change_ends_the_explanation(clock):
    stall = Stall("redis://", clock)
    stall.reason([QUEUED])
    clock.seconds = STALL_SECONDS
    assert stall.reason([QUEUED])
    assert stall.reason([replace(QUEUED, attempt=1)]) is None


def test_a_database_that_is_away_is_waited_for_and_said_once(monkeypatch):
    answers = [StoreUnavailable("Postgres [/x] is away"), StoreUnavailable("still"), None]

    def trials(*_: object) -> list[Trial]:
        if (answer := answers.pop(0)) is not None:
            raise answer
        return [replace(QUEUED, status="succeeded", val_rmse=0.5)]

    monkeypatch.setattr(progress.store, "is_growing", lambda *_: False)
    monkeypatch.setattr(progress.store, "sweep_trials", trials)
    monkeypatch.setattr(progress, "DATABASE_RETRY_SECONDS", 0.0)
    screen = io.StringIO()
    (trial,) = watch_sweep(None, "redis://", 1, PlainConsole(file=screen))
    assert trial.status == "succeeded"
    assert screen.getvalue().splitlines() == [
        "waiting for the database: Postgres [/x] is away",
        "the database is back",
        "[1/1] concatenate_4_2_1: succeeded, val RMSE 0.5000, ",
    ]


def test_an_objective_other_than_the_rmse_is_shown_beside_it():
    done = replace(QUEUED, status="succeeded", val_rmse=0.5, objective=0.25)
    screen = io.StringIO()
    PlainConsole(file=screen).print(progress_table([done], "ndcg@20"))
    assert "val ndcg@20" in screen.getvalue()
    assert "0.2500" in screen.getvalue()
    assert progress._plain_line(done, 1, 1, "ndcg@20").startswith(
        "[1/1] concatenate_4_2_1: succeeded, val RMSE 0.5000, val ndcg@20 0.2500, "
    )
    assert "0.2500" not in progress._plain_line(done, 1, 1, "rmse")


def test_labels_and_messages_are_shown_as_they_are():
    failed = replace(QUEUED, label="a [/b]", status="failed", attempt=2, error_message="[/c] \x1b[2J")
    screen = io.StringIO()
    console = PlainConsole(file=screen)
    console.print(progress_table([failed]))
    assert "a [/b]  failed (attempt 2)" in screen.getvalue()
    console.print(progress._plain_line(failed, 1, 1))
    assert screen.getvalue().endswith(r"[1/1] a [/b]: failed (attempt 2), None: [/c] \x1b[2J" + "\n")


def test_a_refit_is_as_far_as_its_own_epochs_are():
    # The configuration allows 30 epochs; the refit has the 8 that were best.
    running = replace(QUEUED, status="running", epoch=2)
    assert done_fraction([running]) == pytest.approx(2 / 30)
    assert done_fraction([replace(running, refit_of=7, n_epochs=8)]) == pytest.approx(2 / 8)


def test_a_stopped_trial_is_shown_with_the_value_it_lost_to():
    stopped = replace(
        QUEUED, status="stopped", stopped_epoch=6, stopped_value=0.21, stopped_against=0.25, objective=0.22
    )
    screen = io.StringIO()
    PlainConsole(file=screen, width=200).print(progress_table([stopped], "ndcg@20"))
    assert "stopped, 0.2500 was needed" in screen.getvalue()
    line = progress._plain_line(stopped, 1, 2, "ndcg@20")
    assert line.endswith(": stopped, ndcg@20 0.2100 by epoch 6, 0.2500 was needed")
    assert done_fraction([stopped]) == 1.0
