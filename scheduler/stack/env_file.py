"""The stack's .env: written once with random passwords and free ports, readable by its owner alone."""

import os
import re
import secrets
from pathlib import Path

from scheduler.free_ports import PortError, find_free_port
from scheduler.stack.engine import ROOT, StackError
from shared.files import write_whole

ENV_FILE = ROOT / ".env"
EXAMPLE = ROOT / ".env.example"
USUAL_PORTS = {
    "POSTGRES_PORT": 5432,
    "REDIS_PORT": 6379,
    "FLOWER_PORT": 5555,
    "DASHBOARD_PORT": 5556,
    "SCHEDULER_PORT": 9100,
}
_N_PORTS_TRIED = 200
_EMPTY = re.compile(r"^([A-Z_]+)=\s*$")
_QUOTED = re.compile(r"""(["'])(.*)\1\s*(#.*)?$""")
_COMMENT = re.compile(r"\s+#.*$|^#.*$")
_PROJECT = "COMPOSE_PROJECT_NAME"


def complete_env_file(path: Path = ENV_FILE, example: Path = EXAMPLE) -> bool:
    """Make it from the example and fill what is empty; returns whether anything was written.

    What stands in it already is kept: passwords belong to volumes.
    """
    examples = example.read_text(encoding="utf-8").splitlines()
    old = path.read_text(encoding="utf-8") if path.exists() else None
    lines = examples if old is None else old.splitlines()
    known = {line.partition("=")[0] for line in lines}
    missing = [line for line in examples if _EMPTY.match(line) and line.partition("=")[0] not in known]
    taken: set[int] = set()
    text = "\n".join(_fill(line, taken) for line in [*lines, *missing]) + "\n"
    if text == old:
        return False
    write_whole(path, text)
    return True


def read_env_file(path: Path = ENV_FILE) -> dict[str, str]:
    """Its variables as Compose takes them: without quotation marks or a comment; none without the file."""
    if not path.exists():
        return {}
    lines = path.read_text(encoding="utf-8").splitlines()
    pairs = (line.partition("=") for line in lines if "=" in line and not line.lstrip().startswith("#"))
    return {name.strip(): _value(text.strip()) for name, _, text in pairs}


def set_in_env_file(name: str, value: str, path: Path = ENV_FILE) -> None:
    """Replace or add one variable."""
    lines = path.read_text(encoding="utf-8").splitlines()
    write_whole(
        path, "\n".join([*(one for one in lines if one.partition("=")[0] != name), f"{name}={value}"]) + "\n"
    )


def project_name() -> str:
    """The stack's name, unique to this clone; raises StackError when `make up` has not been run."""
    name = os.environ.get(_PROJECT) or read_env_file().get(_PROJECT)
    if not name:
        raise StackError("there is no stack yet: `make up` starts one")
    return name


def _value(text: str) -> str:
    if quoted := _QUOTED.match(text):
        return quoted[2]
    return _COMMENT.sub("", text)


def _fill(line: str, taken: set[int]) -> str:
    found = _EMPTY.match(line)
    name = found.group(1) if found else ""
    if name.endswith("_PASSWORD"):
        return f"{name}={secrets.token_hex(24)}"
    if name in USUAL_PORTS:
        return f"{name}={_free_port(name, taken)}"
    if name == _PROJECT:
        return f"{name}=recsweep-{secrets.token_hex(3)}"
    return line


def _free_port(name: str, taken: set[int]) -> int:
    usual = USUAL_PORTS[name]
    candidates = range(usual, min(usual + _N_PORTS_TRIED, 1 << 16))
    try:
        port = find_free_port(candidates, taken)
    except PortError as error:
        raise StackError(
            f"no port from {usual} to {candidates[-1]} can be used ({error}): set {name} in {ENV_FILE}"
        ) from error
    taken.add(port)
    return port
