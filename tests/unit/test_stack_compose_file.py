"""docker-compose.yml, Dockerfile and what belongs to them, read as files; engines are in tests/compose."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from shared.queue import SOFT_SHUTDOWN_SECONDS
from shared.settings import Settings

ROOT = Path(__file__).parents[2]
COMPOSE_FILES = ("docker-compose.yml", "deploy/docker-compose.worker.yml")
OURS = ("scheduler", "worker", "flower", "dashboard")
VARIABLE = re.compile(r"(?<!\$)\$\{([A-Z_]+)(:[-?][^}]*)?\}")


def _services(file: str = "docker-compose.yml") -> dict[str, dict[str, Any]]:
    services: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / file).read_text())["services"]
    return services


def test_the_stack_has_its_six_services() -> None:
    assert set(_services()) == {"postgres", "redis", "scheduler", "worker", "flower", "dashboard"}


@pytest.mark.parametrize("name", _services())
def test_every_service_is_checked_restarted_and_has_bounded_logs(name: str) -> None:
    service = _services()[name]
    assert service["healthcheck"]["test"]
    assert service["restart"] == "unless-stopped"
    assert service["logging"]["options"]["max-size"]


def test_services_start_in_the_order_of_health() -> None:
    services = _services()
    for name, service in services.items():
        for condition in service.get("depends_on", {}).values():
            assert condition == {"condition": "service_healthy"}, name
    assert set(services["worker"]["depends_on"]) == {"postgres", "redis", "scheduler"}


def test_ports_are_published_on_this_machine_unless_told_otherwise() -> None:
    for service in _services().values():
        for port in service.get("ports", []):
            assert port.startswith("${PUBLISH_ADDRESS:-127.0.0.1}:")


@pytest.mark.parametrize("file", COMPOSE_FILES)
def test_no_password_has_a_default(file: str) -> None:
    for name, default in VARIABLE.findall((ROOT / file).read_text()):
        if name.endswith(("_PASSWORD", "_URL")) and name != "ARTIFACT_URL":
            assert default.startswith(":?"), name


def test_a_variable_without_default_is_explained_in_the_example() -> None:
    example = (ROOT / ".env.example").read_text()
    for name, default in VARIABLE.findall((ROOT / "docker-compose.yml").read_text()):
        assert name in example or default.startswith(":-"), name


def test_our_containers_may_do_as_little_as_possible() -> None:
    for name in OURS:
        service = _services()[name]
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert service["mem_limit"] == service["memswap_limit"]


@pytest.mark.parametrize("file", COMPOSE_FILES)
def test_workers_get_signals_and_time_to_hand_back(file: str) -> None:
    worker = _services(file)["worker"]
    # A list, not a string: no shell stands between the signal and the worker.
    assert worker["command"] == ["python", "-m", "worker"]
    assert int(worker["stop_grace_period"].removesuffix("s")) >= 2 * SOFT_SHUTDOWN_SECONDS


def _shell_command(check: list[str]) -> str:
    """What the shell of the container gets; Compose takes $$ for $."""
    return check[-1].replace("$$", "$")


def _kubernetes_worker() -> dict[str, Any]:
    objects = yaml.safe_load_all((ROOT / "deploy" / "kubernetes" / "recsweep.yaml").read_text())
    [worker] = [one for one in objects if one["metadata"]["name"] == "recsweep-worker"]
    container: dict[str, Any] = worker["spec"]["template"]["spec"]["containers"][0]
    return container


CHECKS = {
    **{file: _shell_command(_services(file)["worker"]["healthcheck"]["test"]) for file in COMPOSE_FILES},
    **{
        probe: _shell_command(_kubernetes_worker()[probe]["exec"]["command"])
        for probe in ("livenessProbe", "readinessProbe")
    },
}


def test_workers_are_told_where_the_file_of_their_health_checks_is() -> None:
    for file in COMPOSE_FILES:
        assert _services(file)["worker"]["environment"]["HEARTBEAT_FILE"].startswith("/tmp/")  # noqa: S108
    [variable] = _kubernetes_worker()["env"]
    assert variable["name"] == "HEARTBEAT_FILE"
    assert variable["value"].startswith("/tmp/")  # noqa: S108


@pytest.mark.parametrize("name", CHECKS)
@pytest.mark.parametrize(
    ("content", "age_seconds", "is_alive", "is_ready"),
    [
        ("ready\n", 2, True, True),
        ("starting\n", 2, True, False),
        # Nobody has touched it for longer than any pause of a living worker.
        ("ready\n", 130, False, True),
        (None, 0, False, False),
    ],
)
def test_health_checks_of_a_worker_look_at_its_file_and_ask_nobody(  # noqa: PLR0917
    tmp_path: Path, name: str, content: str | None, age_seconds: int, is_alive: bool, is_ready: bool
) -> None:
    file = tmp_path / "heartbeat"
    if content is not None:
        file.write_text(content)
        touched = time.time() - age_seconds
        os.utime(file, (touched, touched))
    expected = {"livenessProbe": is_alive, "readinessProbe": is_ready}.get(name, is_alive and is_ready)
    environment = {"PATH": "/usr/bin:/bin", "HEARTBEAT_FILE": str(file)}
    assert (_status(["sh", "-c", CHECKS[name]], environment) == 0) is expected
    assert not {"python", "celery"} & set(CHECKS[name].split())


def test_image_is_pinned_and_not_root() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()
    assert "--require-hashes" in dockerfile
    assert re.search(r"^USER 10001:10001$", dockerfile, re.MULTILINE)
    last_user, last_copy = dockerfile.rindex("\nUSER "), dockerfile.rindex("\nCOPY ")
    assert last_user > last_copy


def test_build_context_holds_only_what_the_image_needs() -> None:
    patterns = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line[:1] != "#"]
    assert patterns[0] == "*"
    copied = set(re.findall(r"^COPY (\S+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE))
    assert {pattern[1:] for pattern in patterns if pattern.startswith("!")} == copied


@pytest.mark.parametrize("file", COMPOSE_FILES)
@pytest.mark.parametrize("binary", [["docker-compose"], ["docker", "compose"]], ids=["v1 or v2", "plugin"])
def test_compose_accepts_the_file(file: str, binary: list[str], tmp_path: Path) -> None:
    if not shutil.which(binary[0]) or _status([*binary, "version"]) != 0:
        pytest.skip(f"`{' '.join(binary)}` is not installed; the checks of the file's content have run")
    names = {name for name, _ in VARIABLE.findall((ROOT / file).read_text())}
    required = {name: "x" for name in names if name.endswith(("_PASSWORD", "_URL"))}
    environment = {name: value for name, value in os.environ.items() if name not in names} | required
    (tmp_path / "empty.env").write_text("")
    command = [*binary, "--env-file", str(tmp_path / "empty.env"), "--file", str(ROOT / file), "config", "-q"]
    assert _status(command, environment) == 0


def _status(command: list[str], environment: dict[str, str] | None = None) -> int:
    return subprocess.run(command, env=environment, capture_output=True, check=False).returncode


def test_stack_commands_need_the_standard_library_alone() -> None:
    command = "import scheduler.stack.__main__, scheduler.stack.commands, sys; print(*sys.modules)"
    # Without the packages that are installed: `-I` leaves them out, but also the working folder.
    code = f"import sys; sys.path = [p for p in sys.path if 'site-packages' not in p] + [{str(ROOT)!r}]; "
    done = subprocess.run(
        [sys.executable, "-I", "-c", code + command], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    ours = {name for name in done.stdout.split() if name.partition(".")[0] in ("scheduler", "shared")}
    assert {"scheduler.stack.commands", "shared.files"} <= ours
    assert not any(name.startswith("scheduler.machine") for name in ours)


def test_dashboard_and_alerts_ask_for_numbers_that_exist() -> None:
    source = (ROOT / "scheduler" / "monitoring.py").read_text()
    known = set(re.findall(r'"(recsweep_[a-z_]+)"', source)) | {"recsweep_epochs_total"}
    dashboard = json.loads((ROOT / "deploy" / "grafana" / "recsweep.json").read_text())
    asked = {target["expr"] for panel in dashboard["panels"] for target in panel["targets"]}
    rules = yaml.safe_load((ROOT / "deploy" / "prometheus" / "alerts.yml").read_text())["groups"][0]["rules"]
    asked |= {rule["expr"] for rule in rules}
    found = {name for expression in asked for name in re.findall(r"recsweep_[a-z_]+", expression)}
    assert found
    assert found <= known


def test_manifests_agree_with_the_image_and_the_queue() -> None:
    folder = ROOT / "deploy" / "kubernetes"
    objects = [one for file in folder.glob("*.yaml") for one in yaml.safe_load_all(file.read_text())]
    pods = [one["spec"]["template"]["spec"] for one in objects if one["kind"] in ("Deployment", "Job")]
    assert len(pods) == 3
    for pod in pods:
        assert pod["securityContext"]["runAsUser"] == 10001
        assert pod["containers"][0]["command"][:2] == ["python", "-m"]
    [worker] = [pod for pod in pods if pod["containers"][0]["name"] == "worker"]
    assert worker["terminationGracePeriodSeconds"] >= 2 * SOFT_SHUTDOWN_SECONDS
    [scaled] = [one for one in objects if one["kind"] == "ScaledObject"]
    assert scaled["spec"]["triggers"][0]["metadata"]["listName"] == "recsweep"


def test_example_names_no_setting_that_means_something_else_without_containers() -> None:
    # `make sweep` without containers reads .env too: only what means the same there may be in it.
    names = set(re.findall(r"^#? ?([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
    settings = {name.upper() for name in Settings.model_fields}
    assert names & settings == {"DATA_DIR", "ARTIFACT_URL"}
