"""Why a sweep does not move."""

import time
from collections.abc import Callable, Sequence

from shared.errors import ServiceError
from shared.queue import find_workers, require_broker
from shared.store import Trial

# Longer than a worker needs to take the next trial.
STALL_SECONDS = 10.0
# Longer than a worker, or its task processes, need to start on a busy machine.
STARTING_SECONDS = 45.0


class Stall:
    """Finds out why a sweep does not move: trials are queued, none runs, and that for a while."""

    def __init__(self, broker_url: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._broker_url = broker_url
        self._clock = clock
        self._state: object = None
        self._moved_at = self._asked_at = clock()
        self._reason: str | None = None

    def reason(self, trials: Sequence[Trial]) -> str | None:
        """What is waited for, in one line; None while something moves."""
        now = self._clock()
        state = [(trial.status, trial.attempt, trial.epoch) for trial in trials]
        statuses = {trial.status for trial in trials}
        if state != self._state or "running" in statuses or "queued" not in statuses:
            self._state, self._moved_at, self._reason = state, now, None
        elif now - max(self._moved_at, self._asked_at) >= STALL_SECONDS:
            self._asked_at = now
            why = why_waiting(self._broker_url, now - self._moved_at)
            n_queued = sum(trial.status == "queued" for trial in trials)
            waiting = "1 trial waits" if n_queued == 1 else f"{n_queued} trials wait"
            self._reason = f"{waiting}, none runs: {why}" if why else None
        return self._reason


def why_waiting(broker_url: str, waited_seconds: float) -> str | None:
    """Why queued trials are not taken, as far as it can be seen from here; None while workers just start."""
    try:
        require_broker(broker_url)
        workers = find_workers(broker_url)
    except ServiceError as error:
        return str(error)
    if not workers:
        if waited_seconds < STARTING_SECONDS:
            return None
        return "no worker answers; `make status` shows the services, `make logs` their last words"
    if any(worker.uptime_seconds < STARTING_SECONDS for worker in workers.values()):
        return None
    return f"{', '.join(workers)} answers but took none yet; the watcher publishes again what has no message"
