"""Live progress of a sweep: a line per trial and an overall bar; plain lines when not on a terminal."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from rich.console import Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, Progress
from sqlalchemy import Engine
from tenacity import RetryCallState, Retrying, retry_if_exception_type, wait_fixed

from scheduler.shown_trials import count_states, trials_to_show
from scheduler.stall import Stall
from scheduler.sweep.search.screen import SearchScreen
from scheduler.sweep.spec import SweepSpec
from shared import store
from shared.console import PlainColumn, PlainConsole, new_list, styled
from shared.errors import StoreUnavailable
from shared.store import Trial

PERIOD_SECONDS = 0.5
DATABASE_RETRY_SECONDS = 2.0
# Of the terminal, beside the trials: the head of the table, the counts, the bar, what is waited for.
_ROWS_AROUND = 7
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
    """The trials that are watched, as they are now; `is_growing`: more may be added.

    Of a search: `n_to_come` trials are still to be chosen, of about `cost_to_come`; `time_spent`: share of
    its budget of time; `lines`: what it found out by now.
    """

    trials: list[Trial]
    is_growing: bool = False
    n_to_come: int = 0
    cost_to_come: float = 0.0
    time_spent: float = 0.0
    lines: tuple[str, ...] = ()

    @property
    def n_expected(self) -> int:
        """All trials, those to come too."""
        return len(self.trials) + self.n_to_come

    @property
    def done_fraction(self) -> float:
        """Share of the expected work, or of the time, whichever ends first."""
        return max(done_fraction(self.trials, self.cost_to_come), self.time_spent)

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
    engine: Engine,
    broker_url: str,
    sweep_id: int,
    console: PlainConsole,
    objective: str = "rmse",
    *,
    spec: SweepSpec | None = None,
) -> list[Trial]:
    """Show progress until every trial has ended; returns the trials. KeyboardInterrupt passes through.

    `spec`: the sweep file, where its search is shown too.

    Where the sweep's objective is not the RMSE, which is always shown, it is shown too. When nothing moves
    for a while it says what it waits for.
    """

    def read() -> Watched:
        # The sweep first: what is added afterwards is seen the next time.
        is_growing = store.is_growing(engine, sweep_id)
        watched = Watched(store.sweep_trials(engine, sweep_id), is_growing)
        return watched if search is None else _watch_search(engine, search, watched)

    search = SearchScreen(spec) if spec is not None and spec.search.method != "grid" else None
    is_larger_better = spec is not None and spec.protocol.is_larger_better
    return _watch(read, broker_url, console, objective, is_larger_better=is_larger_better)


def _watch_search(engine: Engine, search: SearchScreen, watched: Watched) -> Watched:
    sweep_id = watched.trials[0].sweep_id if watched.trials else 0
    proposals = store.sweep_proposals(engine, sweep_id)
    n_to_come = search.n_to_choose(watched.trials, proposals) if watched.is_growing else 0
    return replace(
        watched,
        n_to_come=n_to_come,
        cost_to_come=search.cost_of(n_to_come),
        time_spent=search.share_of_time(store.get_sweep(engine, sweep_id).growing_since),
        lines=tuple(search.lines(watched.trials, proposals)),
    )


def watch_trial(engine: Engine, broker_url: str, trial_id: int, console: PlainConsole) -> Trial:
    """The same for one trial, such as a refit."""
    (trial,) = _watch(lambda: Watched([store.get_trial(engine, trial_id)]), broker_url, console)
    return trial


def _watch(
    read: _Read,
    broker_url: str,
    console: PlainConsole,
    objective: str = "rmse",
    *,
    is_larger_better: bool = False,
) -> list[Trial]:
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
            fraction = watched.done_fraction
            bar.update(
                task,
                completed=fraction,
                description=f"{n_ended}/{watched.n_expected} trials",
                left=_time_left(fraction, time.monotonic() - started),
            )
            # Below the table: the bar, what it waits for, the lines, and one for the counts.
            n_rows = console.size.height - _ROWS_AROUND - len(watched.lines)
            shown = trials_to_show(trials, n_rows, is_larger_better=is_larger_better)
            table = progress_table(shown, objective)
            rest = [count_states(trials)] if len(shown) < len(trials) else []
            below = [styled(line, "dim") for line in (*rest, *watched.lines)]
            live.update(Group(table, *below, bar, styled(stall.reason(trials) or "", "yellow")))
            if watched.is_over:
                return trials
            time.sleep(PERIOD_SECONDS)


def done_fraction(trials: Sequence[Trial], cost_to_come: float = 0.0) -> float:
    """Share of the expected work that is done, in [0, 1]; the epochs of running trials count."""
    total = cost_to_come + sum(trial.config.expected_cost for trial in trials)
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
    numbers = ("epoch", "val RMSE", *others, "elapsed")
    table = new_list("trial", "state", *numbers, numbers=numbers)
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


def _watch_plainly(read: _Read, console: PlainConsole, stall: Stall, objective: str) -> list[Trial]:
    reason = None
    shown: dict[int, tuple[str, int]] = {}
    best: tuple[str, ...] = ()
    while True:
        watched = _read_patiently(read, console)
        trials, n_ended = watched.trials, watched.n_ended
        for trial in trials:
            state = (trial.status, trial.attempt)
            if shown.get(trial.trial_id, ("queued", 0)) != state:
                shown[trial.trial_id] = state
                console.print(_plain_line(trial, n_ended, watched.n_expected, objective))
        if watched.lines[:1] != best:
            best = watched.lines[:1]
            console.print(*best)
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
    end = datetime.now().astimezone() + timedelta(seconds=seconds)
    return f"about {seconds // 60}:{seconds % 60:02d} left, until {end:%H:%M}"
