"""Start one worker that keeps to the cores it may use: `python -m worker`, in a container or on any host.

It needs DATABASE_URL, BROKER_URL and ARTIFACT_URL.
"""

import os
import sys

from shared.command_line import one_line_errors
from shared.errors import ServiceError
from shared.services import count_cores
from shared.services.programs import worker_command, worker_variables
from shared.settings import load_settings


@one_line_errors
def main() -> None:
    """Replace this process by the worker, so that signals reach it."""
    settings = load_settings()
    for name in ("database_url", "broker_url", "artifact_url"):
        if getattr(settings, name) is None:
            raise ServiceError(f"a worker needs {name.upper()} in its environment")
    command = [sys.executable, "-m", *worker_command(count_cores(), log_level=settings.log_level)]
    os.execve(command[0], command, os.environ | worker_variables())  # noqa: S606  It becomes the worker.


if __name__ == "__main__":
    main()
