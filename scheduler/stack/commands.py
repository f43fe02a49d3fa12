"""The commands of the stack; those of the product run in the scheduler's container."""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

from scheduler.report_file import write_report
from scheduler.stack.engine import (
    ROOT,
    StackError,
    addresses_of,
    check,
    find_compose,
    find_containers,
    find_running,
    has_containers,
    health_of,
    name_of,
    output,
    wait_until_healthy,
)
from scheduler.stack.env_file import (
    ENV_FILE,
    complete_env_file,
    project_name,
    read_env_file,
    set_in_env_file,
)
from shared.ending import run_in_foreground
from shared.errors import SpecError

# Options of the product's commands that are passed on into the container.
_PASSED = (
    *(
        "SWEEP",
        "DATASET",
        "DATASET_NAME",
        "ON_ERROR",
        "MAX_SKIPPED",
        "FRESH",
        "DRY_RUN",
        "TRIAL",
        "REFIT",
        "C",
        "Q",
        "ARGS",
        "RECSWEEP_USER",
        "A",
        "B",
    ),
    *("HISTORY", "METRIC", "KEEP", "NOTE", "YES", "ANALYST_PASSWORD", "TERM"),
    *("MARGIN", "COVERAGE", "MAX_CHANGED"),
)


def up() -> int:
    """Write .env where it is missing, build the image, start everything, wait until it is healthy."""
    compose = find_compose()
    if complete_env_file():
        _say(f"Wrote {ENV_FILE} with random passwords")
    n_workers = _n_workers()
    _say("Building the image (TensorFlow is large: some minutes the first time)")
    # The services share one image: built once, not once a service.
    check([*compose, "build", "scheduler"])
    _start(compose, n_workers)
    env = read_env_file()
    address = _address(env)
    _say(f"Up with {n_workers} worker containers. Next: make sweep")
    _say(f"Page:     {_line_of(env, 'DASHBOARD', '5556')}")
    _say(f"Flower:   {_line_of(env, 'FLOWER', '5555')}")
    _say(f"Postgres: {address}:{env['POSTGRES_PORT']}, user and database recsweep, or: make psql")
    _say(f"Metrics:  http://{address}:{env['SCHEDULER_PORT']}/metrics")
    return 0


def down() -> int:
    """Stop and remove the containers; with VOLUMES=1 everything stored too."""
    project_name()
    is_all = bool(os.environ.get("VOLUMES"))
    check([*_compose(), "down", "--remove-orphans", *(["--volumes"] if is_all else [])])
    _say("Stopped, and all results deleted." if is_all else "Stopped. The results stay: make up")
    return 0


def clean() -> int:
    """Stop, and delete everything stored; asks first unless YES=1."""
    if not os.environ.get("YES"):
        answer = input(f"Delete all results, models and caches of {project_name()}? [y/N]: ")
        if answer.strip().lower() not in ("y", "yes"):
            return 1
    os.environ["VOLUMES"] = "1"
    return down()


def status() -> int:
    """The containers, then what the product itself says."""
    lines = [("container", "state", "address")]
    lines += [(name_of(one), health_of(one), addresses_of(one)) for one in find_containers(project_name())]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        _say("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
    return run(["status"])


def logs() -> int:
    """The last lines of every container's log, or the log of one trial (TRIAL=label)."""
    if os.environ.get("TRIAL"):
        return run(["logs"])
    command = [*_compose(), "logs", "--no-color", "--tail", "25"]
    return run_in_foreground(command, os.environ, ROOT)


def flower() -> int:
    """Print where Flower is."""
    _say(_line_of(read_env_file(), "FLOWER", "5555"))
    return 0


def dashboard() -> int:
    """Print where the page is."""
    _say(_line_of(read_env_file(), "DASHBOARD", "5556"))
    return 0


def report() -> int:
    """A report, made in the scheduler's container, as a file in the current folder of this machine."""
    passed = [word for name in ("SWEEP", "USERS") if os.environ.get(name) for word in ("--env", name)]
    command = ["docker", "exec", *passed, _scheduler(), "python", "-m", "scheduler", "report", "--stdout"]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=False)
    if done.returncode != 0:
        return done.returncode
    name, _, text = done.stdout.decode().partition("\n")
    path = Path(name).absolute()
    try:
        write_report(path, text)
    except SpecError as error:
        raise StackError(str(error)) from error
    _say(str(path))
    return 0


def is_up() -> int:
    """Print "up" from `make up` to `make down`, also while containers stand still; every `make` asks."""
    if not shutil.which("docker") or not has_containers(project_name()):
        return 1
    _say("up")
    return 0


def run(arguments: list[str]) -> int:
    """Run a command of the product in the scheduler's container; keys, such as Ctrl-C, go to it directly."""
    environment = dict(os.environ)
    if arguments[0] in ("sweep", "data", "refresh"):
        _prepare_data(environment, scale=arguments[0] == "sweep")
    history = environment.get("HISTORY", "")
    if arguments[0] == "recommend" and _is_file(history):
        environment["HISTORY"] = _copy_file(Path(history))
    names = (*_PASSED, *_databases_of(os.environ.get("DATASET", "")))
    passed = [word for name in names if environment.get(name) for word in ("--env", name)]
    terminal = []
    if sys.stdin.isatty() and sys.stdout.isatty():
        terminal = ["--tty", "--env", f"COLUMNS={shutil.get_terminal_size().columns}"]
    command = ["docker", "exec", "--interactive", *terminal, *passed, _scheduler()]
    command += ["python", "-m", "scheduler", *arguments]
    return run_in_foreground(command, environment)


def _prepare_data(environment: dict[str, str], *, scale: bool) -> None:
    """The data and the sweep file readable in the container; `scale`: workers as many as asked."""
    is_changed = scale and bool(environment.get("WORKERS"))
    if environment.get("DATA_DIR"):
        is_changed |= _show_folder("DATA_DIR", Path(environment["DATA_DIR"]).expanduser().resolve(), "/data")
    source = environment.get("DATASET", "")
    if _is_path(source):
        path = Path(source).expanduser().resolve()
        if not path.exists():
            raise StackError(f"{source}: there is no such file. Correct the path.")
        is_changed |= _show_folder("SOURCE_DIR", path.parent, "/source")
        environment["DATASET"] = f"/source/{path.name}"
    if is_changed:
        _start(_compose(), _n_workers())
    sweep = environment.get("SWEEP", "")
    if sweep.endswith(".toml") or "/" in sweep:
        environment["SWEEP"] = _copy_file(Path(sweep))


def _is_path(source: str) -> bool:
    """Whether a data set is a file of this machine, and neither a known name nor behind a URL."""
    return "://" not in source and ("/" in source or bool(Path(source).suffix) or _is_file(source))


def _databases_of(source: str) -> list[str]:
    """The variables with the URLs of databases that a TOML source names; its mistakes are told later."""
    if not source.endswith(".toml") or not _is_file(source):
        return []
    try:
        document = tomllib.loads(Path(source).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    tables = [table for table in document.values() if isinstance(table, dict)]
    return [name for table in tables if isinstance(name := table.get("database_url_env"), str)]


def _show_folder(variable: str, folder: Path, place: str) -> bool:
    """Remember the folder of the data; returns whether the container does not see it at `place` yet."""
    if not folder.is_dir():
        raise StackError(f"{variable} must be a folder; got {folder}")
    # It takes precedence over .env when compose reads both.
    os.environ[variable] = str(folder)
    mounts = json.loads(output(["docker", "inspect", "--format", "{{json .Mounts}}", _scheduler()]))
    if any(mount["Destination"] == place and mount["Source"] == str(folder) for mount in mounts):
        return False
    set_in_env_file(variable, str(folder))
    return True


def _is_file(text: str) -> bool:
    try:
        return Path(text).is_file()
    except OSError:
        # Too long for a path.
        return False


def _copy_file(path: Path) -> str:
    """Put a file of the person's into the scheduler's container; gives its place there."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise StackError(f"{path}: cannot be read: {error.strerror}") from error
    target = "/tmp/" + re.sub(r"[^A-Za-z0-9._-]", "_", path.name)  # noqa: S108  In the container.
    command = ["docker", "exec", "--interactive", _scheduler(), "sh", "-c", 'cat > "$1"', "sh", target]
    subprocess.run(command, input=content, check=True)
    return target


def _start(compose: list[str], n_workers: int) -> None:
    check([*compose, "up", "--detach", "--no-build", "--remove-orphans", "--scale", f"worker={n_workers}"])
    wait_until_healthy(project_name())


def _compose() -> list[str]:
    """How Compose is called; an .env of an older version gets what has been added since."""
    compose = find_compose()
    if ENV_FILE.exists():
        complete_env_file()
    return compose


def _n_workers() -> int:
    """WORKERS, else as many as there are, else one a core of the engine's host."""
    asked = os.environ.get("WORKERS")
    if asked:
        if not asked.isdigit():
            raise StackError(f"WORKERS must be a whole number from 0; got {asked!r}")
        return int(asked)
    labels = (one["Config"]["Labels"] for one in find_containers(project_name()))
    n_existing = sum(one.get("com.docker.compose.service") == "worker" for one in labels)
    return n_existing or max(1, int(output(["docker", "info", "--format", "{{.NCPU}}"])))


def _scheduler() -> str:
    ids = find_running(project_name(), "scheduler")
    if not ids:
        raise StackError("the stack stands still: start it with `make up`, or remove it with `make down`")
    return ids[0]


def _address(env: dict[str, str]) -> str:
    return env.get("PUBLISH_ADDRESS") or "127.0.0.1"


def _line_of(env: dict[str, str], name: str, usual_port: str) -> str:
    """Where a page is that asks for a password, and which."""
    user, port = env.get(f"{name}_USER") or "recsweep", env.get(f"{name}_PORT") or usual_port
    return f"http://{_address(env)}:{port} (user {user}, password in {ENV_FILE})"


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
