"""The command line behind `make up`, and behind every other target while the stack runs."""

import sys
from collections.abc import Callable, Mapping

from scheduler.stack import commands
from scheduler.stack.engine import StackError

_COMMANDS: Mapping[str, Callable[[], int]] = {
    "up": commands.up,
    "down": commands.down,
    "clean": commands.clean,
    "status": commands.status,
    "logs": commands.logs,
    "flower": commands.flower,
    "is-up": commands.is_up,
}


def main(arguments: list[str]) -> int:
    """Run one command; what is not about containers runs in the scheduler's. Returns the exit code."""
    if not arguments:
        sys.stderr.write(f"recsweep: name a command: {', '.join(_COMMANDS)}, or one of `recsweep --help`\n")
        return 2
    command = _COMMANDS.get(arguments[0])
    try:
        return command() if command else commands.run(arguments)
    except StackError as error:
        sys.stderr.write(f"recsweep: {' '.join(str(error).split())}\n")
        return 2
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
