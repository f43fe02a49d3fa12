"""Start one worker that keeps to the cores it may use: `python -m worker`, on one machine or on many.

It needs DATABASE_URL, BROKER_URL and ARTIFACT_URL.
"""

import os
import sys

import click

from shared.command_line import run_command
from shared.console import print_error
from shared.cores import count_cores
from shared.errors import ServiceError
from shared.settings import load_settings
from worker.process.environment import kept_loops, worker_variables
from worker.process.heartbeat import begin_heartbeat
from worker.process.private_folder import NotPrivateError


@click.command()
@click.option("--processes", type=click.IntRange(min=1), default=None, help="Task processes; one a core.")
@click.option("--name", default="worker", help="Its name in Flower is NAME@HOST.")
def main(processes: int | None, name: str) -> None:
    """Replace this process by the worker, so that signals reach it."""
    settings = load_settings()
    for variable in ("database_url", "broker_url", "artifact_url"):
        if getattr(settings, variable) is None:
            raise ServiceError(f"a worker needs {variable.upper()} in its environment")
    if settings.heartbeat_file is not None:
        begin_heartbeat(settings.heartbeat_file)
    variables = os.environ | worker_variables()
    try:
        variables |= kept_loops(settings.cache_dir)
    except NotPrivateError as error:
        print_error(f"warning: {error}")
    command = [
        *(sys.executable, "-m", "celery", "-A", "shared.queue", "worker"),
        *("--concurrency", str(processes or count_cores()), "--hostname", f"{name}@%h"),
        *("--loglevel", settings.log_level),
    ]
    os.execve(command[0], command, variables)  # noqa: S606  It becomes the worker.


if __name__ == "__main__":
    run_command(main, "python -m worker")
