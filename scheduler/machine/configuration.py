"""The supervisor's configuration file as text."""

import io
import os
import shlex
from collections.abc import Iterable, Sequence
from configparser import RawConfigParser

from scheduler.free_ports import LOOPBACK
from scheduler.machine.programs import Program

USER_NAME = "recsweep"
_LOG_SIZE = "10MB"
_N_OLD_LOGS = 3


def render_configuration(
    programs: Iterable[Program], *, port: int, password: str, identifier: str, is_root: bool | None = None
) -> str:
    """Text for a supervisor that is started in the state folder: its paths are relative to it.

    All programs wait to be started, in their order: the workers need the servers and the schema.
    """
    if is_root is None:
        is_root = os.geteuid() == 0
    # The supervisor expands `%` itself: what is written here is written as it is.
    file = RawConfigParser()
    file["supervisord"] = {
        "identifier": identifier,
        "logfile": "logs/supervisor.log",
        "logfile_maxbytes": _LOG_SIZE,
        "logfile_backups": str(_N_OLD_LOGS),
        "childlogdir": "logs",
        "pidfile": "supervisor.pid",
        # The defaults (1024 and 200) are more than some accounts are allowed.
        "minfds": "256",
        "minprocs": "32",
        # Naming the user keeps it from warning that it runs as root.
        **({"user": "root"} if is_root else {}),
    }
    file["inet_http_server"] = {"port": f"{LOOPBACK}:{port}", "username": USER_NAME, "password": password}
    file["rpcinterface:supervisor"] = {
        "supervisor.rpcinterface_factory": "supervisor.rpcinterface:make_main_rpcinterface"
    }
    for program in programs:
        file[f"program:{program.name}"] = _program_options(program)
    text = io.StringIO()
    file.write(text)
    return text.getvalue()


def _program_options(program: Program) -> dict[str, str]:
    return {
        "command": quote_command(program.command),
        "priority": str(program.priority),
        **({"directory": program.directory} if program.directory else {}),
        **({"user": program.account} if program.account else {}),
        "autostart": "false",
        "autorestart": "true",
        "startsecs": str(program.start_seconds),
        "startretries": str(program.n_start_retries),
        "stopsignal": program.stop_signal,
        "stopwaitsecs": str(program.stop_wait_seconds),
        "killasgroup": "true",
        "redirect_stderr": "true",
        "stdout_logfile": f"logs/{program.name}.log",
        "stdout_logfile_maxbytes": _LOG_SIZE,
        "stdout_logfile_backups": str(_N_OLD_LOGS),
    }


def quote_command(command: Sequence[str]) -> str:
    """A command as the supervisor reads it back, whatever characters its words hold.

    It drops what follows a blank and `;` or `#` (a comment), expands `%`, then splits as a shell does.
    """
    quoted = " ".join(shlex.quote(word) for word in command)
    # Within single quotes: close them, write the character in double quotes, open them again.
    for character in ";#":
        quoted = quoted.replace(character, f"'\"{character}\"'")
    return quoted.replace("%", "%%")
