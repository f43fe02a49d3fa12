"""Case 13: a random schedule of faults over a whole sweep. CHAOS_SEED repeats or changes it."""

import os
import random
import signal
import time
from collections.abc import Callable

import redis

from tests.chaos.cluster import Cluster, assert_whole
from tests.chaos.servers import Worker
from tests.chaos.waiting import MEASURED, PATIENCE_SECONDS

N_FAULTS = 12
SWEEP = """
[grid]
merge = ["concatenate", "multiply", "average", "dot"]
embedding_size = [6, 8]
dense_layers = [[4, 1]]

[training]
batch_size = 1
patience = 1000
max_epochs = 20
"""


def kill_task_process(cluster: Cluster, worker: Worker, chance: random.Random) -> None:
    processes = worker.task_processes()
    if processes:
        chance.choice(processes).kill()


def kill_worker(cluster: Cluster, worker: Worker, chance: random.Random) -> None:
    worker.stop(signal.SIGKILL)
    worker.start()


def restart_worker(cluster: Cluster, worker: Worker, chance: random.Random) -> None:
    worker.stop(signal.SIGTERM)
    worker.start()


def pause_task_process(cluster: Cluster, worker: Worker, chance: random.Random) -> None:
    for process in worker.task_processes():
        process.suspend()
        time.sleep(chance.uniform(0.5, 4.0))
        if process.is_running():
            process.resume()


def restart_redis(cluster: Cluster, worker: Worker, chance: random.Random) -> None:
    cluster.redis.stop(chance.choice([signal.SIGKILL, signal.SIGTERM]))
    time.sleep(chance.uniform(0.0, 3.0))
    cluster.redis.start()


def empty_redis(cluster: Cluster, worker: Worker, chance: random.Random) -> None:
    with redis.Redis.from_url(cluster.broker_url) as client:
        client.flushall()


def restart_postgres(cluster: Cluster, worker: Worker, chance: random.Random) -> None:
    chance.choice([cluster.postgres.kill, cluster.postgres.stop_fast])()
    time.sleep(chance.uniform(0.0, 3.0))
    cluster.postgres.start()


FAULTS: list[Callable[[Cluster, Worker, random.Random], None]] = [
    kill_task_process,
    kill_worker,
    restart_worker,
    pause_task_process,
    restart_redis,
    empty_redis,
    restart_postgres,
]


def test_random_faults_lose_and_double_nothing(cluster):
    seed = int(os.environ.get("CHAOS_SEED", "20"))
    print(f"CHAOS_SEED={seed}")  # noqa: T201  The seed that repeats this schedule.
    chance = random.Random(seed)  # noqa: S311  Chance that can be repeated.
    sweep_id = cluster.dispatch(SWEEP)
    workers = [cluster.add_worker(1), cluster.add_worker(1)]
    cluster.add_watcher()
    for number in range(N_FAULTS):
        time.sleep(chance.uniform(0.0, 4.0))
        fault, worker = chance.choice(FAULTS), chance.choice(workers)
        print(f"fault {number}: {fault.__name__} {worker.hostname}")  # noqa: T201
        fault(cluster, worker, chance)
    faults_ended_at = time.monotonic()
    trials = cluster.wait_for_end(sweep_id, 4 * PATIENCE_SECONDS)
    assert_whole(cluster, sweep_id)
    # Some may have lost three attempts; a second `make sweep` runs exactly those again.
    failed = [trial for trial in trials if trial.status == "failed"]
    assert all(trial.error_reason == "lost_worker" and trial.attempt == 3 for trial in failed), failed
    cluster.dispatch(SWEEP)
    trials = cluster.wait_for_end(sweep_id)
    assert {trial.status for trial in trials} == {"succeeded"}
    assert_whole(cluster, sweep_id)
    MEASURED.append(
        f"random faults, seed {seed}: {len(failed)} of 10 trials lost three attempts, "
        f"all done {time.monotonic() - faults_ended_at:.0f} s after the last fault"
    )
