"""Which queued trials a look into the broker finds without a message, on real Postgres and Redis."""

import inspect
from datetime import timedelta

import pytest

from scheduler.sweep.dispatch import missing_trials
from shared import store
from shared.queue import TASK_NAME, app, publish_trials
from shared.store.database import create_engine
from tests.factories import (
    claim_label,
    deliver_message,
    expire_leases,
    make_config,
    make_dataset,
    store_sweep,
)
from worker.task import train_architecture

LABEL = make_config().label


@pytest.fixture
def sweep_id(engine) -> int:
    return store_sweep(engine, make_dataset(), [make_config()]).sweep_id


def test_a_trial_without_a_message_is_missing_and_one_with_a_message_is_not(engine, sweep_id, broker_url):
    (missing,) = missing_trials(engine, broker_url)
    assert (missing.trial_id, missing.label) == (1, LABEL)
    publish_trials(broker_url, [missing])
    assert missing_trials(engine, broker_url) == []


def end_by_failure(engine, sweep_id):
    claim = claim_label(engine, sweep_id, LABEL)
    store.fail_trial(engine, claim.trial_id, claim.attempt, "dataset", "it is gone")
    store.requeue_trials(engine, [claim.trial_id])


def end_by_retry(engine, sweep_id):
    claim = claim_label(engine, sweep_id, LABEL)
    store.fail_trial(engine, claim.trial_id, claim.attempt, "out_of_memory", "too large", retry=True)


def end_by_lost_worker(engine, sweep_id):
    claim_label(engine, sweep_id, LABEL)
    expire_leases(engine)
    store.recover_lost_trials(engine)


def end_by_cancel_before_a_claim(engine, sweep_id):
    """The worker asks for the trial in between and is told that there is nothing to do."""
    store.cancel_sweep(engine, sweep_id)
    assert store.claim_trial(engine, 1, "worker-1", 60, "test") is None
    store.requeue_trials(engine, [1])


ENDS = [end_by_failure, end_by_retry, end_by_lost_worker, end_by_cancel_before_a_claim]


@pytest.mark.parametrize("end", ENDS)
def test_a_message_of_a_queueing_that_is_over_is_none(engine, sweep_id, broker_url, end):
    publish_trials(broker_url, store.queued_trials(engine))
    deliver_message(broker_url)
    assert missing_trials(engine, broker_url) == []
    end(engine, sweep_id)
    (missing,) = missing_trials(engine, broker_url)
    publish_trials(broker_url, [missing])
    assert missing_trials(engine, broker_url) == []
    deliver_message(broker_url)
    assert missing_trials(engine, broker_url) == []


def test_a_message_counts_wherever_it_is_read(engine, sweep_id, broker_url, monkeypatch):
    """The time zone of a session changes how a moment is written, not which it is."""
    publish_trials(broker_url, store.queued_trials(engine))
    deliver_message(broker_url)
    monkeypatch.setenv("PGTZ", "Asia/Kathmandu")
    elsewhere = create_engine(engine.url.render_as_string(hide_password=False))
    assert store.queued_trials(elsewhere)[0].queued_at.utcoffset() == timedelta(hours=5, minutes=45)
    assert missing_trials(elsewhere, broker_url) == []
    elsewhere.dispose()


def test_a_message_of_version_0_1_counts_while_it_waits_and_once_delivered_does_no_harm(
    engine, sweep_id, broker_url
):
    with app.connection_for_write(broker_url) as connection, app.amqp.Producer(connection) as producer:
        app.send_task(TASK_NAME, args=(1, LABEL), producer=producer)
    assert missing_trials(engine, broker_url) == []
    inspect.signature(train_architecture.run).bind(1, LABEL)
    deliver_message(broker_url)
    # It cannot be told from one that is over: a second message is harmless, since a claim is made once.
    assert [trial.trial_id for trial in missing_trials(engine, broker_url)] == [1]
