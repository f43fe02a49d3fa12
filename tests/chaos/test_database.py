"""Cases 5 and 6: a Postgres that restarts, drops connections or is away, and a finish that is killed."""

import os
import random
import signal
import time

import pytest
from sqlalchemy import event

from shared import store
from shared.domain.protocol import Protocol
from shared.errors import StoreUnavailable
from shared.store import Claim, TrialResult
from shared.store.database import create_engine
from tests.chaos.cluster import ONE_TRIAL, Cluster, assert_whole, fingerprint, sample
from tests.chaos.waiting import MEASURED, wait_for
from tests.factories import make_config, make_result, store_sweep

OUTAGE_SECONDS = 120.0
N_KILLS = 100
WORKER = "chaos@host/1"


def assert_undisturbed(cluster: Cluster, sweep_id: int, undisturbed: dict[str, object]) -> None:
    """The first attempt has succeeded, with the result it would have had anyway."""
    cluster.wait_for_end(sweep_id)
    assert_whole(cluster, sweep_id)
    trial = cluster.trial(sweep_id)
    assert (trial.status, trial.attempt) == ("succeeded", 1), trial.error_message
    assert fingerprint(cluster, trial.trial_id) == undisturbed


def test_postgres_restarted_during_training(cluster, undisturbed):
    sweep_id = cluster.dispatch(ONE_TRIAL)
    cluster.add_worker()
    cluster.add_watcher()
    cluster.wait_for_epoch(cluster.trial(sweep_id).trial_id, 2)
    cluster.postgres.kill()
    time.sleep(1.0)
    cluster.postgres.start()
    time.sleep(1.0)
    cluster.postgres.stop_fast()
    cluster.postgres.start()
    assert_undisturbed(cluster, sweep_id, undisturbed)


def test_connections_dropped_while_idle(cluster, undisturbed):
    sweep_id = cluster.dispatch(ONE_TRIAL)
    cluster.add_worker()
    cluster.add_watcher()
    trial_id = cluster.trial(sweep_id).trial_id
    for epoch in (1, 4, 8):
        cluster.wait_for_epoch(trial_id, epoch)
        cluster.select(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where datname = current_database() and pid <> pg_backend_pid()"
        )
    assert_undisturbed(cluster, sweep_id, undisturbed)


def test_postgres_away_for_two_minutes_when_a_trial_finishes(cluster, undisturbed):
    sweep_id = cluster.dispatch(ONE_TRIAL)
    worker = cluster.add_worker()
    cluster.add_watcher()
    cluster.wait_for_epoch(cluster.trial(sweep_id).trial_id, 2)
    cluster.postgres.kill()
    wait_for(lambda: "waiting to write the result" in worker.log, "the trial is trained")
    time.sleep(OUTAGE_SECONDS)
    cluster.postgres.start()
    started_at = time.monotonic()
    wait_for(lambda: cluster.trial(sweep_id).status == "succeeded", "the result is written")
    MEASURED.append(f"Postgres away for 120 s: result written {time.monotonic() - started_at:.1f} s after")
    assert_undisturbed(cluster, sweep_id, undisturbed)


def test_postgres_restarted_during_the_final_write(cluster):
    """It stops in the middle of the transaction; the same call writes all of it when it is back."""
    (claim,) = claims(cluster, n_trials=1)
    result = make_result(sample(), k=20)
    engine = create_engine(cluster.database_url)
    stopped = []

    @event.listens_for(engine, "before_cursor_execute")
    def stop_once(_connection, _cursor, statement, *_):
        if "insert into metrics" in statement and not stopped:
            stopped.append(statement)
            cluster.postgres.stop_fast()

    with pytest.raises(StoreUnavailable):
        store.finish_trial(engine, claim, result, sample())
    assert stopped
    cluster.postgres.start()
    assert store.finish_trial(engine, claim, result, sample())
    engine.dispose()
    assert_whole(cluster, claim.sweep_id)


def test_killed_at_random_points_of_the_finish_step(cluster):
    """A hundred processes write a result and are killed meanwhile: all of it is there, or nothing."""
    seed = int(os.environ.get("CHAOS_SEED", "20"))
    print(f"CHAOS_SEED={seed}")  # noqa: T201  The seed that repeats this run.
    chance = random.Random(seed)  # noqa: S311  Chance that can be repeated.
    result = make_result(sample(), k=20)
    first, *others = claims(cluster, n_trials=N_KILLS + 1)
    started = time.monotonic()
    os.waitpid(finish_in_a_process(cluster, first, result), 0)
    longest_seconds = 1.3 * (time.monotonic() - started)
    n_whole = 0
    for claim in others:
        pid = finish_in_a_process(cluster, claim, result)
        time.sleep(chance.uniform(0.0, longest_seconds))
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        # Waits for what the server is still doing for the dead process.
        ended = store.end_lost_attempt(cluster.engine, claim.trial_id, WORKER, "lost_worker", "killed")
        rows = cluster.select(
            """
            select trials.status,
                (select count(*) from recommendations r where r.trial_id = trials.trial_id),
                (select count(*) from rating_predictions p where p.trial_id = trials.trial_id),
                (select count(*) from metrics m where m.trial_id = trials.trial_id),
                (select count(*) from epochs e where e.trial_id = trials.trial_id)
            from trials where trial_id = :id
            """,
            id=claim.trial_id,
        )
        n_rows = sample().n_users * 20
        whole, nothing = ("succeeded", n_rows, n_rows, 4, 3), ("queued", 0, 0, 0, 0)
        assert rows == [whole if ended is None else nothing]
        n_whole += ended is None
        # The machine may get slower or faster meanwhile: half of them are to come to their end.
        longest_seconds *= 0.95 if ended is None else 1.05
    MEASURED.append(f"killed {N_KILLS} times while finishing: {n_whole} whole, {N_KILLS - n_whole} nothing")
    assert 0 < n_whole < N_KILLS


def claims(cluster: Cluster, n_trials: int) -> list[Claim]:
    """Trials of a new sweep that this process has claimed."""
    sweep = store_sweep(
        cluster.engine, sample(), [make_config(seed=seed) for seed in range(n_trials)], protocol=Protocol()
    )
    found = (
        store.claim_trial(cluster.engine, trial.trial_id, WORKER, 3600, "test")
        for trial in cluster.trials(sweep.sweep_id)
    )
    return [claim for claim in found if claim]


def finish_in_a_process(cluster: Cluster, claim: Claim, result: TrialResult) -> int:
    """Start a process that writes the result and ends; gives its id."""
    pid = os.fork()
    if pid == 0:
        try:
            store.finish_trial(create_engine(cluster.database_url), claim, result, sample())
        finally:
            os._exit(0)
    return pid
