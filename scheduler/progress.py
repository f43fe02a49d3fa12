"""Live progress of a sweep: a line per trial and an overall bar; plain lines when not on a terminal."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from rich.console import Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, Progress
from sqlalchemy import Engine
from tenacity import RetryCallState, Retrying, retry_if_exception_type, wait_fixed

from shared import store
from shared.console import PlainColumn, PlainConsole, new_list, styled
from shared.errors import ServiceError, StoreUnavailable
from shared.queue import find_workers, require_broker
from shared.store import Trial

PERIOD_SECONDS = 0.5
DATABASE_RETRY_SECONDS = 2.0
# Longer than a worker needs to take the next trial.
STALL_SECONDS = 10.0
# Longer than a worker, or its task processes, need to start on a busy machine.
STARTING_SECONDS = 45.0
_TERMINAL = ("succeeded", "failed", "cancelled", "stopped")
_STYLES = {
    "running": "cyan",
    "succeeded": "green",
    "failed": "red",
    "cancelled": "yellow",
    "stopped": "dim",
    "queued": "dim",
}


@dataclass(frozen=True)
class Watched:
    """The trials that are watched, as they are now; `is_growing`: more may be added."""

    trials: list[Trial]
    is_growing: bool = False

    @property
    def n_ended(self) -> int:
        """How many will not change any more."""
        return sum(trial.status in _TERMINAL for trial in self.trials)

    @property
    def is_over(self) -> bool:
        """Whether nothing will change any more."""
        return not self.is_growing and self.n_ended == len(self.trials)


_Read = Callable[[], Watched]


def watch_sweep(
    engine: Engine, broker_url: str, sweep_id: int, console: PlainConsole, objective: str = "rmse"
) -> list[Trial]:
    """Show progress until every trial has ended; returns the trials. KeyboardInterrupt passes through.

    Where the sweep's objective is not the RMSE, which is always shown, it is shown too. When nothing moves
    for a while it says what it waits for.
    """

    def read() -> Watched:
        # The sweep first: what is added afterwards is seen the next time.
        is_growing = store.is_growing(engine, sweep_id)
        return Watched(store.sweep_trials(engine, sweep_id), is_growing)

    return _watch(read, broker_url, console, objective)


def watch_trial(engine: Engine, broker_url: str, trial_id: int, console: PlainConsole) -> Trial:
    """The same for one trial, such as a refit."""
    (trial,) = _watch(lambda: Watched([store.get_trial(engine, trial_id)]), broker_url, console)
    return trial


def _watch(read: _Read, broker_url: str, console: PlainConsole, objective: str = "rmse") -> list[Trial]:
    started = time.monotonic()
    stall = Stall(broker_url)
    if not console.is_terminal:
        return _watch_plainly(read, console, stall, objective)
    bar = Progress(
        PlainColumn("{task.description}"), BarColumn(bar_width=40), PlainColumn("{task.fields[left]}")
    )
    task = bar.add_task("", total=1.0, left="")
    with Live(console=console, refresh_per_second=4, transient=True) as live:
        while True:
            watched = _read_patiently(read, console)
            trials, n_ended = watched.trials, watched.n_ended
            fraction = done_fraction(trials)
            bar.update(
                task,
                completed=fraction,
                description=f"{n_ended}/{len(trials)} trials",
                left=_time_left(fraction, time.monotonic() - started),
            )
            table = progress_table(trials, objective)
            live.update(Group(table, bar, styled(stall.reason(trials) or "", "yellow")))
            if watched.is_over:
                return trials
            time.sleep(PERIOD_SECONDS)


def done_fraction(trials: Sequence[Trial]) -> float:
    """Share of the expected work that is done, in [0, 1]; the epochs of running trials count."""
    total = sum(trial.config.expected_cost for trial in trials)
    done = 0.0
    for trial in trials:
        cost = trial.config.expected_cost
        if trial.status in _TERMINAL:
            done += cost
        elif trial.status == "running" and trial.config.training is not None:
            n_epochs = trial.n_epochs or trial.config.training.max_epochs
            done += cost * min((trial.epoch or 0) / n_epochs, 1.0)
    return done / total if total else float(all(trial.status in _TERMINAL for trial in trials))


def progress_table(trials: Sequence[Trial], objective: str = "rmse") -> RenderableType:
    """One line a trial: label, state, epoch, validation RMSE, the objective where it is another, elapsed."""
    others = [] if objective == "rmse" else [f"val {objective}"]
    table = new_list("trial", "state", "epoch", "val RMSE", *others, "elapsed")
    for trial in trials:
        state = trial.status + (f" (attempt {trial.attempt})" if trial.attempt > 1 else "")
        if trial.status == "stopped":
            state += f", {_measured(trial.stopped_against)} was needed"
        table.add_row(
            trial.label,
            styled(state, _STYLES[trial.status]),
            "" if trial.epoch is None else str(trial.epoch),
            _measured(trial.val_rmse),
            *(_measured(trial.objective) for _ in others),
            _elapsed(trial),
        )
    return table


def _measured(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


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


def _watch_plainly(read: _Read, console: PlainConsole, stall: Stall, objective: str) -> list[Trial]:
    reason = None
    shown: dict[int, tuple[str, int]] = {}
    while True:
        watched = _read_patiently(read, console)
        trials, n_ended = watched.trials, watched.n_ended
        for trial in trials:
            state = (trial.status, trial.attempt)
            if shown.get(trial.trial_id, ("queued", 0)) != state:
                shown[trial.trial_id] = state
                console.print(_plain_line(trial, n_ended, len(trials), objective))
        if (why := stall.reason(trials)) != reason:
            reason = why
            if why:
                console.print(why)
        if watched.is_over:
            return trials
        time.sleep(PERIOD_SECONDS)


def _plain_line(trial: Trial, n_ended: int, n_trials: int, objective: str = "rmse") -> str:
    line = f"[{n_ended}/{n_trials}] {trial.label}: {trial.status}"
    if trial.attempt > 1:
        line += f" (attempt {trial.attempt})"
    if trial.status == "succeeded":
        line += f", val RMSE {trial.val_rmse:.4f}" if trial.val_rmse is not None else ""
        if objective != "rmse" and trial.objective is not None:
            line += f", val {objective} {trial.objective:.4f}"
        line += f", {_elapsed(trial)}"
    if trial.status == "failed":
        line += f", {trial.error_reason}: {trial.error_message}"
    if trial.status == "stopped":
        line += (
            f", {objective} {_measured(trial.stopped_value)} by epoch {trial.stopped_epoch}, "
            f"{_measured(trial.stopped_against)} was needed"
        )
    return line


def _read_patiently(read: _Read, console: PlainConsole) -> Watched:
    """The trials, however long the database is away; a line when it goes and one when it is back."""

    def say_once(state: RetryCallState) -> None:
        if state.attempt_number == 1 and state.outcome is not None:
            console.print(f"waiting for the database: {state.outcome.exception()}")

    retrying = Retrying(
        retry=retry_if_exception_type(StoreUnavailable),
        wait=wait_fixed(DATABASE_RETRY_SECONDS),
        before_sleep=say_once,
    )
    watched: Watched = retrying(read)
    if retrying.statistics["attempt_number"] > 1:
        console.print("the database is back")
    return watched


def _elapsed(trial: Trial) -> str:
    if trial.started_at is None or trial.status == "queued":
        return ""
    seconds = int(((trial.finished_at or datetime.now(UTC)) - trial.started_at).total_seconds())
    return f"{max(seconds, 0) // 60}:{max(seconds, 0) % 60:02d}"


def _time_left(fraction: float, elapsed_seconds: float) -> str:
    if fraction < 0.02:
        return "estimating the time left"
    seconds = int(elapsed_seconds * (1 - fraction) / fraction)
    return f"about {seconds // 60}:{seconds % 60:02d} left"
