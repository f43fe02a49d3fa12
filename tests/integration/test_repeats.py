"""Repeats in the database: who asks for them, how configurations rank by their means, and what is served."""

import threading

import pytest
from sqlalchemy import Engine, text

from scheduler.sweep.growth import grow
from scheduler.verdicts.writing import ensure_verdicts
from shared import store
from shared.domain.families.ease import Ease
from shared.domain.protocol import Protocol
from shared.domain.trial import TrialConfig
from shared.store import Sweep
from shared.store.database import create_engine, transaction
from shared.store.trials import insert_trials
from tests.factories import (
    DEFAULT_SEED,
    claim_label,
    make_config,
    make_dataset,
    make_result,
    make_user_results,
    store_result,
)

DATASET = make_dataset(n_users=20)
EASE = TrialConfig(Ease())
A, B, C = "average", "concatenate", "dot"
FILE = {"repeats": {"seeds": 3, "of_best": 2}, "models": [{"family": "ease"}]}


def start(engine: Engine, spec: dict[str, object] | None = None, lists_kept: int | None = None) -> Sweep:
    """A sweep of three towers and an EASE, by RMSE, none of which has run; it grows."""
    dataset_id = store.save_dataset(engine, DATASET)
    protocol = Protocol(k=2)
    sweep = store.create_sweep(engine, "seeds", dataset_id, spec or FILE, protocol, "test", lists_kept)
    store.add_trials(engine, sweep.sweep_id, [*map(make_config, (A, B, C)), EASE])
    store.begin_growing(engine, sweep.sweep_id)
    return sweep


def label(merge: str, further: int = 0) -> str:
    return make_config(merge, seed=DEFAULT_SEED + further).label


def finish(engine: Engine, sweep: Sweep, name: str, rmse: float) -> int:
    results = {"validation": make_user_results(DATASET, error=rmse, seed=int(1e4 * rmse))}
    result = make_result(DATASET, val_rmse=rmse, user_results=results)
    return store_result(engine, sweep.sweep_id, name, DATASET, result)


def finish_file(engine: Engine, sweep: Sweep) -> None:
    for name, rmse in ((label(A), 0.80), (label(B), 0.81), (label(C), 0.82), (EASE.label, 0.85)):
        finish(engine, sweep, name, rmse)


def finish_repeats(engine: Engine, sweep: Sweep) -> None:
    """A was lucky: its mean is (0.80 + 0.92 + 0.89) / 3 = 0.87; that of B is 0.83."""
    for name, rmse in (
        (label(A, 1), 0.92),
        (label(A, 2), 0.89),
        (label(B, 1), 0.82),
        (label(B, 2), 0.86),
    ):
        finish(engine, sweep, name, rmse)


def places(engine: Engine, sweep: Sweep) -> list[str]:
    return [row.label for row in store.leaderboard(engine, sweep.sweep_id)]


def asked(engine: Engine, sweep: Sweep) -> dict[str, str]:
    return {trial.label: trial.asked_by for trial in store.sweep_trials(engine, sweep.sweep_id)}


@pytest.fixture
def repeated(engine, broker_url) -> Sweep:
    """A sweep with its repeats, all succeeded."""
    sweep = start(engine)
    finish_file(engine, sweep)
    grow(engine, broker_url, sweep.sweep_id)
    finish_repeats(engine, sweep)
    grow(engine, broker_url, sweep.sweep_id)
    store.mark_ended_sweeps(engine)
    return sweep


def test_repeats_are_asked_for_when_the_file_is_done_and_once(engine, broker_url):
    sweep = start(engine)
    grow(engine, broker_url, sweep.sweep_id)
    assert set(asked(engine, sweep).values()) == {"file"}
    finish_file(engine, sweep)
    grow(engine, broker_url, sweep.sweep_id)
    repeats = [name for name, by in asked(engine, sweep).items() if by == "repeats"]
    assert repeats == [label(A, 1), label(A, 2), label(B, 1), label(B, 2)]
    for _ in range(2):
        grow(engine, broker_url, sweep.sweep_id)
    assert len(asked(engine, sweep)) == 8
    assert store.is_growing(engine, sweep.sweep_id)
    finish_repeats(engine, sweep)
    grow(engine, broker_url, sweep.sweep_id)
    assert not store.is_growing(engine, sweep.sweep_id)


def test_two_that_look_at_once_ask_once(engine, database_url, broker_url):
    sweep = start(engine)
    finish_file(engine, sweep)
    ready = threading.Barrier(4)

    def look() -> None:
        own = create_engine(database_url)
        ready.wait()
        for _ in range(3):
            grow(own, broker_url, sweep.sweep_id)
        own.dispose()

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(asked(engine, sweep)) == 8


def test_configurations_rank_by_their_means_and_their_trials_stand_together(engine, repeated):
    # B has the mean 0.83, the EASE 0.85, A 0.87; C was not repeated: its 0.82 is below that of both by luck.
    assert places(engine, repeated) == [
        label(B), label(B, 1), label(B, 2), EASE.label, label(A), label(A, 2), label(A, 1), label(C),
    ]  # fmt: skip
    rows = {row.label: row for row in store.leaderboard(engine, repeated.sweep_id)}
    mean, spread = (0.80 + 0.92 + 0.89) / 3, 0.0624500
    for name in (label(A), label(A, 1), label(A, 2)):
        assert rows[name].mean_value == pytest.approx(mean)
        assert rows[name].spread == pytest.approx(spread, abs=1e-6)
        assert rows[name].n_seeds == 3
    assert (rows[EASE.label].mean_value, rows[EASE.label].spread, rows[EASE.label].n_seeds) == (0.85, None, 1)


def test_the_best_seed_of_the_leading_configuration_is_served(engine, repeated):
    served = store.served_trial(engine, DATASET.name)
    assert served is not None
    assert served.label == label(B)


def test_a_single_seed_that_is_worse_than_a_repeated_one_ranks_by_its_value(engine, broker_url):
    sweep = start(engine)
    for name, rmse in ((label(A), 0.80), (label(B), 0.81), (label(C), 0.95), (EASE.label, 0.90)):
        finish(engine, sweep, name, rmse)
    grow(engine, broker_url, sweep.sweep_id)
    finish_repeats(engine, sweep)
    assert places(engine, sweep)[-2:] == [EASE.label, label(C)]
    assert places(engine, sweep)[0] == label(B)


def test_where_every_repeat_failed_the_order_is_that_of_the_values(engine, broker_url):
    sweep = start(engine)
    finish_file(engine, sweep)
    grow(engine, broker_url, sweep.sweep_id)
    for name in (label(A, 1), label(A, 2), label(B, 1), label(B, 2)):
        claim = claim_label(engine, sweep.sweep_id, name)
        store.fail_trial(engine, claim.trial_id, 1, "not_finite_loss", "epoch 1")
    assert places(engine, sweep)[:4] == [label(A), label(B), label(C), EASE.label]


def test_seeds_of_a_file_without_repeats_rank_one_by_one(engine):
    dataset_id = store.save_dataset(engine, DATASET)
    sweep = store.create_sweep(engine, "axis", dataset_id, {}, Protocol(k=2), "test")
    configs = [make_config(merge, seed=DEFAULT_SEED + one) for merge in (A, B) for one in (0, 1)]
    store.add_trials(engine, sweep.sweep_id, configs)
    for config, rmse in zip(configs, (0.80, 0.95, 0.82, 0.81), strict=True):
        finish(engine, sweep, config.label, rmse)
    assert places(engine, sweep) == [label(A), label(B, 1), label(B), label(A, 1)]
    assert {row.n_seeds for row in store.leaderboard(engine, sweep.sweep_id)} == {1}


def test_verdicts_are_of_configurations_and_know_their_seeds(engine, repeated):
    assert ensure_verdicts(engine, repeated)
    verdicts = {one.trial_id: one for one in store.verdicts_of(engine, repeated.sweep_id)}
    ids = {trial.label: trial.trial_id for trial in store.sweep_trials(engine, repeated.sweep_id)}
    assert {one.leader_trial_id for one in verdicts.values()} == {ids[label(B)]}
    assert [verdicts[ids[name]].n_seeds for name in (label(B), label(A, 1), EASE.label)] == [3, 3, 1]
    assert verdicts[ids[label(A)]].difference == verdicts[ids[label(A, 1)]].difference
    # The leader's own configuration is compared with nothing.
    assert verdicts[ids[label(B, 2)]].difference is None


def test_more_seeds_add_only_the_new_ones_and_what_failed_keeps_its_seed(engine, broker_url, repeated):
    more = {**FILE, "repeats": {"seeds": 4, "of_best": 2}}
    store.ensure_sweep(engine, "seeds", repeated.dataset_id, more, Protocol(k=2), "test", None)
    store.begin_growing(engine, repeated.sweep_id)
    before = set(asked(engine, repeated))
    grow(engine, broker_url, repeated.sweep_id)
    assert set(asked(engine, repeated)) - before == {label(A, 3), label(B, 3)}


def test_no_lists_are_removed_before_the_repeats_have_ended(engine, broker_url):
    sweep = start(engine, lists_kept=1)
    finish_file(engine, sweep)
    assert store.remove_surplus_lists(engine) == []
    grow(engine, broker_url, sweep.sweep_id)
    finish_repeats(engine, sweep)
    assert store.remove_surplus_lists(engine) == []
    grow(engine, broker_url, sweep.sweep_id)
    assert len(store.remove_surplus_lists(engine)) == 7
    assert [row.label for row in store.leaderboard(engine, sweep.sweep_id) if row.has_lists] == [label(B)]


def test_the_best_that_has_lists_is_served_and_keeps_them_when_another_configuration_leads(engine, repeated):
    keep = store.ensure_sweep(engine, "seeds", repeated.dataset_id, dict(FILE), Protocol(k=2), "test", 1)
    assert len(store.remove_surplus_lists(engine)) == 7
    with transaction(engine) as connection:
        # Further seeds of A, much better: its mean is (2.61 + 3 · 0.5) / 6 = 0.685 then.
        further = [make_config(A, seed=DEFAULT_SEED + one) for one in (3, 4, 5)]
        insert_trials(connection, keep.sweep_id, further, asked_by="repeats")
    for config in further:
        finish(engine, keep, config.label, 0.5)
    assert [one.label for one in store.remove_surplus_lists(engine)][-1] == label(A, 4)
    assert places(engine, keep)[0] == label(A, 3)
    served = store.served_trial(engine, DATASET.name)
    assert served is not None
    assert served.label == label(A, 3)
    # A leader that had lost its lists before: the best that has some is served, and keeps them.
    with transaction(engine) as connection:
        insert_trials(connection, keep.sweep_id, [make_config(B, seed=DEFAULT_SEED + 9)], asked_by="repeats")
    finish(engine, keep, label(B, 9), 0.01)
    with engine.begin() as connection:
        connection.execute(
            text("update trials set lists_removed_at = now() where label = :label"), {"label": label(B, 9)}
        )
    assert places(engine, keep)[0] == label(B, 9)
    assert store.remove_surplus_lists(engine) == []
    served = store.served_trial(engine, DATASET.name)
    assert served is not None
    assert served.label == label(A, 3)
