"""The stack of the real files as it is used; the tests build on each other, in this order.

What it survives is in test_stack_faults.py, which comes after.
"""

import json
import subprocess
import time

from scheduler.machine.psql import psql_command
from shared.settings import Settings
from tests.compose.engine import say
from tests.compose.stack import N_USERS, K, Stack

N_SMOKE_TRIALS = 14
SERVICES = {"postgres", "redis", "scheduler", "worker", "flower", "dashboard"}


def test_env_file_is_private_and_has_no_empty_secret(stack: Stack) -> None:
    assert (stack.folder / ".env").stat().st_mode & 0o777 == 0o600
    for name in ("POSTGRES_PASSWORD", "REDIS_PASSWORD", "FLOWER_PASSWORD", "DASHBOARD_PASSWORD"):
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
    assert len(bound) == 5
    assert set(bound) == {"127.0.0.1"}


def test_no_password_is_in_a_list_of_processes(stack: Stack) -> None:
    shown = stack.engine.docker("ps", "--no-trunc", "--format", "{{.Command}}")
    shown += subprocess.run(["ps", "axww", "-o", "args"], capture_output=True, text=True, check=True).stdout
    for name in ("POSTGRES_PASSWORD", "REDIS_PASSWORD", "FLOWER_PASSWORD", "DASHBOARD_PASSWORD"):
        assert stack.env[name] not in shown


def test_our_containers_are_not_root_and_cannot_change_the_image(stack: Stack) -> None:
    for service in ("scheduler", "worker", "flower", "dashboard"):
        assert stack.execute(service, "id", "-u") == "10001"
        assert "read-only" in stack.execute(service, "sh", "-c", "touch /app/x 2>&1 || true").lower()
    assert stack.execute("redis", "id", "-un") == "redis"


def test_scheduler_and_flower_do_not_load_tensorflow(stack: Stack) -> None:
    for service in ("scheduler", "flower", "dashboard", "worker"):
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
    assert f"done {N_SMOKE_TRIALS}" in stack.make("sweep", "SWEEP=smoke", "DATASET=sample")


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


def test_the_page_asks_for_a_password_and_shows_sweeps(stack: Stack) -> None:
    assert stack.env["DASHBOARD_PORT"] in stack.make("dashboard")
    assert stack.ask("DASHBOARD_PORT", "/")[0] == 401
    status, body = stack.ask("DASHBOARD_PORT", "/", password=stack.env["DASHBOARD_PASSWORD"])
    assert status == 200
    assert "<h1>Sweeps</h1>" in body


def test_metrics_of_watcher_and_flower(stack: Stack) -> None:
    status, body = stack.ask("SCHEDULER_PORT", "/metrics")
    assert status == 200
    assert f'recsweep_trials{{status="succeeded"}} {N_SMOKE_TRIALS}.0' in body
    assert "recsweep_queue_length 0.0" in body
    assert "recsweep_last_success_timestamp_seconds" in body
    assert "flower_events_total" in stack.ask("FLOWER_PORT", "/metrics")[1]


def test_a_file_of_ones_own_is_shown_to_the_scheduler_alone_and_read_only(stack: Stack) -> None:
    folder = stack.folder / "own"
    folder.mkdir()
    path = folder / "views.csv"
    path.write_text("visitor,sku\n" + "".join(f"u{n % 40},p{n * 7 % 23}\n" for n in range(400)))
    folder.chmod(0o755)
    path.chmod(0o644)
    printed = stack.make("data", f"DATASET={path}", "NAME=shop", "SWEEP=lists")
    assert "user: visitor" in printed
    assert "Data shop" in printed
    assert stack.env["SOURCE_DIR"] == str(folder)
    mounts = {one["Destination"]: one["RW"] for one in stack.running("scheduler")[0]["Mounts"]}
    assert mounts["/source"] is False
    assert "/source" not in {one["Destination"] for one in stack.running("worker")[0]["Mounts"]}
    refused = stack.make("data", f"DATASET={folder}/nowhere.csv", is_checked=False)
    assert "nowhere.csv: there is no such file" in refused
