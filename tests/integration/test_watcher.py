"""The watcher on real Postgres and Redis: what it publishes, and when it judges leases."""

import base64
import json
import threading
from itertools import pairwise

import pytest
import redis
from sqlalchemy import text

from scheduler.sweep.dispatch import missing_trials
from scheduler.watcher import GRACE_SECONDS, LONGEST_WAIT_SECONDS, UNCLAIMED_SECONDS, Watcher
from shared import store
from shared.errors import StoreError, StoreUnavailable, TrialError
from shared.queue import find_messages, publish_trials
from tests.clock import Clock
from tests.factories import (
    claim_label,
    deliver_message,
    expire_leases,
    make_config,
    make_dataset,
    store_sweep,
)

LABEL = make_config().label


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


def test_a_message_that_waits_is_not_doubled(watcher, clock, engine, sweep_id, broker_url):
    publish_trials(broker_url, store.queued_trials(engine))
    look_after(watcher, clock, 10 * UNCLAIMED_SECONDS)
    with redis.Redis.from_url(broker_url) as client:
        assert client.llen("recsweep") == 1


def test_a_message_that_a_dead_worker_holds_is_published_again(watcher, clock, engine, sweep_id, broker_url):
    publish_trials(broker_url, store.queued_trials(engine))
    deliver_message(broker_url)
    assert missing_trials(engine, broker_url) == []
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


def store_unreadable(engine, trial_id=1):
    """As if a newer version had stored the trial."""
    with engine.begin() as connection:
        connection.execute(
            text("""update trials set config = '{"family": "of tomorrow"}' where trial_id = :trial_id"""),
            {"trial_id": trial_id},
        )


def test_a_trial_that_cannot_be_read_is_published_and_stops_no_look(
    engine, watcher, clock, sweep_id, broker_url
):
    store.add_trials(engine, sweep_id, [make_config("dot")])
    store_unreadable(engine)
    look_after(watcher, clock, 6)
    with redis.Redis.from_url(broker_url) as client:
        bodies = [
            json.loads(base64.b64decode(json.loads(m)["body"])) for m in client.lrange("recsweep", 0, -1)
        ]
    # Taken from the right: first the one that a worker fails at once.
    assert [body[0][0] for body in reversed(bodies)] == [1, 2]
    with pytest.raises(TrialError, match="cannot read the trial's configuration"):
        store.claim_trial(engine, 1, "worker-1", 60, "test")
    assert [trial.trial_id for trial in store.queued_trials(engine)] == [2]


def test_a_lost_trial_that_cannot_be_read_is_recovered_with_the_others(engine, watcher, sweep_id, broker_url):
    store.add_trials(engine, sweep_id, [make_config("dot")])
    for label in (LABEL, make_config("dot").label):
        claim_label(engine, sweep_id, label)
    store_unreadable(engine)
    expire_leases(engine)
    watcher.look()
    assert find_messages(broker_url).waiting == {1, 2}


def test_a_sweep_with_a_trial_that_cannot_be_read_is_told_in_one_line(engine, sweep_id):
    store_unreadable(engine)
    with pytest.raises(
        StoreError, match=f"trial 1 {LABEL}: this version cannot read its configuration: "
    ) as e:
        store.sweep_trials(engine, sweep_id)
    assert "\n" not in str(e.value)


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
