"""Stopping the hopeless: who is stopped for whom, what stays, and how they go on."""

import threading

import pytest
from sqlalchemy import text

from shared import store
from shared.domain.families.matrix_factorization import MatrixFactorization
from shared.domain.protocol import Protocol
from shared.domain.results import EpochRecord
from shared.domain.stopping import Stopping
from shared.domain.training import TrainingConfig
from shared.domain.trial import TrialConfig
from tests.factories import claim_label, make_config, make_dataset, make_result

DATASET = make_dataset()
HALVING = Stopping("successive_halving", min_epochs=2, reduction=3)
CONFIGS = [make_config(embedding_size=size) for size in range(1, 9)]
OTHER_FAMILY = TrialConfig(MatrixFactorization(), TrainingConfig())


class Running:
    """Trials of one sweep that run at once, each in the hands of the test."""

    def __init__(self, engine, stopping=HALVING, objective="ndcg@2", configs=CONFIGS):
        self.engine = engine
        self.protocol = Protocol(k=2, objective=objective)
        self.sweep = store.create_sweep(
            engine,
            "stopping",
            store.save_dataset(engine, DATASET),
            spec={"stopping": stopping.canonical},
            protocol=self.protocol,
            code_version="test",
        )
        store.add_trials(engine, self.sweep.sweep_id, configs)
        self.claims = [claim_label(engine, self.sweep.sweep_id, config.label) for config in configs]

    def epoch(self, number, epoch, value):
        """Trial `number` has finished an epoch; what it is told."""
        rmse = self.protocol.objective == "rmse"
        record = EpochRecord(epoch, 0.5, None, value if rmse else 1.0, 0.1, None if rmse else value)
        claim = self.claims[number]
        store.record_epoch(self.engine, claim.trial_id, claim.attempt, record)
        return store.stop_hopeless(self.engine, claim, epoch)

    def epochs(self, number, *values):
        """The same for several epochs from the first; what it is told after the last."""
        return [self.epoch(number, epoch, value) for epoch, value in enumerate(values, start=1)][-1]

    def trial(self, number):
        return store.get_trial(self.engine, self.claims[number].trial_id)

    def fail(self, number):
        claim = self.claims[number]
        store.fail_trial(self.engine, claim.trial_id, claim.attempt, "error", "a fault")


@pytest.fixture
def running(engine):
    return Running(engine)


def test_at_a_rung_the_best_third_goes_on(running):
    assert running.epochs(0, 0.1, 0.30) is None
    stop = running.epochs(1, 0.1, 0.20)
    assert str(stop) == "stopped after epoch 2: ndcg@2 0.2000, 0.3000 was needed"
    trial = running.trial(1)
    assert (trial.status, trial.stopped_epoch, trial.stopped_value, trial.stopped_against) == (
        "stopped",
        2,
        0.2,
        0.3,
    )
    assert (trial.stopped_by, trial.epoch, trial.finished_at is None) == (HALVING.canonical, 2, False)
    # Four have come now: two of them go on.
    assert running.epochs(2, 0.1, 0.10) is not None
    assert running.epochs(3, 0.1, 0.25) is None
    with running.engine.begin() as connection:
        ends = list(
            connection.execute(
                text("select end_reason, error_message from attempts where trial_id = :id"),
                {"id": trial.trial_id},
            )
        )
    assert ends == [("stopped", str(stop))]


def test_the_best_value_by_the_rung_counts_and_a_tie_is_no_defeat(running):
    running.epochs(0, 0.30, 0.10)
    assert running.epochs(1, 0.20, 0.30) is None


def test_less_is_better_where_the_objective_is_an_error(engine):
    running = Running(engine, objective="rmse")
    assert running.epochs(0, 1.0, 0.8) is None
    stop = running.epochs(1, 1.0, 0.9)
    assert (stop.value, stop.against) == (0.9, 0.8)


def test_who_passed_for_lack_of_company_is_judged_again_after_each_epoch(running):
    assert running.epochs(0, 0.1, 0.10, 0.12) is None
    assert running.epochs(1, 0.1, 0.30) is None
    stop = running.epoch(0, 4, 0.14)
    assert str(stop) == "stopped after epoch 4: ndcg@2 0.1000 by epoch 2, 0.3000 was needed"


def test_the_leader_is_never_stopped_whatever_it_had_at_the_rung(running):
    assert running.epochs(0, 0.1, 0.10, 0.40) is None
    assert running.epochs(1, 0.1, 0.30) is None
    assert running.epoch(0, 4, 0.35) is None


def test_nobody_is_stopped_for_one_that_failed(running):
    running.epochs(0, 0.1, 0.30)
    running.fail(0)
    assert running.epochs(1, 0.1, 0.20) is None


def test_one_that_succeeded_before_the_rung_is_company(engine):
    running = Running(engine)
    running.epochs(0, 0.5)
    store.finish_trial(engine, running.claims[0], make_result(DATASET, n_epochs=0), DATASET)
    running.epoch(0, 1, 0.5)
    with engine.begin() as connection:
        connection.execute(
            text(
                "insert into epochs (trial_id, epoch, attempt, loss, objective, seconds)"
                " values (:id, 1, 1, 0.1, 0.5, 1)"
            ),
            {"id": running.claims[0].trial_id},
        )
    assert running.epochs(1, 0.1, 0.20) is not None


def test_families_are_not_compared(engine):
    running = Running(engine, configs=[CONFIGS[0], OTHER_FAMILY])
    running.epochs(0, 0.1, 0.30)
    assert running.epochs(1, 0.1, 0.20) is None


def test_a_trial_with_missing_epochs_is_not_judged(running):
    running.epochs(0, 0.1, 0.30)
    # The database was away during the first epoch.
    assert running.epoch(1, 2, 0.20) is None


def test_after_the_last_epoch_nobody_is_stopped(running):
    running.epochs(0, *[0.3] * 30)
    claim = running.claims[1]
    for epoch in range(1, 31):
        record = EpochRecord(epoch, 0.5, None, 1.0, 0.1, 0.2)
        store.record_epoch(running.engine, claim.trial_id, claim.attempt, record)
    assert store.stop_hopeless(running.engine, claim, 30) is None
    assert store.stop_hopeless(running.engine, claim, 29) is not None


def test_the_median_rule_counts_those_it_stopped(engine):
    running = Running(engine, Stopping("median", min_epochs=2))
    assert running.epochs(0, 0.1, 0.30, 0.40) is None
    assert running.epochs(1, 0.1, 0.10) is not None
    # Between 0.3 and 0.1: above the median of both.
    assert running.epochs(2, 0.1, 0.25) is None
    # By the third epoch 0.4 and 0.1, which is as far as the second one came.
    assert running.epoch(2, 3, 0.25) is None
    assert running.epochs(3, 0.1, 0.2) is not None


@pytest.mark.parametrize("asked_by", ["repeats", "refit", "rehearsal", "no rule"])
def test_refits_rehearsals_and_repeats_are_never_stopped(engine, asked_by):
    running = Running(engine)
    running.epochs(0, 0.1, 0.30)
    claim = running.claims[1]
    change = {
        "repeats": "update trials set asked_by = 'repeats' where trial_id = :id",
        "refit": "update trials set refit_of = :other where trial_id = :id",
        "rehearsal": "update trials set refreshed_from = :other where trial_id = :id",
        "no rule": "update sweeps set spec = '{}'",
    }[asked_by]
    store.release_trial(engine, claim.trial_id, claim.attempt, "handed_back")
    with engine.begin() as connection:
        other = running.claims[0].trial_id
        connection.execute(text(change), {"id": claim.trial_id, "other": other})
    running.claims[1] = store.claim_trial(engine, claim.trial_id, "w", 60, "test")
    assert running.epochs(1, 0.1, 0.20) is None
    assert running.trial(1).status == "running"


def test_a_rule_that_is_taken_back_stops_nobody_who_runs(engine, running):
    running.epochs(0, 0.1, 0.30)
    with engine.begin() as connection:
        connection.execute(text("""update sweeps set spec = '{"stopping": {"rule": "none"}}'"""))
    assert running.epochs(1, 0.1, 0.20) is None


def test_a_trial_that_was_asked_to_stop_is_cancelled_and_not_stopped(engine, running):
    running.epochs(0, 0.1, 0.30)
    store.cancel_sweep(engine, running.sweep.sweep_id)
    assert running.epochs(1, 0.1, 0.20) is None
    assert running.trial(1).status == "running"


def test_an_attempt_that_was_superseded_stops_nothing(engine, running):
    running.epochs(0, 0.1, 0.30)
    claim = running.claims[1]
    running.epochs(1, 0.1)
    store.release_trial(engine, claim.trial_id, claim.attempt, "handed_back")
    later = store.claim_trial(engine, claim.trial_id, "w", 60, "test")
    store.record_epoch(engine, later.trial_id, later.attempt, EpochRecord(2, 0.5, None, 1.0, 0.1, 0.2))
    assert store.stop_hopeless(engine, claim, 2) is None
    assert store.stop_hopeless(engine, later, 2) is not None


def test_eight_that_are_judged_at_once_never_stop_each_other_all(engine):
    for attempt in range(5):
        running = Running(engine)
        for number in range(8):
            running.epoch(number, 1, 0.1)
        barrier = threading.Barrier(8)

        def judge(number, running=running, barrier=barrier, attempt=attempt):
            barrier.wait()
            running.epoch(number, 2, 0.1 + (number * 3 + attempt) % 8 / 100)

        threads = [threading.Thread(target=judge, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        best = max(range(8), key=lambda number: (number * 3 + attempt) % 8)
        assert running.trial(best).status == "running"


def test_with_the_rule_removed_stopped_trials_go_on_and_while_it_stands_they_stay(engine, running):
    running.epochs(0, 0.1, 0.30)
    running.epochs(1, 0.1, 0.20)
    stopped = running.trial(1)

    def reprieved(*rule):
        trials = store.sweep_trials(engine, running.sweep.sweep_id)
        return store.reprieved_trials(engine, trials, running.protocol, Stopping(*rule))

    # However many worse ones have come since: the same rule stands.
    for number in range(2, 8):
        running.epochs(number, 0.01, 0.1 - number / 100)
    ids = [running.trial(number).trial_id for number in range(8)]
    assert reprieved("successive_halving", 2, 3) == frozenset()
    assert reprieved("none") == set(ids[1:])
    assert reprieved("successive_halving", 3, 3) == set(ids[1:])
    # Of eight, four go on by halves, and the best one of them already does.
    assert reprieved("successive_halving", 2, 2) == set(ids[1:4])
    store.requeue_trials(engine, [stopped.trial_id])
    again = store.get_trial(engine, stopped.trial_id)
    assert (again.status, again.stopped_epoch, again.stopped_by, again.attempts_allowed) == (
        "queued",
        None,
        None,
        4,
    )


def test_a_stopped_trial_is_seen_everywhere_as_no_failure(engine, running):
    running.epochs(0, 0.1, 0.30)
    running.epochs(1, 0.1, 0.20)
    (progress,) = store.sweep_progress(engine)
    assert (progress.n_stopped, progress.n_failed) == (1, 0)
    rows = store.leaderboard(engine, running.sweep.sweep_id)
    assert (rows[0].status, rows[0].stopped_epoch, rows[0].stopped_value, rows[0].stopped_against) == (
        "stopped",
        2,
        0.2,
        0.3,
    )
    columns, found = store.run_query(engine, "stopped_trials", {})
    (row,) = [dict(zip(columns, one, strict=True)) for one in found]
    assert (row["rung"], float(row["behind_by"]), row["n_epochs"], row["saved_by_all"]) == (2, 0.1, 2, 28)
    assert (
        store.end_lost_attempt(engine, running.claims[1].trial_id, "worker-1", "lost_worker", "killed")
        is None
    )
    assert store.extend_lease(engine, running.claims[1].trial_id, 1, 60) == "superseded"
