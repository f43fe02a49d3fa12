"""A server without a supervisor, started and ended with a block of code: for tests."""

import contextlib
import signal
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from scheduler.machine.accounts import Account
from scheduler.machine.patience import ask_until
from shared.errors import ServiceError

_START_TIMEOUT_SECONDS = 30.0
_STOP_TIMEOUT_SECONDS = 20.0


@contextlib.contextmanager
def running_server(
    name: str,
    command: Sequence[str],
    find_problem: Callable[[], str | None],
    stop_signal: signal.Signals,
    *,
    home: Path,
    log: Path,
    account: Account | None = None,
) -> Iterator[None]:
    """Run it in `home` until the block ends; raises ServiceError unless `find_problem` soon finds none."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=home,
            stdout=output,
            stderr=output,
            start_new_session=True,
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
        )
    try:
        problem = ask_until(
            find_problem, lambda problem: not problem or process.poll() is not None, _START_TIMEOUT_SECONDS
        )
        if problem:
            raise ServiceError(f"{name} did not start: {problem}; see {log}")
        yield
    finally:
        process.send_signal(stop_signal)
        try:
            process.wait(timeout=_STOP_TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
