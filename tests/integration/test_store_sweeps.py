"""Data sets and sweeps: stored once, found again, pruned whole."""

import dataclasses
import threading

import numpy as np
import pytest
from sqlalchemy import text

from shared.domain.protocol import Protocol
from shared.errors import StoreError
from shared.store import (
    attempt_logs,
    create_sweep,
    end_lost_attempt,
    ensure_sweep,
    find_dataset,
    find_sweep,
    latest_sweep,
    list_sweeps,
    old_sweeps,
    promote_trial,
    prune_sweeps,
    record_log,
    rollback_promotion,
    save_dataset,
    sweep_trials,
)
from tests.factories import claim_label, make_config, make_dataset, make_result, store_result, store_sweep

DATASET = make_dataset()
LABEL = "concatenate_4_2_1"


def test_a_data_set_is_stored_once_by_fingerprint(engine):
    first = save_dataset(engine, DATASET)
    assert save_dataset(engine, DATASET) == first == find_dataset(engine, DATASET.fingerprint)
    other = make_dataset(n_users=5)
    assert find_dataset(engine, other.fingerprint) is None
    assert save_dataset(engine, other) != first


def test_the_catalogue_is_stored_with_genres_and_support(engine):
    save_dataset(engine, DATASET)
    with engine.begin() as connection:
        rows = connection.execute(
            text("select item_index, item_id, title, genres, n_ratings from items order by item_index")
        ).all()
    # Four users rated three items each, beginning with the item of their own row: 1, 2, 3, 3, 2, 1.
    assert [row.n_ratings for row in rows] == [1, 2, 3, 3, 2, 1, 0, 0]
    assert tuple(rows[2])[:4] == (2, "30", "Item 2", ["Drama", "Comedy"])


def test_titles_and_genres_of_any_text_come_back_and_may_be_empty(engine):
    titles = ["", "naïve \t\\N", "𝄞", '"', "{a,b}", "null", "x" * 500, "'"]
    genres = ["", "Sci-Fi|Film-Noir", "ß", "{}", '"a","b"', "NULL", "y" * 300, "Drama"]
    dataset = dataclasses.replace(DATASET, titles=np.array(titles), genres=np.array(genres))
    save_dataset(engine, dataset)
    with engine.begin() as connection:
        rows = connection.execute(text("select title, genres from items order by item_index")).all()
    assert [row.title for row in rows] == titles
    assert [row.genres for row in rows] == [one.split("|") if one else [] for one in genres]


def test_the_newest_sweep_of_a_name_data_set_and_protocol_is_found(engine):
    store_sweep(engine, DATASET, [])
    newest = store_sweep(engine, DATASET, [])
    other = store_sweep(engine, DATASET, [], protocol=Protocol(k=3))
    assert find_sweep(engine, "small", newest.dataset_id, newest.protocol.protocol_hash) == newest
    assert find_sweep(engine, "small", newest.dataset_id, other.protocol.protocol_hash) == other
    assert find_sweep(engine, "other", newest.dataset_id, newest.protocol.protocol_hash) is None
    assert latest_sweep(engine) == other
    assert latest_sweep(engine, "other") is None
    assert newest.dataset_name == "tiny"
    assert newest.is_synthetic


def test_two_schedulers_at_once_get_the_same_sweep(engine):
    dataset_id = save_dataset(engine, DATASET)
    barrier = threading.Barrier(2)
    found = []

    def ensure() -> None:
        barrier.wait()
        found.append(ensure_sweep(engine, "small", dataset_id, {"a": 1}, Protocol(), "test"))

    threads = [threading.Thread(target=ensure) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found[0] == found[1]
    assert len(list_sweeps(engine)) == 1


def test_create_always_starts_a_new_sweep(engine):
    dataset_id = save_dataset(engine, DATASET)
    first = create_sweep(engine, "small", dataset_id, {"a": 1}, Protocol(), "test")
    second = create_sweep(engine, "small", dataset_id, {"a": 1}, Protocol(), "test")
    assert [sweep.sweep_id for sweep in list_sweeps(engine)] == [second.sweep_id, first.sweep_id]


def test_prune_removes_a_sweep_with_all_that_belongs_to_it(engine):
    pruned = store_sweep(engine, DATASET, [make_config()])
    kept = store_sweep(engine, DATASET, [make_config()])
    for sweep in (pruned, kept):
        store_result(engine, sweep.sweep_id, LABEL, DATASET, make_result(DATASET))
    prune_sweeps(engine, [pruned.sweep_id])
    assert list_sweeps(engine) == [kept]
    assert sweep_trials(engine, pruned.sweep_id) == []
    with engine.begin() as connection:
        assert connection.scalar(text("select count(distinct sweep_id) from recommendations")) == 1
        assert connection.scalar(text("select count(*) from attempts")) == 1
        partition = f"recommendations_sweep_{pruned.sweep_id}"
        assert connection.scalar(text("select to_regclass(:name)"), {"name": partition}) is None


def ended_sweep(engine, dataset=DATASET):
    sweep = store_sweep(engine, dataset, [make_config()])
    store_result(engine, sweep.sweep_id, LABEL, dataset, make_result(dataset))
    return sweep


def test_what_is_promoted_is_not_pruned(engine):
    promoted, newer = ended_sweep(engine), ended_sweep(engine)
    promote_trial(engine, LABEL, promoted.sweep_id, "")
    with pytest.raises(StoreError, match=f"its trial {LABEL} is served for tiny"):
        prune_sweeps(engine, [newer.sweep_id, promoted.sweep_id])
    assert list_sweeps(engine) == [newer, promoted]
    rollback_promotion(engine, "tiny")
    prune_sweeps(engine, [promoted.sweep_id])
    assert list_sweeps(engine) == [newer]


def test_the_leader_that_is_served_without_a_promotion_is_not_pruned(engine):
    sweep = ended_sweep(engine)
    with pytest.raises(StoreError, match=f"its trial {LABEL} is served for tiny"):
        prune_sweeps(engine, [sweep.sweep_id])


def test_a_sweep_with_open_trials_is_not_pruned(engine):
    sweep = store_sweep(engine, DATASET, [make_config(), make_config("dot")])
    claim_label(engine, sweep.sweep_id, LABEL)
    with pytest.raises(StoreError, match="2 of its trials are queued or running"):
        prune_sweeps(engine, [sweep.sweep_id])


def test_old_sweeps_are_counted_for_each_data_set_and_name_what_keeps_them(engine):
    other = make_dataset(n_users=5, name="other")
    served, of_other = ended_sweep(engine), ended_sweep(engine, other)
    promote_trial(engine, LABEL, served.sweep_id, "")
    done = ended_sweep(engine)
    still_open = store_sweep(engine, DATASET, [make_config()])
    store_sweep(engine, make_dataset(n_users=6), [make_config()])
    reasons = {sweep.sweep_id: sweep.kept_because for sweep in old_sweeps(engine, keep=1)}
    assert reasons == {
        still_open.sweep_id: "1 of its trials are queued or running",
        done.sweep_id: None,
        served.sweep_id: f"its trial {LABEL} is served for tiny",
    }
    assert of_other.sweep_id not in reasons


def test_pruning_tells_where_the_logs_of_its_trials_are(engine):
    sweep, _ = ended_sweep(engine), ended_sweep(engine)
    assert prune_sweeps(engine, [sweep.sweep_id]) == [make_result(DATASET).log_url]


def test_every_attempt_has_a_log_that_is_known_while_it_runs(engine):
    sweep = store_sweep(engine, DATASET, [make_config()])
    assert attempt_logs(engine, LABEL) == []
    lost = claim_label(engine, sweep.sweep_id, LABEL)
    end_lost_attempt(engine, lost.trial_id, "worker-1", "lost_worker", "killed by signal 9 (SIGKILL)")
    claim = claim_label(engine, sweep.sweep_id, LABEL)
    record_log(engine, claim.trial_id, claim.attempt, "file:///a/attempt-2/trial.log")
    record_log(engine, claim.trial_id, claim.attempt + 1, "file:///superseded.log")
    killed = "attempt 1 of 3: killed by signal 9 (SIGKILL) before the first epoch was finished"
    assert attempt_logs(engine, LABEL) == [
        (f"attempt 1 by worker-1: lost_worker, {killed}", "file:///a/attempt-1/trial.log"),
        ("attempt 2 by worker-1: running", "file:///a/attempt-2/trial.log"),
    ]
