"""Case 7: a scheduler that is killed while it enqueues or watches, and two at once."""

import os
import random
import signal
import time
from io import StringIO

from scheduler.progress import watch_sweep
from shared.console import PlainConsole
from shared.queue import find_messages
from shared.store.database import create_engine
from tests.chaos.cluster import Cluster, assert_whole, short_trials

N_KILLS = 20
# Forty trials, so that storing and publishing takes a while.
FORTY_TRIALS = short_trials(range(1, 41))
SIX_TRIALS = short_trials((4, 6, 8, 10))


def dispatch_in_a_process(cluster: Cluster, sweep: str, name: str) -> int:
    """Start a scheduler that stores and publishes the sweep; gives its process id."""
    pid = os.fork()
    if pid == 0:
        try:
            cluster.engine = create_engine(cluster.database_url)
            cluster.dispatch(sweep, name)
        finally:
            os._exit(0)
    return pid


def test_scheduler_killed_while_it_enqueues(cluster):
    seed = int(os.environ.get("CHAOS_SEED", "20"))
    print(f"CHAOS_SEED={seed}")  # noqa: T201  The seed that repeats this run.
    chance = random.Random(seed)  # noqa: S311  Chance that can be repeated.
    started = time.monotonic()
    os.waitpid(dispatch_in_a_process(cluster, FORTY_TRIALS, "whole"), 0)
    whole_seconds = time.monotonic() - started
    for number in range(N_KILLS):
        pid = dispatch_in_a_process(cluster, FORTY_TRIALS, f"killed{number}")
        time.sleep(chance.uniform(0.0, whole_seconds))
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        sweep_id = cluster.dispatch(FORTY_TRIALS, f"killed{number}")
        trials = cluster.trials(sweep_id)
        assert len(trials) == len({trial.label for trial in trials}) == 42
        assert {trial.trial_id for trial in trials} <= find_messages(cluster.broker_url).waiting
    assert cluster.select("select count(distinct name), count(*) from sweeps") == [(N_KILLS + 1, N_KILLS + 1)]


def test_two_schedulers_at_once_on_the_same_sweep(cluster):
    pids = [dispatch_in_a_process(cluster, SIX_TRIALS, "both") for _ in range(2)]
    for pid in pids:
        os.waitpid(pid, 0)
    cluster.add_worker(2)
    sweep_id = cluster.dispatch(SIX_TRIALS, "both")
    trials = cluster.wait_for_end(sweep_id)
    assert_whole(cluster, sweep_id)
    assert cluster.select("select count(*) from sweeps") == [(1,)]
    assert [(trial.status, trial.attempt) for trial in trials] == [("succeeded", 1)] * 6


def test_scheduler_killed_while_it_watches(cluster):
    sweep_id = cluster.dispatch(SIX_TRIALS)
    pid = os.fork()
    if pid == 0:
        try:
            engine = create_engine(cluster.database_url)
            watch_sweep(engine, cluster.broker_url, sweep_id, PlainConsole(file=StringIO()))
        finally:
            os._exit(0)
    cluster.add_worker(2)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    assert cluster.dispatch(SIX_TRIALS) == sweep_id
    output = StringIO()
    trials = watch_sweep(cluster.engine, cluster.broker_url, sweep_id, PlainConsole(file=output))
    assert [(trial.status, trial.attempt) for trial in trials] == [("succeeded", 1)] * 6
    assert "[6/6]" in output.getvalue()
    assert_whole(cluster, sweep_id)
