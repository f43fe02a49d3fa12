"""How far a sweep is and when it will end, from what its trials cost so far."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from shared.domain.trial import parse_trial_config
from shared.store.page.sweeps import OpenTrial

_ENDED = ("succeeded", "failed", "cancelled", "stopped")
# Below it one slow start would decide everything.
_LEAST_FRACTION = 0.02


@dataclass(frozen=True)
class Progress:
    """`fraction` of the expected work that is done, in [0, 1]; `seconds_left` None: too early to say."""

    fraction: float
    seconds_left: float | None


def progress_of(trials: Sequence[OpenTrial], now: datetime) -> Progress:
    """From the trials of one sweep: those that ran say how long a unit of expected cost takes.

    As many run at once as run now, so an interruption of days does not count as work.
    """
    total = done = measured_cost = measured_seconds = 0.0
    for trial in trials:
        cost = _expected_cost(_Config(trial.config_hash, trial.config))
        part = _done_part(trial)
        total += cost
        done += cost * part
        if trial.started_at is not None and trial.status in ("running", "succeeded") and part > 0:
            measured_cost += cost * part
            measured_seconds += ((trial.finished_at or now) - trial.started_at).total_seconds()
    if not total:
        return Progress(float(all(trial.status in _ENDED for trial in trials)), None)
    fraction = done / total
    n_running = sum(trial.status == "running" for trial in trials)
    if fraction < _LEAST_FRACTION or not measured_cost or not n_running:
        return Progress(fraction, None)
    return Progress(fraction, (total - done) * measured_seconds / measured_cost / n_running)


def _done_part(trial: OpenTrial) -> float:
    if trial.status in _ENDED:
        return 1.0
    if trial.status == "running" and trial.n_epochs:
        return min((trial.epoch or 0) / trial.n_epochs, 1.0)
    return 0.0


class _Config:
    """A stored configuration that is known by its hash, so that each is read once."""

    def __init__(self, config_hash: str, config: Any) -> None:  # noqa: ANN401
        self.config_hash = config_hash
        self.config = config

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Config) and other.config_hash == self.config_hash

    def __hash__(self) -> int:
        return hash(self.config_hash)


@lru_cache(maxsize=20_000)
def _expected_cost(config: _Config) -> float:
    """0 for what this version cannot read: such a trial fails at once."""
    try:
        return parse_trial_config(dict(config.config)).expected_cost
    except ValueError:
        return 0.0
