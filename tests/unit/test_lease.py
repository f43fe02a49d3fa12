"""The lease of a running trial: beats, and what the training is told."""

import threading
from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import Engine, create_engine

from shared.domain.protocol import Protocol
from shared.errors import StoreUnavailable, TrialError
from shared.store import Claim
from tests.factories import make_config
from worker.process import lease
from worker.process.lease import HandedBack, Lease, Superseded

PATIENCE_SECONDS = 10.0


class Database:
    """Gives the states one after another, the last for ever; an exception among them is raised."""

    def __init__(self, *states: str | Exception) -> None:
        self._states = list(states)
        self.n_beats = 0
        self.calls: list[tuple[object, ...]] = []
        self._beaten = threading.Condition()

    def extend(self, _engine: Engine, *call: object) -> str:
        with self._beaten:
            state = self._states.pop(0) if len(self._states) > 1 else self._states[0]
            self.calls.append(call)
            self.n_beats += 1
            self._beaten.notify_all()
        if isinstance(state, Exception):
            raise state
        return state

    def wait_for_beats(self, n_beats: int) -> None:
        """Until the beat after those has begun, so that what they gave is known."""
        with self._beaten:
            assert self._beaten.wait_for(lambda: self.n_beats > n_beats, PATIENCE_SECONDS)


@pytest.fixture
def hold(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Lease]]:
    monkeypatch.setattr(lease, "HEARTBEAT_SECONDS", 0.001)
    engine = create_engine("sqlite://")

    def make(database: Database, *, is_shutting_down: bool = False) -> Lease:
        monkeypatch.setattr(lease, "extend_lease", database.extend)
        config = make_config()
        claim = Claim(7, 2, 1, config.label, config, Protocol(), "sample", "0" * 32)
        return Lease(engine, claim, lambda: is_shutting_down)

    yield make
    engine.dispose()


def test_a_held_trial_goes_on_and_its_own_attempt_is_extended(hold):
    database = Database("held")
    with hold(database) as held:
        database.wait_for_beats(2)
        held.check()
    assert set(database.calls) == {(7, 2, lease.LEASE_SECONDS)}


def test_a_cancelled_trial_stops(hold):
    database = Database("held", "cancelled")
    with hold(database) as held:
        database.wait_for_beats(2)
        with pytest.raises(TrialError, match="make cancel") as raised:
            held.check()
    assert raised.value.reason == "cancelled"


def test_a_cancel_that_is_withdrawn_in_time_has_no_effect(hold):
    database = Database("cancelled", "held")
    with hold(database) as held:
        database.wait_for_beats(2)
        held.check()


def test_a_superseded_trial_stops_and_is_never_held_again(hold):
    database = Database("superseded", "held")
    with hold(database) as held:
        held._thread.join(PATIENCE_SECONDS)
        with pytest.raises(Superseded):
            held.check()
    assert database.n_beats == 1


def test_a_database_that_is_away_does_not_stop_the_trial(hold):
    database = Database("held", StoreUnavailable("away"), StoreUnavailable("away"), "held")
    with hold(database) as held:
        database.wait_for_beats(4)
        held.check()


def test_a_worker_that_shuts_down_hands_its_trial_back(hold):
    with hold(Database("held"), is_shutting_down=True) as held, pytest.raises(HandedBack):
        held.check()


def test_the_beats_end_with_the_trial(hold):
    database = Database("held")
    with hold(database) as held:
        database.wait_for_beats(1)
    assert not held._thread.is_alive()
