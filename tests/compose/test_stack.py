"""The stack of the real files from `make up` to `make down`; the tests build on each other, in this order."""

import json
import subprocess
import time

import pytest
import redis

from scheduler.machine.psql import psql_command
from shared.queue import QUEUE_NAME
from shared.settings import Settings
from tests.compose.engine import say
from tests.compose.stack import SLOW_SWEEP, Stack, wait_until

N_USERS = 940
N_SMOKE_TRIALS = 6
K = 20
SERVICES = {"postgres", "redis", "scheduler", "worker", "flower"}


def test_env_file_is_private_and_has_no_empty_secret(stack: Stack) -> None:
    assert (stack.folder / ".env").stat().st_mode & 0o777 == 0o600
    for name in ("POSTGRES_PASSWORD", "REDIS_PASSWORD", "FLOWER_PASSWORD"):
        assert len(stack.env[name]) == 48


def test_everything_is_healthy_and_started_in_order(stack: Stack) -> None:
    containers = stack.containers()
    assert {one["Config"]["Labels"]["com.docker.compose.service"] for one in containers} == SERVICES
    assert len(stack.running("worker")) == 2
    assert {one["State"]["Health"]["Status"] for one in containers} == {"healthy"}
    started = {
        one["Config"]["Labels"]["com.docker.compose.service"]: one["State"]["StartedAt"] for one in containers
    }
    assert max(started["postgres"], started["redis"]) < started["scheduler"] < started["worker"]


def test_ports_are_those_of_this_machine_alone(stack: Stack) -> None:
    bound = [
        one["HostIp"]
        for container in stack.containers()
        for ports in (container["NetworkSettings"]["Ports"] or {}).values()
        for one in ports or ()
    ]
    assert len(bound) == 4
    assert set(bound) == {"127.0.0.1"}


def test_no_password_is_in_a_list_of_processes(stack: Stack) -> None:
    shown = stack.engine.docker("ps", "--no-trunc", "--format", "{{.Command}}")
    shown += subprocess.run(["ps", "axww", "-o", "args"], capture_output=True, text=True, check=True).stdout
    for name in ("POSTGRES_PASSWORD", "REDIS_PASSWORD", "FLOWER_PASSWORD"):
        assert stack.env[name] not in shown


def test_our_containers_are_not_root_and_cannot_change_the_image(stack: Stack) -> None:
    for service in ("scheduler", "worker", "flower"):
        assert stack.execute(service, "id", "-u") == "10001"
        assert "read-only" in stack.execute(service, "sh", "-c", "touch /app/x 2>&1 || true").lower()
    assert stack.execute("redis", "id", "-un") == "redis"


def test_scheduler_and_flower_do_not_load_tensorflow(stack: Stack) -> None:
    for service in ("scheduler", "flower", "worker"):
        maps = stack.execute(service, "sh", "-c", "cat /proc/[0-9]*/maps 2>/dev/null || true")
        assert "libtensorflow" not in maps


def test_worker_runs_one_single_threaded_process_a_core_of_its_quota(stack: Stack) -> None:
    command = stack.execute("worker", "sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '")
    assert "--concurrency 1 " in command
    variables = stack.execute("worker", "sh", "-c", "cat /proc/[0-9]*/environ | tr '\\0' '\\n'")
    assert "OMP_NUM_THREADS=1" in variables
    assert "REMAP_SIGTERM=SIGQUIT" in variables


def test_sweep_runs_in_the_containers(stack: Stack) -> None:
    began = time.monotonic()
    printed = stack.make("sweep", "SWEEP=smoke", "DATASET=sample")
    say(f"smoke sweep: {time.monotonic() - began:.0f} s")
    assert f"{N_SMOKE_TRIALS} of {N_SMOKE_TRIALS} trials succeeded" in printed
    assert f"http://127.0.0.1:{stack.env['FLOWER_PORT']}" in printed
    workers = {row[0].split("@")[1].split("/")[0] for row in stack.query("select worker from trials")}
    assert workers == {one["Config"]["Hostname"] for one in stack.running("worker")}
    assert "done 6" in stack.make("sweep", "SWEEP=smoke", "DATASET=sample")


def test_recommendations_are_queried_with_psql_from_outside(stack: Stack) -> None:
    url = f"postgresql://recsweep:{stack.env['POSTGRES_PASSWORD']}@127.0.0.1:{stack.env['POSTGRES_PORT']}/recsweep"
    settings = Settings(database_url=url, broker_url="redis://127.0.0.1:1/0")
    command, environment = psql_command(settings)
    statement = "select count(*), count(distinct (trial_id, user_id)) from recommendations"
    done = subprocess.run(
        [*command, "-At", "-c", statement], env=environment, capture_output=True, text=True, check=True
    )
    n_lists = N_SMOKE_TRIALS * N_USERS
    assert done.stdout.strip() == f"{n_lists * K}|{n_lists}"


def test_make_targets_answer_like_the_embedded_ones(stack: Stack) -> None:
    n_lists = N_SMOKE_TRIALS * N_USERS
    assert f"{n_lists * K}" in stack.make("psql", "C=select count(*) from recommendations")
    status = stack.make("status")
    assert "healthy" in status
    assert "smoke" in status
    assert "concatenate_8_4_1" in stack.make("leaderboard")
    assert "Top-rated by the user" in stack.make("recommend", "USER=1")
    assert stack.env["FLOWER_PORT"] in stack.make("flower")
    assert "ready" in stack.make("logs")
    assert "val_rmse" in stack.make("logs", "TRIAL=concatenate_8_4_1_epochs1")


def test_flower_asks_for_a_password_and_changes_nothing(stack: Stack) -> None:
    assert stack.ask("FLOWER_PORT", "/tasks")[0] == 401
    assert stack.ask("FLOWER_PORT", "/api/tasks")[0] == 401
    password = stack.env["FLOWER_PASSWORD"]
    status, body = stack.ask("FLOWER_PORT", "/api/tasks", password=password)
    assert status == 200
    tasks = json.loads(body).values()
    assert {task["state"] for task in tasks} == {"SUCCESS"}
    assert any("concatenate_8_4_1_epochs1" in task["args"] for task in tasks)
    apply = "/api/task/async-apply/train_architecture"
    assert stack.ask("FLOWER_PORT", apply, password=password, data=b'{"args": [1, "x"]}')[0] == 403


def test_metrics_of_watcher_and_flower(stack: Stack) -> None:
    status, body = stack.ask("SCHEDULER_PORT", "/metrics")
    assert status == 200
    assert 'recsweep_trials{status="succeeded"} 6.0' in body
    assert "recsweep_queue_length 0.0" in body
    assert "recsweep_last_success_timestamp_seconds" in body
    assert "flower_events_total" in stack.ask("FLOWER_PORT", "/metrics")[1]


def test_a_forged_message_runs_no_code_and_reads_no_file(stack: Stack) -> None:
    url = f"redis://:{stack.env['REDIS_PASSWORD']}@127.0.0.1:{stack.env['REDIS_PORT']}/0"
    before = stack.query("select count(*), max(finished_at) from trials")
    with redis.Redis.from_url(url) as client:
        for message in _forged_messages():
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


def _forged_messages() -> list[str]:
    """What somebody with the broker's password might send: code in a pickle, other tasks, paths, SQL."""
    import base64  # noqa: PLC0415  Only here.
    import pickle  # noqa: PLC0415  # noqa: S403  The attack itself.

    class Attack:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            import os  # noqa: PLC0415

            return os.system, ("touch /tmp/forged",)

    def message(task: str, body: bytes, kind: str = "application/json", encoding: str = "utf-8") -> str:
        properties = {
            "correlation_id": task,
            "reply_to": "",
            "delivery_mode": 2,
            "delivery_info": {"exchange": "", "routing_key": QUEUE_NAME},
            "priority": 0,
            "body_encoding": "base64",
            "delivery_tag": f"{task}-{len(body)}",
        }
        headers = {
            "lang": "py",
            "task": task,
            "id": f"{task}-{len(body)}",
            "root_id": None,
            "parent_id": None,
        }
        return json.dumps(
            {
                "body": base64.b64encode(body).decode(),
                "content-encoding": encoding,
                "content-type": kind,
                "headers": headers,
                "properties": properties,
            }
        )

    def call(*arguments: object) -> bytes:
        return json.dumps([arguments, {}, {"callbacks": None, "errbacks": None, "chain": None}]).encode()

    own = "train_architecture"
    return [
        message(own, pickle.dumps(Attack()), "application/x-python-serialize", "binary"),
        message("os.system", call("touch /tmp/forged")),
        message("worker.task.explain_failure", call("x")),
        message(own, call("../../../etc/passwd", "x")),
        message(own, call("1; drop table trials", "x")),
        message(own, call(10**30, "x")),
        message(own, call(10**6, "../../etc/passwd")),
        message(own, b"not json"),
        message(own, call()),
        "not json at all",
    ]


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
