"""The commands of the stack by name; every other one runs in the container of the scheduler."""

import sys
from collections.abc import Callable, Mapping

from scheduler.stack import commands
from scheduler.stack.engine import StackError
from shared.ending import INTERRUPTED, discard_output
from shared.plain_text import one_line

_COMMANDS: Mapping[str, Callable[[], int]] = {
    "up": commands.up,
    "down": commands.down,
    "clean": commands.clean,
    "status": commands.status,
    "logs": commands.logs,
    "flower": commands.flower,
    "dashboard": commands.dashboard,
    "report": commands.report,
    "is-up": commands.is_up,
}


def main(arguments: list[str]) -> int:
    """Run one command; what is not about containers runs in the scheduler's. Returns the exit code."""
    if not arguments:
        sys.stderr.write(f"recsweep: name a command: {', '.join(_COMMANDS)}, or one of `recsweep --help`\n")
        return 2
    try:
        return _run(arguments)
    except StackError as error:
        sys.stderr.write(f"recsweep: {' '.join(one_line(str(error)).split())}\n")
        return 2
    except BrokenPipeError:
        if not discard_output():
            raise
        return 0
    except KeyboardInterrupt:
        return INTERRUPTED


def _run(arguments: list[str]) -> int:
    command = _COMMANDS.get(arguments[0])
    code = command() if command else commands.run(arguments)
    sys.stdout.flush()
    return code
