"""`[lists] keep`: which trials keep their lists, and that no others lose theirs, whoever looks and when."""

import contextlib
import threading

import alembic.command
import psycopg2
import pytest
from alembic.config import Config
from sqlalchemy import Engine, text

from shared import store
from shared.domain.families.user_item_bias import UserItemBias
from shared.domain.protocol import Protocol
from shared.domain.trial import TrialConfig
from shared.errors import StoreError, StoreUnavailable
from shared.store import Sweep
from shared.store.database import SQL_FOLDER, create_engine
from shared.store.partitions import LIST_TABLES, MOST_LISTS_WITH_PARTITIONS
from shared.store.schema import upgrade_schema
from tests.factories import (
    claim_label,
    expire_leases,
    make_config,
    make_dataset,
    make_result,
    make_user_results,
    store_result,
    store_sweep,
)

DATASET = make_dataset()
BIAS = TrialConfig(UserItemBias())
DOTS = [make_config("dot", embedding_size=size) for size in (4, 5, 6)]
A, B, C = (config.label for config in DOTS)
# 4 users with 2 items each, in two tables.
N_ROWS = 16


def start(engine: Engine, lists_kept: int | None, configs: list[TrialConfig] | None = None) -> Sweep:
    """A sweep of three towers and a baseline, none of which has run."""
    dataset_id = store.save_dataset(engine, DATASET)
    sweep = store.create_sweep(engine, "kept", dataset_id, {}, Protocol(k=2), "test", lists_kept)
    store.add_trials(engine, sweep.sweep_id, configs or [*DOTS, BIAS])
    return sweep


def finish(engine: Engine, sweep: Sweep, label: str, val_rmse: float) -> int:
    results = {"validation": make_user_results(DATASET)}
    result = make_result(DATASET, val_rmse=val_rmse, user_results=results)
    return store_result(engine, sweep.sweep_id, label, DATASET, result)


def finish_all(engine: Engine, sweep: Sweep) -> None:
    """The order is B, C, the baseline, A."""
    for label, val_rmse in ((A, 1.2), (B, 0.8), (C, 0.9), (BIAS.label, 1.0)):
        finish(engine, sweep, label, val_rmse)


def with_lists(engine: Engine, sweep: Sweep) -> list[str]:
    """Labels in the order of the leaderboard; says too that those have all rows and the others none."""
    kept = [row.label for row in store.leaderboard(engine, sweep.sweep_id) if row.has_lists]
    with engine.begin() as connection:
        for table in LIST_TABLES:
            rows = connection.execute(
                text(f"""
                    select trials.label, count(*) from {table} join trials using (sweep_id, trial_id)
                    where sweep_id = :sweep_id and refit_of is null group by trials.label
                """),
                {"sweep_id": sweep.sweep_id},
            )
            assert dict(rows.all()) == dict.fromkeys(kept, 8)
    return kept


def removed(engine: Engine) -> list[str]:
    return [one.label for one in store.remove_surplus_lists(engine)]


@pytest.mark.parametrize("lists_kept", [2, MOST_LISTS_WITH_PARTITIONS + 1])
def test_the_best_keep_their_lists_and_the_others_all_else(engine, lists_kept):
    sweep = start(engine, lists_kept)
    finish_all(engine, sweep)
    # As if a second `make sweep` had said so: with and without partitions of trials.
    store.ensure_sweep(engine, "kept", sweep.dataset_id, {}, Protocol(k=2), "test", 2)
    assert removed(engine) == [A, BIAS.label]
    assert with_lists(engine, sweep) == [B, C]
    assert removed(engine) == []
    with engine.begin() as connection:
        counts = "select count(distinct trial_id) from {}"
        for table in ("metrics", "user_results", "epochs"):
            assert connection.scalar(text(counts.format(table))) == 4, table
    (progress,) = store.sweep_progress(engine)
    assert (progress.n_succeeded, progress.n_with_lists) == (4, 2)


def test_a_sweep_that_keeps_all_loses_nothing(engine):
    sweep = start(engine, None)
    finish_all(engine, sweep)
    assert removed(engine) == []
    assert with_lists(engine, sweep) == [B, C, BIAS.label, A]


def test_lists_go_as_soon_as_better_trials_have_succeeded_whatever_else_fails(engine):
    sweep = start(engine, 1)
    finish(engine, sweep, A, 1.2)
    assert removed(engine) == []
    finish(engine, sweep, B, 0.8)
    assert removed(engine) == [A]
    claim = claim_label(engine, sweep.sweep_id, C)
    store.fail_trial(engine, claim.trial_id, 1, "not_finite_loss", "epoch 1")
    assert removed(engine) == []
    store.requeue_trials(engine, [claim.trial_id])
    finish(engine, sweep, C, 0.7)
    assert removed(engine) == [B]
    assert with_lists(engine, sweep) == [C]


def test_of_equal_trials_the_first_label_keeps_its_lists_in_whatever_order_they_end(engine):
    sweep = start(engine, 1)
    for label in (C, A, B):
        finish(engine, sweep, label, 0.9)
        store.remove_surplus_lists(engine)
    assert with_lists(engine, sweep) == [A]


def test_a_trial_that_the_objective_does_not_judge_is_the_last(engine):
    dataset_id = store.save_dataset(engine, DATASET)
    protocol = Protocol(k=2, objective="map")
    sweep = store.create_sweep(engine, "kept", dataset_id, {}, protocol, "test", 1)
    store.add_trials(engine, sweep.sweep_id, DOTS)
    for label in (A, B):
        finish(engine, sweep, label, 0.9)
    # Nobody measured map: labels decide.
    assert removed(engine) == [B]


def test_what_is_or_was_promoted_and_refits_keep_their_lists(engine):
    sweep = start(engine, 1)
    worst = finish(engine, sweep, A, 1.2)
    store.promote_trial(engine, A, sweep.sweep_id)
    second = finish(engine, sweep, B, 1.1)
    store.promote_trial(engine, B, sweep.sweep_id)
    refit = store.queue_refit(engine, store.get_trial(engine, worst))
    claim = store.claim_trial(engine, refit.trial_id, "worker-1", 60, "test")
    assert store.finish_trial(engine, claim, make_result(DATASET), DATASET)
    finish(engine, sweep, C, 0.8)
    finish(engine, sweep, BIAS.label, 0.9)
    assert removed(engine) == [BIAS.label]
    assert with_lists(engine, sweep) == [C, B, A]
    assert len(store.recommendations_of(engine, refit.trial_id, "1")) == 2
    store.rollback_promotion(engine, DATASET.name)
    assert store.served_trial(engine, DATASET.name).trial_id == worst != second
    assert removed(engine) == []


def test_what_is_served_always_has_lists(engine):
    sweep = start(engine, 1)
    for label, val_rmse in ((A, 1.2), (B, 1.1), (C, 0.9), (BIAS.label, 0.8)):
        finish(engine, sweep, label, val_rmse)
        store.remove_surplus_lists(engine)
    with engine.begin() as connection:
        rows = connection.execute(text("select label, count(*) from best_recommendations group by label"))
        assert [tuple(row) for row in rows] == [(BIAS.label, 8)]


def test_a_trial_without_lists_is_not_promoted_as_it_is_but_may_be_refitted(engine):
    sweep = start(engine, 1)
    finish_all(engine, sweep)
    store.remove_surplus_lists(engine)
    with pytest.raises(StoreError, match=f"those of {A} were removed.*without REFIT=0"):
        store.promote_trial(engine, A, sweep.sweep_id)
    chosen = store.find_trial(engine, sweep.sweep_id, A)
    assert not chosen.has_lists
    refit = store.queue_refit(engine, chosen)
    claim = store.claim_trial(engine, refit.trial_id, "worker-1", 60, "test")
    assert store.finish_trial(engine, claim, make_result(DATASET), DATASET)
    store.promote_trial(engine, refit.trial_id, sweep.sweep_id)
    assert store.served_trial(engine, DATASET.name).label == f"{A}_refit"


def test_a_larger_keep_brings_no_lists_back_and_a_smaller_one_removes_more(engine):
    sweep = start(engine, 2)
    finish_all(engine, sweep)
    store.remove_surplus_lists(engine)
    assert store.lists_gone(engine, sweep.sweep_id) == []
    for lists_kept, gone in ((3, [BIAS.label]), (None, [BIAS.label, A])):
        again = store.ensure_sweep(engine, "kept", sweep.dataset_id, {}, Protocol(k=2), "test", lists_kept)
        assert (again.sweep_id, again.lists_kept) == (sweep.sweep_id, lists_kept)
        assert removed(engine) == []
        assert store.lists_gone(engine, sweep.sweep_id) == gone
        assert with_lists(engine, sweep) == [B, C]
    store.ensure_sweep(engine, "kept", sweep.dataset_id, {}, Protocol(k=2), "test", 1)
    assert removed(engine) == [C]


def test_several_may_remove_at_once_and_each_trial_is_removed_once(engine, database_url):
    sweep = start(engine, 1)
    finish_all(engine, sweep)
    barrier = threading.Barrier(3)
    found: list[str] = []

    def remove() -> None:
        own = create_engine(database_url)
        barrier.wait()
        found.extend(removed(own))
        own.dispose()

    threads = [threading.Thread(target=remove) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    store.remove_surplus_lists(engine)
    assert len(found) == len(set(found))
    assert with_lists(engine, sweep) == [B]


def test_a_long_reader_of_the_sweep_is_not_waited_for_and_the_next_look_removes(engine):
    sweep = start(engine, 1)
    finish_all(engine, sweep)
    url = engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    with contextlib.closing(psycopg2.connect(url)) as reader, reader.cursor() as cursor:
        cursor.execute("select count(*) from recommendations where sweep_id = %s", [sweep.sweep_id])
        with pytest.raises(StoreUnavailable, match="lock timeout"):
            store.remove_surplus_lists(engine)
        assert len(with_lists(engine, sweep)) == 4
    assert len(removed(engine)) == 3


def test_a_writer_of_the_sweep_keeps_nobody_from_removing(engine):
    sweep = start(engine, 1)
    finish(engine, sweep, A, 1.2)
    finish(engine, sweep, B, 0.8)
    claim = claim_label(engine, sweep.sweep_id, C)
    url = engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    with contextlib.closing(psycopg2.connect(url)) as writer, writer.cursor() as cursor:
        # What a worker holds in the middle of its COPY.
        for table in LIST_TABLES:
            cursor.execute(f"create table {table}_trial_{claim.trial_id} (like {table} including all)")
        assert removed(engine) == [A]
        writer.rollback()
    assert store.finish_trial(engine, claim, make_result(DATASET, val_rmse=0.7), DATASET)


def test_a_lost_attempt_leaves_no_table_behind(engine, monkeypatch):
    sweep = start(engine, 2)
    late = claim_label(engine, sweep.sweep_id, A)

    def lose_connection(connection, *_):
        connection.execute(text("select pg_terminate_backend(pg_backend_pid())"))

    with monkeypatch.context() as patch:
        patch.setattr("shared.store.results._succeed", lose_connection)
        with pytest.raises(StoreUnavailable):
            store.finish_trial(engine, late, make_result(DATASET), DATASET)
    expire_leases(engine)
    current = store.claim_trial(engine, late.trial_id, "worker-2", 60, "test")
    assert not store.finish_trial(engine, late, make_result(DATASET), DATASET)
    assert store.finish_trial(engine, current, make_result(DATASET), DATASET)
    assert not store.finish_trial(engine, late, make_result(DATASET), DATASET)
    assert with_lists(engine, sweep) == [A]


def test_two_finishes_of_one_attempt_at_once_are_both_true(engine):
    sweep = start(engine, 2)
    claim = claim_label(engine, sweep.sweep_id, A)
    barrier = threading.Barrier(2)
    outcomes = []

    def finish_it() -> None:
        barrier.wait()
        outcomes.append(store.finish_trial(engine, claim, make_result(DATASET), DATASET))

    threads = [threading.Thread(target=finish_it) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes == [True, True]
    assert with_lists(engine, sweep) == [A]


def test_rows_the_database_refuses_leave_nothing(engine):
    sweep = start(engine, 2)
    claim = claim_label(engine, sweep.sweep_id, A)
    result = make_result(DATASET)
    result.recommendations.score[-1] = float("nan")
    with pytest.raises(StoreError, match="score_is_finite"):
        store.finish_trial(engine, claim, result, DATASET)
    assert with_lists(engine, sweep) == []


def test_the_lists_of_a_trial_go_with_its_table(engine):
    sweep = start(engine, 1)
    finish_all(engine, sweep)
    tables = text("select count(*) from pg_class where relkind = 'r' and relname ~ '_trial_[0-9]+$'")
    with engine.begin() as connection:
        assert connection.scalar(tables) == 8
    store.remove_surplus_lists(engine)
    with engine.begin() as connection:
        assert connection.scalar(tables) == 2
    # A newer sweep is served, so that this one may go.
    newer = store_sweep(engine, DATASET, [DOTS[0]])
    store_result(engine, newer.sweep_id, A, DATASET, make_result(DATASET))
    store.prune_sweeps(engine, [sweep.sweep_id])
    with engine.begin() as connection:
        assert connection.scalar(tables) == 0
        assert connection.scalar(text("select count(*) from recommendations")) == 8


def test_a_trial_whose_lists_are_kept_cannot_be_deleted(engine):
    sweep = start(engine, 2)
    finish_all(engine, sweep)
    with pytest.raises(StoreError, match="prune its sweep"), store.database.transaction(engine) as connection:
        connection.execute(text("delete from verdicts; delete from trials"))


def test_queries_take_the_best_trial_that_has_lists(engine):
    sweep = start(engine, None)
    finish_all(engine, sweep)
    with engine.begin() as connection:
        # As if B had been pushed out.
        connection.execute(text("update trials set lists_removed_at = now() where label = :b"), {"b": B})
        connection.execute(
            text(
                "delete from recommendations using trials where label = :b"
                " and recommendations.trial_id = trials.trial_id"
            ),
            {"b": B},
        )
    columns, rows = store.run_query(engine, "user_across_merges", {"user_id": "1"})
    assert [row[columns.index("dot")] is not None for row in rows] == [True, True]


def test_a_sweep_of_the_version_before_keeps_its_partition_its_lists_and_its_trials(empty_database_url):
    engine = create_engine(empty_database_url)
    config = Config()
    config.set_main_option("script_location", str(SQL_FOLDER / "migrations"))
    trials = ", ".join(
        f"(1, 't{n}', 'ease', '{{\"family\": \"ease\"}}', 'c{n}', false, 'succeeded', 3, 3, 1, 0.{n})"
        for n in range(1, 4)
    )
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        alembic.command.upgrade(config, "0006")
        for statement in (
            "insert into datasets (name, fingerprint, is_synthetic, n_users, n_items, n_ratings, rating_min,"
            " rating_max) values ('tiny', 'f', true, 1, 1, 1, 1, 5)",
            "insert into sweeps (name, dataset_id, spec, spec_hash, protocol, protocol_hash, code_version)"
            " values ('small', 1, '{}', 'a', '{\"k\": 2}', 'b', 'test')",
            "insert into trials (sweep_id, label, family, config, config_hash, is_baseline, status,"
            f" max_attempts, attempts_allowed, n_parameters, val_rmse) values {trials}",
            *(
                f"create table {table}_sweep_1 partition of {table} for values in (1)"
                for table in LIST_TABLES
            ),
            "insert into recommendations select 1, trial_id, 'u', 1, '7', 0.5 from trials",
            "insert into rating_predictions select 1, trial_id, 'u', 1, '8', 5, 4 from trials",
        ):
            connection.execute(text(statement))
        connection.execute(
            text("create table user_results_sweep_1 partition of user_results for values in (1)")
        )
    upgrade_schema(engine)
    (sweep,) = store.list_sweeps(engine)
    assert sweep.lists_kept is None
    assert [row.has_lists for row in store.leaderboard(engine, 1)] == [True, True, True]
    assert removed(engine) == []
    # A smaller keep on it removes rows.
    with engine.begin() as connection:
        connection.execute(text("update sweeps set lists_kept = 2"))
    assert removed(engine) == ["t3"]
    with engine.begin() as connection:
        for table in LIST_TABLES:
            assert connection.scalar(text(f"select count(*) from {table}")) == 2
    engine.dispose()
