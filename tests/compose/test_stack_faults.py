"""What the stack survives: forged messages, lost and stopped workers, restarts, too little memory.

They build on the sweep of test_stack.py, and on each other, in this order.
"""

import json
import subprocess
import time

import pytest
import redis

from shared.queue import QUEUE_NAME
from tests.compose.engine import say
from tests.compose.forged import forged_messages
from tests.compose.stack import N_USERS, SLOW_SWEEP, K, Stack, wait_until


def test_a_forged_message_runs_no_code_and_reads_no_file(stack: Stack) -> None:
    url = f"redis://:{stack.env['REDIS_PASSWORD']}@127.0.0.1:{stack.env['REDIS_PORT']}/0"
    before = stack.query("select count(*), max(finished_at) from trials")
    with redis.Redis.from_url(url) as client:
        for message in forged_messages():
            client.lpush(QUEUE_NAME, message)
        wait_until(lambda: client.llen(QUEUE_NAME) == 0, "the workers take the forged messages", 60)
    time.sleep(2)
    for worker in stack.running("worker"):
        found = stack.engine.docker("exec", worker["Id"], "sh", "-c", "ls /tmp")
        assert "forged" not in found
    assert stack.query("select count(*), max(finished_at) from trials") == before
    # What is no message at all ends a worker's main loop; Docker starts it again.
    wait_until(lambda: all(_answers_ping(stack, one["Id"]) for one in stack.containers("worker")), "pong", 90)


def _answers_ping(stack: Stack, container: str) -> bool:
    ping = 'celery -A shared.queue inspect ping --timeout 3 --destination "worker@$HOSTNAME"'
    return "pong" in stack.engine.docker("exec", container, "sh", "-c", ping, is_checked=False)


@pytest.fixture(scope="module")
def slow_sweep(stack: Stack) -> "subprocess.Popen[str]":
    return stack.start_sweep(SLOW_SWEEP.format(max_epochs=120, random_seed=1))


def test_a_killed_worker_is_replaced_by_the_other(stack: Stack, slow_sweep: "subprocess.Popen[str]") -> None:
    wait_until(lambda: stack.trial()[1] == "running" and stack.trial()[4] >= 5, "the slow trial trains")
    victim = stack.worker_of_trial()
    trained_epochs = stack.trial()[4]
    stack.engine.docker("kill", victim["Id"])
    seconds = wait_until(lambda: stack.trial()[2] == 2 and stack.trial()[4] > trained_epochs, "attempt 2", 90)
    say(f"trains again {seconds:.0f} s after its worker was killed at epoch {trained_epochs}")
    assert stack.worker_of_trial()["Id"] != victim["Id"]
    stack.engine.docker("start", victim["Id"])
    assert slow_sweep.poll() is None


def test_a_stopped_worker_hands_its_trial_back(stack: Stack, slow_sweep: "subprocess.Popen[str]") -> None:
    worker = stack.worker_of_trial()
    began = time.monotonic()
    stack.engine.docker("stop", worker["Id"])
    stopped_seconds = time.monotonic() - began
    seconds = wait_until(lambda: stack.trial()[2] == 3, "attempt 3", 60)
    say(f"stopped cleanly in {stopped_seconds:.1f} s, taken up by the other {seconds:.0f} s later")
    assert stopped_seconds < 15
    [state] = [one["State"] for one in stack.containers("worker") if one["Id"] == worker["Id"]]
    assert state["ExitCode"] == 0
    [(reason,)] = stack.query(
        f"select end_reason from attempts where trial_id = {stack.trial()[0]} and attempt = 2"
    )
    assert reason == "handed_back"
    stack.engine.docker("start", worker["Id"])
    assert slow_sweep.poll() is None


def test_restarts_of_redis_and_postgres_lose_nothing(
    stack: Stack, slow_sweep: "subprocess.Popen[str]"
) -> None:
    wait_until(lambda: stack.trial()[1] == "running", "the trial runs")
    assert slow_sweep.poll() is None
    for service in ("redis", "postgres"):
        stack.engine.docker("restart", stack.running(service)[0]["Id"])
    printed, _ = slow_sweep.communicate(timeout=240)
    assert slow_sweep.returncode == 0, printed
    trial_id = stack.trial()[0]
    epochs = stack.query(f"select epoch from epochs where trial_id = {trial_id} order by epoch")
    assert [epoch for (epoch,) in epochs] == list(range(1, 121))
    assert stack.query(f"select count(*) from recommendations where trial_id = {trial_id}") == [
        (N_USERS * K,)
    ]


def test_the_log_says_that_the_trial_resumed(stack: Stack) -> None:
    attempts = stack.query(
        f"select attempt, end_reason from attempts where trial_id = {stack.trial()[0]} order by attempt"
    )
    assert attempts[0] == (1, "lost_worker")
    assert attempts[-1][1] == "succeeded"
    [(log_url,)] = stack.query(f"select log_url from trials where trial_id = {stack.trial()[0]}")
    log = stack.execute("scheduler", "cat", log_url.removeprefix("file://"))
    assert "epoch 1/120 " not in log
    assert "epoch 120/120 " in log


def test_scaling_up_and_down(stack: Stack) -> None:
    stack.make("up", "WORKERS=3")
    assert len(stack.running("worker")) == 3
    stack.make("up", "WORKERS=2")
    assert len(stack.running("worker")) == 2


def test_a_trial_too_large_for_its_container_fails_with_the_reason(stack: Stack) -> None:
    sweep = stack.start_sweep("""
        name = "too_large"
        [grid]
        merge = ["multiply"]
        embedding_size = [8, 60000]
        dense_layers = [[1]]
        [training]
        max_epochs = 1
    """)
    printed, _ = sweep.communicate(timeout=300)
    assert sweep.returncode != 0
    rows = stack.query("""
        select embedding_size, status, error_reason, attempt
        from trials join sweeps using (sweep_id)
        where sweeps.name = 'too_large' and not trials.is_baseline
        order by embedding_size
    """)
    assert rows[0][:2] == (8, "succeeded")
    assert rows[1] == (60000, "failed", "out_of_memory", 3)
    assert "out_of_memory" in printed
    assert not any(
        one["State"]["OOMKilled"] and not one["State"]["Running"] for one in stack.containers("worker")
    )


def test_down_and_up_again_keep_everything(stack: Stack) -> None:
    question = "select count(*), count(distinct trial_id) from recommendations"
    before = stack.query(question)
    password = stack.env["FLOWER_PASSWORD"]
    tasks = set(json.loads(stack.ask("FLOWER_PORT", "/api/tasks", password=password)[1]))
    stack.make("down")
    assert stack.containers() == []
    began = time.monotonic()
    stack.make("up")
    say(f"down and up again: healthy in {time.monotonic() - began:.0f} s")
    assert stack.query(question) == before
    assert set(json.loads(stack.ask("FLOWER_PORT", "/api/tasks", password=password)[1])) == tasks
    assert "val_rmse" in stack.make("logs", "TRIAL=concatenate_8_4_1_epochs1")
