"""The process supervisor (supervisord) of one state folder, spoken to over XML-RPC on the loopback."""

import http.client
import subprocess
import sys
import xmlrpc.client
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scheduler.free_ports import LOOPBACK
from scheduler.machine.configuration import USER_NAME
from scheduler.machine.patience import ask_until
from shared.errors import ServiceError

CONFIGURATION_NAME = "supervisor.conf"
SUPERVISOR_MODULE = "supervisor.supervisord"
SERVERS = frozenset({"postgres", "redis"})
_ANSWER_TIMEOUT_SECONDS = 5.0
_START_TIMEOUT_SECONDS = 60.0
# Supervisor's code of the fault.
_NOT_RUNNING = 70


@dataclass(frozen=True)
class ProgramState:
    """What the supervisor knows of one program; `name` is one of its own words, such as RUNNING."""

    name: str
    pid: int | None
    uptime_seconds: float | None

    @property
    def is_stopped(self) -> bool:
        """Whether the supervisor has given the program up or was told to stop it."""
        return self.name in ("STOPPED", "EXITED", "FATAL", "UNKNOWN")


class _Transport(xmlrpc.client.Transport):
    """A connection that gives up when the supervisor does not answer."""

    def make_connection(self, host: Any) -> http.client.HTTPConnection:  # noqa: ANN401  (as the base class)
        connection = super().make_connection(host)
        connection.timeout = _ANSWER_TIMEOUT_SECONDS
        return connection


class Supervisor:
    """The running supervisor that answers on a port; use `connect` to know that it is ours."""

    def __init__(self, port: int, password: str) -> None:
        url = f"http://{USER_NAME}:{password}@{LOOPBACK}:{port}/RPC2"
        self._proxy: Any = xmlrpc.client.ServerProxy(url, transport=_Transport())

    @classmethod
    def connect(cls, port: int | None, password: str, identifier: str) -> "Supervisor | None":
        """The supervisor with this identifier, or None: nothing, or somebody else, answers."""
        if port is None:
            return None
        supervisor = cls(port, password)
        try:
            is_ours = supervisor._call("getIdentification") == identifier
        except ServiceError:
            return None
        return supervisor if is_ours else None

    @property
    def pid(self) -> int:
        """Its process id."""
        return int(self._call("getPID"))

    def states(self) -> dict[str, ProgramState]:
        """State of every program by its name."""
        return {info["name"]: _program_state(info) for info in self._call("getAllProcessInfo")}

    def start(self, names: Collection[str]) -> None:
        """Start those of the programs that are not running."""
        states = self.states()
        for name in names:
            if states[name].is_stopped:
                self._call("startProcess", name, False)

    def reload(self) -> None:
        """Read the configuration again; programs that changed or went are stopped and replaced.

        The new ones wait for `start`.
        """
        [[added, changed, removed]] = self._call("reloadConfig")
        gone = {*changed, *removed}
        # A worker hands its tasks back, for which it needs the servers.
        self._stop(gone - SERVERS)
        self._stop(gone & SERVERS)
        for name in gone:
            self._call("removeProcessGroup", name)
        for name in [*added, *changed]:
            self._call("addProcessGroup", name)

    def wait_until_running(self, name: str, log: Path) -> None:
        """Wait for a started program; raises ServiceError with its last words when it fails."""

        def is_running() -> bool:
            state = self.states()[name]
            if state.is_stopped or state.name == "BACKOFF":
                raise ServiceError(f"{name} does not stay up: {last_line(log)}; see {log}")
            return state.name == "RUNNING"

        self._wait(is_running, f"start {name}")

    def shut_down(self) -> None:
        """Begin to stop all programs, the last started first, and then the supervisor."""
        self._call("shutdown")

    def _stop(self, names: Collection[str]) -> None:
        states = self.states()
        for name in names:
            if not states[name].is_stopped:
                try:
                    self._call("stopProcess", name, False)
                except ServiceError as error:
                    # It stops already, as an interrupted command asked, or has ended since the look at it.
                    if getattr(error.__cause__, "faultCode", None) != _NOT_RUNNING:
                        raise
        self._wait(
            lambda: all(state.is_stopped for name, state in self.states().items() if name in names),
            f"stop {', '.join(sorted(names))}",
        )

    def _call(self, method: str, *arguments: object) -> Any:  # noqa: ANN401  (XML-RPC is not typed)
        try:
            return getattr(self._proxy.supervisor, method)(*arguments)
        except xmlrpc.client.Fault as error:
            raise ServiceError(f"the process supervisor refused {method}: {error.faultString}") from error
        except (OSError, xmlrpc.client.Error, http.client.HTTPException) as error:
            # The text of a protocol error would repeat the URL with the password.
            reason = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
            raise ServiceError(
                f"the process supervisor does not answer ({reason}): `make down`, then try again"
            ) from error
        finally:
            self._proxy("close")()

    def _wait(self, condition: Callable[[], bool], purpose: str) -> None:
        # Each question also makes the supervisor look at its programs at once instead of every second.
        if not ask_until(condition, bool, _START_TIMEOUT_SECONDS):
            raise ServiceError(f"could not {purpose} within {_START_TIMEOUT_SECONDS:.0f} s")


def start_supervisor(state_dir: Path, environment: Mapping[str, str]) -> None:
    """Start a supervisor with the configuration in the state folder; it leaves the terminal's session."""
    command = [sys.executable, "-P", "-m", SUPERVISOR_MODULE, "-c", CONFIGURATION_NAME]
    try:
        done = subprocess.run(
            command,
            cwd=state_dir,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_START_TIMEOUT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ServiceError(
            f"the process supervisor did not start within {_START_TIMEOUT_SECONDS:.0f} s: try again"
        ) from error
    if done.returncode != 0:
        words = [line for line in (done.stderr + done.stdout).splitlines() if line.strip()]
        message = next((line for line in words if line.startswith("Error")), words[-1] if words else "")
        raise ServiceError(f"the process supervisor did not start: {message}; see {state_dir / 'logs'}")


def last_line(log: Path) -> str:
    """The last line of a log that says something."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 4096))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        return "no log"
    return next((line.strip() for line in reversed(lines) if line.strip()), "the log is empty")


def _program_state(info: Mapping[str, Any]) -> ProgramState:
    pid = int(info["pid"]) or None
    uptime = float(info["now"] - info["start"]) if pid else None
    return ProgramState(str(info["statename"]), pid, uptime)
