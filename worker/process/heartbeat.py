"""A file whose age tells the health checks of a container that the worker's parent process lives.

It asks nobody, so that a worker whose Redis or Postgres is away counts as alive: it waits for them, and the
training goes on. A probe compares the age of the file and starts no Python. The content says whether the
worker has been connected to Redis: "starting", then "ready".
"""

import logging
import os
import threading
import time
from pathlib import Path

from celery.signals import worker_init, worker_ready

from shared.errors import SpecError
from shared.settings import load_settings

# A probe calls a file of a minute old.
PERIOD_SECONDS = 2.0

logger = logging.getLogger(__name__)


def begin_heartbeat(path: Path) -> None:
    """Write the file for the first time; raises SpecError where that cannot be done."""
    try:
        path.write_text("starting\n")
    except OSError as error:
        raise SpecError(
            f"HEARTBEAT_FILE must name a file that can be written; {path}: {error.strerror}"
        ) from error


@worker_init.connect  # type: ignore[untyped-decorator]  # Celery ships no types.
def _start(**_: object) -> None:
    """In the parent, before it looks for Redis: touch the file from a thread for as long as it runs."""
    path = load_settings().heartbeat_file
    if path is not None:
        threading.Thread(target=_beat, args=(path,), name="heartbeat", daemon=True).start()


@worker_ready.connect  # type: ignore[untyped-decorator]
def _become_ready(**_: object) -> None:
    path = load_settings().heartbeat_file
    if path is not None:
        path.write_text("ready\n")


def _beat(path: Path) -> None:
    while True:
        time.sleep(PERIOD_SECONDS)
        try:
            os.utime(path)
        except OSError as error:
            logger.warning("the heartbeat file %s cannot be touched: %s", path, error)
