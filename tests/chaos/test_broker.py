"""Cases 3 and 4: messages delivered twice, and a Redis that restarts, stops, forgets or is full."""

import signal
import time

import pytest
import redis

from scheduler.stall import Stall
from scheduler.sweep.dispatch import missing_trials
from shared.errors import ServiceError
from shared.queue import find_messages
from tests.chaos.cluster import ONE_TRIAL, Cluster, assert_all_succeeded_at_once, one_trial
from tests.chaos.servers import paused
from tests.chaos.waiting import MEASURED, PATIENCE_SECONDS, wait_for

PAUSE_SECONDS = 90.0
VISIBILITY_SECONDS = 3
OUTAGE_SECONDS = 100.0

# Four trials of some seconds each.
FOUR_TRIALS = """
[grid]
merge = ["concatenate", "multiply", "average", "dot"]
embedding_size = [8]
dense_layers = [[4, 1]]

[training]
batch_size = 1
patience = 1000
max_epochs = 20
"""


def wait_until_one_runs(cluster: Cluster, sweep_id: int) -> None:
    wait_for(
        lambda: any(trial.status == "running" and trial.epoch for trial in cluster.trials(sweep_id)),
        "a trial runs",
    )


def oldest_delivery(client: redis.Redis) -> float:
    """When the message was delivered that has not been acknowledged for longest; seconds since 1970."""
    ((_, delivered_at),) = client.zrange("unacked_index", 0, 0, withscores=True)
    return float(delivered_at)


def test_trial_longer_than_the_visibility_timeout_is_trained_once(cluster):
    """Its message is delivered again, to a worker with a shorter timeout, while it runs."""
    limits = {"trial_soft_limit_seconds": 1, "trial_hard_limit_seconds": 2}
    sweep_id = cluster.dispatch(one_trial(max_epochs=300))
    first = cluster.add_worker(2)
    trial = cluster.trial(sweep_id)
    wait_for(lambda: sum(one.status == "succeeded" for one in cluster.trials(sweep_id)) == 2, "baselines")
    cluster.wait_for_epoch(trial.trial_id, 1)
    # Kombu looks for messages whose time is over when a worker starts, and then every 100 seconds.
    with redis.Redis.from_url(cluster.broker_url) as client:
        wait_for(lambda: time.time() - oldest_delivery(client) > VISIBILITY_SECONDS, "its time is over")
    second = cluster.add_worker(**limits, visibility_timeout_seconds=VISIBILITY_SECONDS)
    # Either worker may get it.
    wait_for(lambda: f"{trial.label}: nothing to do" in first.log + second.log, "the second delivery returns")
    assert cluster.trial(sweep_id).status == "running"
    assert_all_succeeded_at_once(cluster, sweep_id)


@pytest.mark.parametrize(("soft", "hard", "visibility"), [(20, 10, 30), (10, 30, 20), (10, 10, 30)])
def test_worker_with_limits_in_the_wrong_order_does_not_start(cluster, soft, hard, visibility):
    worker = cluster.add_worker(
        wait=False,
        trial_soft_limit_seconds=soft,
        trial_hard_limit_seconds=hard,
        visibility_timeout_seconds=visibility,
    )
    assert worker.process is not None
    assert worker.process.wait(timeout=PATIENCE_SECONDS) != 0
    assert f"got {soft}, {hard}, {visibility}: correct the environment" in worker.log


def test_redis_restarted_five_times(cluster):
    sweep_id = cluster.dispatch(FOUR_TRIALS)
    cluster.add_worker(2)
    cluster.add_watcher()
    wait_until_one_runs(cluster, sweep_id)
    for number in (signal.SIGTERM, signal.SIGKILL, signal.SIGTERM, signal.SIGKILL, signal.SIGTERM):
        cluster.redis.stop(number)
        time.sleep(1.0)
        cluster.redis.start()
        time.sleep(2.0)
    assert_all_succeeded_at_once(cluster, sweep_id)


def test_redis_stopped_for_90_seconds(cluster):
    sweep_id = cluster.dispatch(FOUR_TRIALS)
    cluster.add_worker(1)
    cluster.add_watcher()
    wait_until_one_runs(cluster, sweep_id)
    stall = Stall(cluster.broker_url)
    with paused(cluster.redis):
        paused_at = time.monotonic()
        reason = wait_for(lambda: stall.reason(cluster.trials(sweep_id)), "the sweep stalls")
        assert "Redis does not answer" in reason
        time.sleep(max(0.0, paused_at + PAUSE_SECONDS - time.monotonic()))
    continued_at = time.monotonic()
    assert_all_succeeded_at_once(cluster, sweep_id)
    MEASURED.append(
        f"Redis stopped for 90 s: all done {time.monotonic() - continued_at:.1f} s after it went on"
    )


def test_redis_down_for_minutes(cluster):
    sweep_id = cluster.dispatch(FOUR_TRIALS)
    worker = cluster.add_worker(1)
    cluster.add_watcher()
    wait_until_one_runs(cluster, sweep_id)
    cluster.redis.stop(signal.SIGKILL)
    time.sleep(OUTAGE_SECONDS)
    cluster.redis.start()
    started_at = time.monotonic()
    n_succeeded = sum(trial.status == "succeeded" for trial in cluster.trials(sweep_id))
    wait_for(
        lambda: sum(t.status == "succeeded" for t in cluster.trials(sweep_id)) > n_succeeded, "work goes on"
    )
    MEASURED.append(f"Redis down for 100 s: next trial done {time.monotonic() - started_at:.1f} s after")
    assert worker.is_running
    assert_all_succeeded_at_once(cluster, sweep_id)


def test_redis_without_its_data_gets_exactly_what_is_missing(cluster):
    sweep_id = cluster.dispatch(FOUR_TRIALS)
    cluster.add_worker(1)
    wait_until_one_runs(cluster, sweep_id)
    with redis.Redis.from_url(cluster.broker_url) as client:
        client.flushall()
    cluster.dispatch(FOUR_TRIALS)
    messages = find_messages(cluster.broker_url)
    # None for the one that runs.
    assert len(messages.waiting | {trial_id for trial_id, _ in messages.delivered}) <= 5
    # A message is nowhere while it is delivered; a trial that has none stays queued for ever.
    wait_for(lambda: not missing_trials(cluster.engine, cluster.broker_url), "no message is missing")
    with redis.Redis.from_url(cluster.broker_url) as client:
        client.flushall()
    cluster.add_watcher()
    assert_all_succeeded_at_once(cluster, sweep_id)


def test_redis_is_not_there_when_a_sweep_starts(cluster):
    """The command says so, and a second one leaves no trial lost or doubled."""
    cluster.redis.stop(signal.SIGTERM)
    refused = cluster.make_sweep(FOUR_TRIALS)
    assert refused.returncode == 2
    assert "Redis" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert len(refused.stderr.strip().splitlines()) == 1
    cluster.redis.start()
    cluster.add_worker(2)
    finished = cluster.make_sweep(FOUR_TRIALS)
    assert finished.returncode == 0, finished.stderr
    assert "6 of 6 trials succeeded" in finished.stdout
    (sweep_id,) = [sweep_id for (sweep_id,) in cluster.select("select sweep_id from sweeps")]
    assert_all_succeeded_at_once(cluster, sweep_id)


def test_full_redis_is_reported_and_waited_for(cluster):
    sweep_id = cluster.dispatch(FOUR_TRIALS)
    worker = cluster.add_worker(1)
    cluster.add_watcher()
    wait_until_one_runs(cluster, sweep_id)
    with redis.Redis.from_url(cluster.broker_url) as client:
        client.config_set("maxmemory", "1mb")
        with pytest.raises(ServiceError, match=r"cannot publish to the broker.*maxmemory"):
            cluster.dispatch(ONE_TRIAL, name="another")
        stall = Stall(cluster.broker_url)
        reason = wait_for(lambda: stall.reason(cluster.trials(sweep_id)), "the sweep stalls")
        assert "Redis has reached its memory limit" in reason
        client.config_set("maxmemory", 0)
    assert worker.is_running
    assert_all_succeeded_at_once(cluster, sweep_id)
