"""Start one of our programs with the environment and command of its launch file.

The supervisor runs this file. It keeps secrets and odd paths out of the supervisor's configuration and
off every command line, and imports nothing of the project: the program takes the process over.
"""

import json
import os
import sys
from pathlib import Path


def main() -> None:
    """Replace this process by the program that the launch file (first argument) describes."""
    launch = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    os.environ.update(launch["environment"])
    os.chdir(launch["directory"])
    os.execv(launch["command"][0], launch["command"])  # noqa: S606  (our own command, no shell)


if __name__ == "__main__":
    main()
