"""How a sweep grows: what its search, its repeats and its blends ask for once earlier trials have ended.

Postgres is the only truth: a look reads the sweep and its trials, decides, and adds what is next in the same
transaction. Any number of schedulers may look at once, and be lost at any moment.
"""

import logging
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from sqlalchemy import Engine

from scheduler.sweep.blends import blend
from scheduler.sweep.dispatch import publish
from scheduler.sweep.repeats import repeat
from scheduler.sweep.search.proposing import propose
from scheduler.sweep.spec import SweepSpec, parse_spec
from scheduler.sweep.step import Stage
from shared import store
from shared.errors import ServiceError, SpecError, StoreError
from shared.stop_signal import StopSignal
from shared.store import AskedBy, GrowthState, Sweep

PERIOD_SECONDS = 1.0
# While something grows: a worker that ended a short trial should find the next one.
GROWING_SECONDS = 0.25

logger = logging.getLogger(__name__)


# In this order; each begins when those before are over.
STAGES: Sequence[tuple[AskedBy, Stage]] = (("search", propose), ("repeats", repeat), ("blends", blend))


def spec_of(sweep: Sweep) -> SweepSpec:
    """The sweep file as it is stored with a sweep, on the protocol as the data have it."""
    spec = parse_spec(sweep.spec, Path(f"sweep {sweep.sweep_id} {sweep.name}"))
    return replace(spec, protocol=sweep.protocol)


def grow(engine: Engine, broker_url: str, sweep_id: int) -> bool:
    """One look at a sweep: add and publish what it asks for next, or note that it is complete.

    Gives whether it looked: not where the sweep does not grow, or somebody else looks at it just now.
    """
    n_added = 0
    with store.growing_sweep(engine, sweep_id) as turn:
        if turn is None:
            return False
        spec = spec_of(turn.sweep.sweep)
        for asked_by, stage in STAGES:
            step = stage(spec, turn.sweep)
            turn.add(asked_by, step.configs, step.proposals)
            n_added += len(step.configs)
            if not step.is_over:
                break
        else:
            turn.complete()
    if n_added:
        known = {trial.trial_id for trial in turn.sweep.trials}
        # What was lost on its way before, the watcher publishes.
        queued = store.queued_trials(engine)
        publish(broker_url, [one for one in queued if one.sweep_id == sweep_id and one.trial_id not in known])
    return True


class Grower:
    """Looks at every growing sweep until `stopped` is set; what is away is waited for."""

    def __init__(self, engine: Engine, broker_url: str, stopped: threading.Event | StopSignal) -> None:
        self._engine = engine
        self._broker_url = broker_url
        self._stopped = stopped
        self._said: dict[int, str] = {}
        # How each sweep was when a look found nothing more to do; it saves looks and decides nothing.
        self._seen: dict[int, GrowthState] = {}

    def run(self) -> None:
        """Look until stopped."""
        while not self._stopped.wait(GROWING_SECONDS if self._seen else PERIOD_SECONDS):
            self.look()

    def look(self) -> None:
        """One look at every growing sweep that changed; what keeps one from growing is said once."""
        try:
            states = store.growth_states(self._engine)
        except StoreError as error:
            self._say(0, str(error))
            return
        self._said.pop(0, None)
        self._seen = {one.sweep_id: self._seen[one.sweep_id] for one in states if one.sweep_id in self._seen}
        for state in states:
            if self._seen.get(state.sweep_id) == state:
                continue
            try:
                has_looked = grow(self._engine, self._broker_url, state.sweep_id)
            except (StoreError, ServiceError, SpecError) as error:
                self._say(state.sweep_id, f"sweep {state.sweep_id} does not grow now: {error}")
            else:
                self._said.pop(state.sweep_id, None)
                if has_looked:
                    self._seen[state.sweep_id] = state

    def _say(self, key: int, text: str) -> None:
        if self._said.get(key) != text:
            logger.warning("%s", text)
        self._said[key] = text
