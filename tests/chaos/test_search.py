"""Case 9: a search whose watcher is killed while it asks, two watchers, and Postgres away meanwhile."""

import os
import random
import signal
import time

from shared import store
from shared.store.database import create_engine
from tests.chaos.cluster import Cluster, assert_whole
from tests.chaos.waiting import wait_for

N_TRIALS = 10
SEARCH = f"""
[[models]]
family = "ease"
l2 = {{ from = 10, to = 1000, scale = "log" }}
dropout = {{ from = 0.0, to = 0.5 }}
[search]
method = "tpe"
n_trials = {N_TRIALS}
[protocol]
objective = "ndcg@20"
"""


def assert_searched(cluster: Cluster, sweep_id: int) -> None:
    """It ends with so many different trials as asked for, each run once, and no proposal is lost."""
    wait_for(lambda: not store.is_growing(cluster.engine, sweep_id), "the search has ended")
    cluster.wait_for_end(sweep_id)
    assert_whole(cluster, sweep_id)
    chosen = [trial for trial in cluster.trials(sweep_id) if not trial.config.is_baseline]
    assert len(chosen) == len({trial.config_hash for trial in chosen}) == N_TRIALS
    assert {trial.status for trial in chosen} == {"succeeded"}
    proposals = store.sweep_proposals(cluster.engine, sweep_id)
    assert [one.number for one in proposals] == list(range(1, len(proposals) + 1))
    assert {one.config_hash for one in proposals} == {trial.config_hash for trial in chosen}


def dispatch_and_run_baselines(cluster: Cluster) -> int:
    """As long as they wait, the search asks for nothing."""
    sweep_id = cluster.dispatch(SEARCH)
    cluster.add_worker(2)
    wait_for(
        lambda: {trial.status for trial in cluster.trials(sweep_id)} == {"succeeded"}, "baselines have ended"
    )
    return sweep_id


def look_in_a_process(cluster: Cluster, sweep_id: int, kill_after: str) -> int:
    """A grower that kills itself at its first look: before it stores ("asked") or before it publishes."""
    pid = os.fork()
    if pid == 0:
        try:
            add = store.Turn.add

            def asked(turn: store.Turn, *given: object) -> None:
                add(turn, *given)  # type: ignore[arg-type]
                if kill_after == "asked" and given[1]:
                    os.kill(os.getpid(), signal.SIGKILL)

            def stored(*_: object) -> None:
                os.kill(os.getpid(), signal.SIGKILL)

            from scheduler.sweep import growth  # noqa: PLC0415

            store.Turn.add = asked  # type: ignore[assignment,method-assign]
            growth.publish = stored  # type: ignore[assignment]
            growth.grow(create_engine(cluster.database_url), cluster.broker_url, sweep_id)
        finally:
            os._exit(0)
    return pid


def test_watcher_killed_between_asking_and_storing_twice(cluster):
    sweep_id = dispatch_and_run_baselines(cluster)
    for _ in range(2):
        _, status = os.waitpid(look_in_a_process(cluster, sweep_id, "asked"), 0)
        assert os.WTERMSIG(status) == signal.SIGKILL
        assert store.sweep_proposals(cluster.engine, sweep_id) == []
        assert len(cluster.trials(sweep_id)) == 2
    cluster.add_watcher()
    assert_searched(cluster, sweep_id)


def test_watcher_killed_between_storing_and_publishing(cluster):
    sweep_id = dispatch_and_run_baselines(cluster)
    _, status = os.waitpid(look_in_a_process(cluster, sweep_id, "stored"), 0)
    assert os.WTERMSIG(status) == signal.SIGKILL
    assert len(store.queued_trials(cluster.engine)) == 2
    cluster.add_watcher()
    assert_searched(cluster, sweep_id)


def test_two_watchers_one_of_which_is_killed_again_and_again(cluster):
    seed = int(os.environ.get("CHAOS_SEED", "5"))
    print(f"CHAOS_SEED={seed}")  # noqa: T201  The seed that repeats this run.
    chance = random.Random(seed)  # noqa: S311  Chance that can be repeated.
    sweep_id = cluster.dispatch(SEARCH)
    cluster.add_worker(2)
    cluster.add_watcher()
    other = cluster.add_watcher()
    for _ in range(4):
        time.sleep(chance.uniform(1.0, 4.0))
        other.stop(signal.SIGKILL)
        other.start()
    assert_searched(cluster, sweep_id)


def test_postgres_away_while_asking(cluster):
    sweep_id = cluster.dispatch(SEARCH)
    cluster.add_worker(2)
    cluster.add_watcher()
    wait_for(lambda: store.sweep_proposals(cluster.engine, sweep_id), "the search has begun")
    for _ in range(2):
        cluster.postgres.kill()
        time.sleep(1.0)
        cluster.postgres.start()
        time.sleep(2.0)
    assert_searched(cluster, sweep_id)
