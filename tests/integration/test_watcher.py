"""The watcher on real Postgres and Redis: what it publishes, and when it judges leases."""

import threading
from itertools import pairwise

import pytest
import redis
from sqlalchemy import text

from scheduler.watcher import GRACE_SECONDS, LONGEST_WAIT_SECONDS, UNCLAIMED_SECONDS, Watcher
from shared import store
from shared.errors import StoreUnavailable
from shared.queue import find_messages, publish_trials
from tests.factories import claim_label, expire_leases, make_config, make_dataset, store_sweep

LABEL = make_config().label


class Clock:
    """Time that passes when it is told to."""

    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def watcher(engine, broker_url, clock) -> Watcher:
    return Watcher(engine, broker_url, threading.Event(), clock)


@pytest.fixture
def sweep_id(engine) -> int:
    return store_sweep(engine, make_dataset(), [make_config()]).sweep_id


def look_after(watcher: Watcher, clock: Clock, seconds: float) -> None:
    """Look every three seconds, as `run` does."""
    end = clock.seconds + seconds
    while clock.seconds < end:
        clock.seconds += 3.0
        watcher.look()


def test_a_trial_without_a_message_is_published_at_the_second_look(watcher, clock, sweep_id, broker_url):
    watcher.look()
    assert find_messages(broker_url).waiting == set()
    look_after(watcher, clock, 3)
    assert find_messages(broker_url).waiting == {1}


def test_the_database_knows_when_a_message_was_sent(engine, watcher, clock, sweep_id):
    sent = text("select published_at is not null from trials")
    with engine.connect() as connection:
        assert connection.scalar(sent) is False
        look_after(watcher, clock, 6)
        assert connection.scalar(sent) is True


def test_a_message_that_waits_is_not_doubled(watcher, clock, sweep_id, broker_url):
    publish_trials(broker_url, [(1, LABEL)])
    look_after(watcher, clock, 10 * UNCLAIMED_SECONDS)
    with redis.Redis.from_url(broker_url) as client:
        assert client.llen("recsweep") == 1


def test_a_message_that_a_dead_worker_holds_is_published_again(watcher, clock, sweep_id, broker_url):
    publish_trials(broker_url, [(1, LABEL)])
    with redis.Redis.from_url(broker_url, decode_responses=True) as client:
        message = client.rpop("recsweep")
        client.hset("unacked", "tag", f'[{message}, "recsweep", "recsweep"]')
    assert find_messages(broker_url).delivered == {1}
    look_after(watcher, clock, UNCLAIMED_SECONDS)
    assert find_messages(broker_url).waiting == set()
    look_after(watcher, clock, 6)
    assert find_messages(broker_url).waiting == {1}


def test_a_trial_that_is_refused_again_and_again_is_published_ever_more_rarely(
    watcher, clock, engine, sweep_id, broker_url
):
    published_at = []
    with redis.Redis.from_url(broker_url) as client:
        while clock.seconds < 600:
            look_after(watcher, clock, 3)
            if client.rpop("recsweep"):
                published_at.append(clock.seconds)
        waits = [later - earlier for earlier, later in pairwise(published_at)]
        assert waits == sorted(waits)
        assert waits[0] < 10
        assert LONGEST_WAIT_SECONDS <= waits[-1] < LONGEST_WAIT_SECONDS + 10
        # It is claimed, and lost: from then on it is like any other.
        claim_label(engine, sweep_id, LABEL)
        look_after(watcher, clock, 3)
        expire_leases(engine)
        watcher.look()
        assert client.rpop("recsweep")
        look_after(watcher, clock, 9)
        assert client.rpop("recsweep")


def test_a_trial_that_is_refused_for_days_does_not_end_the_watcher(watcher, clock, sweep_id, broker_url):
    watcher._n_published[1] = 5000
    look_after(watcher, clock, LONGEST_WAIT_SECONDS + 6)
    assert find_messages(broker_url).waiting == {1}


def test_a_lost_trial_is_published_at_once(watcher, clock, engine, sweep_id, broker_url):
    claim_label(engine, sweep_id, LABEL)
    expire_leases(engine)
    watcher.look()
    assert find_messages(broker_url).waiting == {1}


def test_leases_are_not_judged_just_after_the_database_was_away(
    watcher, clock, engine, sweep_id, monkeypatch
):
    claim_label(engine, sweep_id, LABEL)
    expire_leases(engine)

    def fail(_engine):
        raise StoreUnavailable("away")

    with monkeypatch.context() as patch:
        patch.setattr(store, "queued_trials", fail)
        with pytest.raises(StoreUnavailable):
            watcher.look()
    look_after(watcher, clock, GRACE_SECONDS - 3)
    assert store.sweep_trials(engine, sweep_id)[0].status == "running"
    look_after(watcher, clock, 6)
    assert store.sweep_trials(engine, sweep_id)[0].status == "queued"
