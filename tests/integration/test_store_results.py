"""Results are written whole or not at all, by the attempt that owns the trial."""

import contextlib
import dataclasses
import threading
from dataclasses import replace

import numpy as np
import psycopg2
import pytest
from sqlalchemy import Engine, text

from shared.domain.protocol import Protocol
from shared.errors import StoreError, StoreUnavailable
from shared.store import (
    EpochRecord,
    RankedItems,
    RatedItems,
    claim_trial,
    finish_trial,
    parts_with_user_results,
    rating_predictions_of,
    recommendations_of,
    record_epoch,
    recover_lost_trials,
    release_trial,
    stored_hits,
    stored_recommendations,
    stored_user_results,
    sweep_trials,
)
from shared.store.attempts import FINISH_PREFIX
from shared.store.copying import copy_rows
from shared.store.database import transaction
from tests.factories import (
    claim_label,
    expire_leases,
    make_config,
    make_dataset,
    make_epochs,
    make_hits,
    make_result,
    make_user_results,
    store_sweep,
)

LABEL = "concatenate_4_2_1"
DATASET = make_dataset()
USER_RESULTS = {"validation": make_user_results(DATASET), "test": make_user_results(DATASET, seed=1)}
RESULT = make_result(DATASET, user_results=USER_RESULTS)
# 4 users with 2 items each.
N_ROWS = 8


@pytest.fixture
def sweep_id(engine: Engine) -> int:
    return store_sweep(engine, DATASET, [make_config()]).sweep_id


def counts(engine: Engine) -> dict[str, int]:
    tables = ("recommendations", "rating_predictions", "metrics", "epochs", "user_results")
    with engine.begin() as connection:
        return {name: connection.scalar(text(f"select count(*) from {name}")) for name in tables}


def test_epochs_keep_what_they_have_and_the_trial_shows_its_objective(engine):
    protocol = Protocol(k=2, objective="ndcg")
    sweep_id = store_sweep(engine, DATASET, [make_config()], protocol=protocol).sweep_id
    claim = claim_label(engine, sweep_id, LABEL)
    first, second = EpochRecord(1, 0.5, None, None, 0.1, 0.25), EpochRecord(2, 0.4, 0.3, 0.9, 0.1, 0.3)
    record_epoch(engine, claim.trial_id, 1, first)
    assert sweep_trials(engine, sweep_id)[0].objective == 0.25

    result = replace(make_result(DATASET, ndcg=0.35), epochs=(first, second))
    assert finish_trial(engine, claim, result, DATASET)

    with engine.begin() as connection:
        rows = connection.execute(
            text("select epoch, loss, val_loss, val_rmse, seconds, objective from epochs order by epoch")
        ).all()
    assert [EpochRecord(*row) for row in rows] == [first, second]
    # That of the whole ranking, once it is stored.
    assert sweep_trials(engine, sweep_id)[0].objective == 0.35


def test_finish_stores_the_whole_result(engine, sweep_id):
    claim = claim_label(engine, sweep_id, LABEL)
    assert finish_trial(engine, claim, RESULT, DATASET)
    assert counts(engine) == {
        "recommendations": N_ROWS,
        "rating_predictions": N_ROWS,
        "metrics": 4,
        "epochs": 3,
        # 4 users on validation and on test.
        "user_results": 8,
    }
    (trial,) = sweep_trials(engine, sweep_id)
    assert (trial.status, trial.val_rmse, trial.epoch) == ("succeeded", 0.9, 3)
    with engine.begin() as connection:
        row = connection.execute(
            text("select best_epoch, n_parameters, val_loss, model_url, log_url, train_seconds from trials")
        ).one()
        end = connection.execute(text("select end_reason, peak_memory_bytes from attempts")).one()
    assert tuple(row) == (3, 77, pytest.approx(0.81), RESULT.model_url, RESULT.log_url, 1.5)
    assert tuple(end) == ("succeeded", 1_000_000)


def test_lists_come_back_as_they_were_written(engine, sweep_id):
    claim = claim_label(engine, sweep_id, LABEL)
    finish_trial(engine, claim, RESULT, DATASET)
    stored = stored_recommendations(engine, claim.trial_id, DATASET)
    for field in ("user_index", "rank", "item_index", "score"):
        np.testing.assert_array_equal(getattr(stored, field), getattr(RESULT.recommendations, field))


@pytest.mark.parametrize("predicts_ratings", [True, False])
def test_results_of_users_come_back_as_they_were_written(engine, sweep_id, predicts_ratings):
    claim = claim_label(engine, sweep_id, LABEL)
    written = make_user_results(DATASET, predicts_ratings=predicts_ratings)
    finish_trial(engine, claim, make_result(DATASET, user_results={"validation": written}), DATASET)
    assert parts_with_user_results(engine, claim.trial_id) == ["validation"]
    stored = stored_user_results(engine, claim.trial_id, "validation")
    assert stored.user_ids.tolist() == ["1", "2", "3", "4"]
    for name in ("n_train_ratings", "n_ratings"):
        np.testing.assert_array_equal(getattr(stored, name), getattr(written, name))
    for name in ("squared_error", "absolute_error"):
        expected = getattr(written, name) if predicts_ratings else np.full(4, np.nan)
        np.testing.assert_array_equal(stored.values[name], expected)
    for name, values in written.rankings.items():
        # The last two of four users have no relevant item.
        assert np.isnan(values[2:]).all()
        np.testing.assert_array_equal(stored.values[name], values.astype(np.float64))


def test_hits_come_back_as_they_were_written_and_none_is_not_nothing(engine, sweep_id):
    claim = claim_label(engine, sweep_id, LABEL)
    # Of four users the last two have nothing relevant; the second has, and the list found nothing of it.
    found = {"validation": make_hits([(0, 1, 7), (0, 2, 0)]), "test": make_hits([(1, 2, 4)])}
    users = {part: make_user_results(DATASET, hits=hits) for part, hits in found.items()}
    assert finish_trial(engine, claim, make_result(DATASET, user_results=users), DATASET)
    for part, hits in found.items():
        stored = stored_hits(engine, claim.trial_id, part, DATASET)
        for name in ("user_index", "rank", "item_index"):
            np.testing.assert_array_equal(getattr(stored, name), getattr(hits, name))
    with engine.begin() as connection:
        rows = connection.execute(
            text("select hit_items, hit_ranks from user_results order by split desc, user_id")
        ).all()
    nothing = [([], []), (None, None), (None, None)]
    assert [tuple(row) for row in rows] == [
        (["80", "10"], [1, 2]),
        *nothing,
        *(([], []), (["50"], [2]), *nothing[1:]),
    ]


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ("hit_items = '{10}' where user_id = '1'", "ck_user_results_hits"),
        ("hit_ranks = null where user_id = '1'", "ck_user_results_hits"),
        ("hit_items = '{}', hit_ranks = '{}' where user_id = '4'", "ck_user_results_hits_are_judged"),
    ],
)
def test_hits_without_ranks_or_of_nothing_are_refused(engine, sweep_id, change, rule):
    finish_trial(engine, claim_label(engine, sweep_id, LABEL), RESULT, DATASET)
    with pytest.raises(StoreError, match=f'"{rule}"'), transaction(engine) as connection:
        connection.execute(text(f"update user_results set {change}"))


def test_results_of_users_of_more_rows_than_are_read_at_once_come_back_whole(engine, sweep_id, monkeypatch):
    monkeypatch.setattr("shared.store.user_results._ROWS_AT_ONCE", 3)
    claim = claim_label(engine, sweep_id, LABEL)
    finish_trial(engine, claim, RESULT, DATASET)
    stored = stored_user_results(engine, claim.trial_id, "test", "mrr")
    assert stored.user_ids.tolist() == ["1", "2", "3", "4"]
    assert list(stored.values) == ["mrr"]


def test_an_error_of_a_user_that_is_not_finite_leaves_nothing(engine, sweep_id):
    claim = claim_label(engine, sweep_id, LABEL)
    broken = dataclasses.replace(USER_RESULTS["test"], squared_error=np.array([1, 2, np.nan, 4]))
    with pytest.raises(StoreError, match="errors_are_finite"):
        finish_trial(engine, claim, make_result(DATASET, user_results={"test": broken}), DATASET)
    assert set(counts(engine).values()) == {0}


def test_the_lists_of_a_user_come_with_titles(engine, sweep_id):
    claim = claim_label(engine, sweep_id, LABEL)
    finish_trial(engine, claim, RESULT, DATASET)
    first, second = recommendations_of(engine, claim.trial_id, "3")
    assert (first.rank, first.score, second.rank, second.score) == (1, 5.0, 2, 4.5)
    row = RESULT.recommendations.item_index[RESULT.recommendations.user_index == 2][0]
    assert (first.item_id, first.title) == (str(10 * (row + 1)), f"Item {row}")
    # The data hold ratings 1, 2 and 3: a score of 5 is a predicted rating of 3.
    assert first.predicted_rating == 3.0
    # User "3" rated the items in rows 2, 3 and 4 with 1, 2 and 3.
    rated = rating_predictions_of(engine, claim.trial_id, "3")
    assert [(row.item_id, row.rating, row.prediction) for row in rated] == [
        ("50", 3.0, 3.5),
        ("40", 2.0, 2.5),
    ]
    assert rated[0].genres == ("Drama", "Comedy")
    assert recommendations_of(engine, claim.trial_id, "nobody") == []


def test_ids_of_any_text_and_length_survive(engine):
    dataset = dataclasses.replace(
        DATASET,
        user_ids=np.array(["a\tb", "naïve", "x" * 300, "𝄞 \\N"]),
        item_ids=np.array(["'", '"', "0", "Ω", "\\", "a" * 200, "é", "ß"]),
    )
    sweep = store_sweep(engine, dataset, [make_config()])
    claim = claim_label(engine, sweep.sweep_id, LABEL)
    hits = make_hits([(0, 1, 7), (0, 2, 5), (0, 5, 3), (1, 1, 4)])
    users = {"test": make_user_results(dataset, hits=hits)}
    finish_trial(engine, claim, make_result(dataset, user_results=users), dataset)
    stored = stored_recommendations(engine, claim.trial_id, dataset)
    np.testing.assert_array_equal(stored.user_index, RESULT.recommendations.user_index)
    np.testing.assert_array_equal(stored.item_index, RESULT.recommendations.item_index)
    stored_items = stored_hits(engine, claim.trial_id, "test", dataset).item_index
    np.testing.assert_array_equal(stored_items, hits.item_index)


def test_lists_longer_than_a_block_are_written_whole(engine, sweep_id, monkeypatch):
    monkeypatch.setattr("shared.store.copying._BLOCK_ROWS", 3)
    monkeypatch.setattr("shared.store.copying._READ_BYTES", 7)
    claim = claim_label(engine, sweep_id, LABEL)
    # With arrays of two a block is one row.
    hits = make_hits([(0, 1, 7), (0, 2, 0), (1, 1, 3)])
    users = {"validation": make_user_results(DATASET, hits=hits)}
    finish_trial(engine, claim, make_result(DATASET, user_results=users), DATASET)
    stored = stored_recommendations(engine, claim.trial_id, DATASET)
    np.testing.assert_array_equal(stored.item_index, RESULT.recommendations.item_index)
    stored_items = stored_hits(engine, claim.trial_id, "validation", DATASET).item_index
    np.testing.assert_array_equal(stored_items, hits.item_index)


def test_columns_of_unequal_length_are_refused(engine, sweep_id):
    columns = {"sweep_id": np.array([1, 2], np.int32), "trial_id": np.array([1], np.int32)}
    with pytest.raises(ValueError, match=r"equal lengths; got \[1, 2\]"), transaction(engine) as connection:
        copy_rows(connection, "recommendations", columns)


def test_a_repeated_finish_of_the_same_attempt_is_true_and_changes_nothing(engine, sweep_id):
    claim = claim_label(engine, sweep_id, LABEL)
    assert finish_trial(engine, claim, RESULT, DATASET)
    assert finish_trial(engine, claim, make_result(DATASET, val_rmse=0.1), DATASET)
    assert sweep_trials(engine, sweep_id)[0].val_rmse == 0.9
    assert counts(engine)["recommendations"] == N_ROWS


def test_a_superseded_attempt_writes_nothing(engine, sweep_id):
    late = claim_label(engine, sweep_id, LABEL)
    expire_leases(engine)
    current = claim_trial(engine, late.trial_id, "worker-2", 60, "test")
    assert current is not None
    assert not finish_trial(engine, late, RESULT, DATASET)
    assert set(counts(engine).values()) == {0}
    assert finish_trial(engine, current, RESULT, DATASET)
    assert not finish_trial(engine, late, RESULT, DATASET)


def test_a_pruned_trial_is_superseded(engine, sweep_id):
    claim = claim_label(engine, sweep_id, LABEL)
    with engine.begin() as connection:
        connection.execute(text("delete from trials"))
    assert not finish_trial(engine, claim, RESULT, DATASET)


def test_an_expired_lease_that_nobody_took_still_counts(engine, sweep_id):
    claim = claim_label(engine, sweep_id, LABEL)
    expire_leases(engine)
    assert finish_trial(engine, claim, RESULT, DATASET)


def test_a_result_the_database_refuses_leaves_nothing(engine, sweep_id):
    claim = claim_label(engine, sweep_id, LABEL)
    score = RESULT.recommendations.score.copy()
    score[-1] = np.nan
    broken = dataclasses.replace(
        RESULT, recommendations=dataclasses.replace(RESULT.recommendations, score=score)
    )
    with pytest.raises(StoreError, match="score_is_finite"):
        finish_trial(engine, claim, broken, DATASET)
    assert set(counts(engine).values()) == {0}
    assert sweep_trials(engine, sweep_id)[0].status == "running"


def test_two_finishes_of_one_attempt_at_once_are_both_true(engine, sweep_id):
    claim = claim_label(engine, sweep_id, LABEL)
    barrier = threading.Barrier(2)
    outcomes = []

    def finish() -> None:
        barrier.wait()
        outcomes.append(finish_trial(engine, claim, RESULT, DATASET))

    threads = [threading.Thread(target=finish) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes == [True, True]
    assert counts(engine)["recommendations"] == N_ROWS


def test_a_connection_lost_in_the_middle_can_be_repeated(engine, sweep_id, monkeypatch):
    claim = claim_label(engine, sweep_id, LABEL)

    def lose_connection(connection, *_):
        connection.execute(text("select pg_terminate_backend(pg_backend_pid())"))

    with monkeypatch.context() as patch:
        patch.setattr("shared.store.results._write_measures", lose_connection)
        with pytest.raises(StoreUnavailable):
            finish_trial(engine, claim, RESULT, DATASET)
    assert set(counts(engine).values()) == {0}
    assert finish_trial(engine, claim, RESULT, DATASET)


@pytest.mark.parametrize("takes_over", ["claim", "recover"])
def test_a_writer_stopped_in_the_middle_does_not_block_its_successor(engine, sweep_id, takes_over):
    claim = claim_label(engine, sweep_id, LABEL, lease_seconds=0)
    url = engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    with contextlib.closing(psycopg2.connect(url)) as stopped, stopped.cursor() as cursor:
        # What a process stopped inside finish_trial holds: uncommitted rows, and the lock of the trial.
        name = f"{FINISH_PREFIX}{claim.trial_id}/1"
        cursor.execute("select set_config('application_name', %s, true)", [name])
        cursor.execute(
            "insert into recommendations (sweep_id, trial_id, user_id, rank, item_id, score)"
            " values (%s, %s, '1', 1, '80', 1)",
            [sweep_id, claim.trial_id],
        )
        cursor.execute("select from trials where trial_id = %s for update", [claim.trial_id])
        if takes_over == "recover":
            assert [trial.trial_id for trial in recover_lost_trials(engine)] == [claim.trial_id]
        current = claim_trial(engine, claim.trial_id, "worker-2", 60, "test")
        assert current is not None
        assert finish_trial(engine, current, RESULT, DATASET)
        with pytest.raises(psycopg2.OperationalError):
            cursor.execute("select 1")


def test_finish_keeps_the_attempt_of_every_epoch(engine, sweep_id):
    first = claim_label(engine, sweep_id, LABEL)
    for epoch in make_epochs(2):
        record_epoch(engine, first.trial_id, 1, epoch)
    release_trial(engine, first.trial_id, 1, "released")
    second = claim_label(engine, sweep_id, LABEL)
    record_epoch(engine, second.trial_id, 2, make_epochs(3)[2])
    finish_trial(engine, second, RESULT, DATASET)
    with engine.begin() as connection:
        rows = connection.execute(text("select epoch, attempt from epochs order by epoch")).all()
    assert [tuple(row) for row in rows] == [(1, 1), (2, 1), (3, 2)]


def test_a_baseline_has_neither_epochs_nor_a_model(engine, sweep_id):
    claim = claim_label(engine, sweep_id, LABEL)
    assert finish_trial(engine, claim, make_result(DATASET, n_epochs=0), DATASET)
    assert counts(engine)["epochs"] == 0


def test_a_trial_without_lists_is_stored(engine, sweep_id):
    claim = claim_label(engine, sweep_id, LABEL)
    nothing = np.array([], np.int32)
    numbers = np.array([], np.float32)
    result = dataclasses.replace(
        RESULT,
        recommendations=RankedItems(nothing, nothing, nothing, numbers),
        rating_predictions=RatedItems(nothing, nothing, nothing, numbers, numbers),
    )
    assert finish_trial(engine, claim, result, DATASET)
    assert counts(engine)["recommendations"] == 0


def test_rows_of_an_unknown_trial_are_refused(engine, sweep_id):
    with (
        pytest.raises(StoreError, match="names a trial that is not in its sweep"),
        transaction(engine) as connection,
    ):
        connection.execute(
            text("""
                insert into recommendations (sweep_id, trial_id, user_id, rank, item_id, score)
                values (:sweep_id, 999, '1', 1, '10', 1)
            """),
            {"sweep_id": sweep_id},
        )


def test_a_trial_with_recommendations_cannot_be_deleted(engine, sweep_id):
    claim = claim_label(engine, sweep_id, LABEL)
    finish_trial(engine, claim, RESULT, DATASET)
    with pytest.raises(StoreError, match="prune its sweep"), transaction(engine) as connection:
        connection.execute(text("delete from trials"))
    assert recover_lost_trials(engine) == []
