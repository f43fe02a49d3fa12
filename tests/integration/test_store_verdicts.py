"""When the verdicts of a sweep are computed, what is stored of them, and when they are outdated."""

import threading
from functools import partial

import pytest
from sqlalchemy import Engine, text

from scheduler.rounds import Rounds
from scheduler.verdicts.writing import ensure_verdicts, judge_ended, write_verdicts
from shared import store
from shared.domain.families.item_popularity import ItemPopularity
from shared.domain.families.user_item_bias import UserItemBias
from shared.domain.protocol import Protocol
from shared.domain.trial import TrialConfig
from shared.errors import StoreUnavailable
from shared.store import Sweep
from shared.store.database import transaction
from tests.factories import (
    claim_label,
    make_config,
    make_dataset,
    make_result,
    make_user_results,
    store_result,
    store_sweep,
)

DATASET = make_dataset(n_users=60)
BIAS, POPULARITY = TrialConfig(UserItemBias()), TrialConfig(ItemPopularity())
LEADER, TIE, WORSE = "concatenate_4_2_1", "dot_4_2_1", "average_4_2_1"
CONFIGS = [make_config(merge) for merge in ("concatenate", "dot", "average")]


def store_trial(engine: Engine, sweep: Sweep, label: str, error: float, seed: int = 0) -> int:
    """A trial with this error on validation and on test, in the metrics and in the results of users."""
    users = {part: make_user_results(DATASET, error=error, seed=seed) for part in ("validation", "test")}
    if sweep.protocol.test_fraction == 0:
        del users["test"]
    result = make_result(DATASET, val_rmse=error, user_results=users)
    return store_result(engine, sweep.sweep_id, label, DATASET, result)


@pytest.fixture(params=[0.0, 0.1], ids=["validation", "test"])
def sweep(engine: Engine, request) -> Sweep:
    """RMSE 0.9, 0.901 and 1.0; users scatter by a tenth."""
    protocol = Protocol(k=2, test_fraction=request.param)
    sweep = store_sweep(engine, DATASET, CONFIGS, protocol=protocol)
    for seed, (label, error) in enumerate({LEADER: 0.9, TIE: 0.901, WORSE: 1.0}.items()):
        store_trial(engine, sweep, label, error, seed)
    return sweep


def verdicts(engine: Engine, sweep: Sweep) -> dict[str, str | None]:
    with transaction(engine) as connection:
        rows = connection.execute(
            text("select label, verdict from trial_verdicts where sweep_id = :sweep_id order by place"),
            {"sweep_id": sweep.sweep_id},
        )
        return {row.label: row.verdict for row in rows}


def test_the_verdicts_of_an_ended_sweep_are_stored_with_their_intervals(engine, sweep):
    assert store.judged_state(engine, sweep.sweep_id) == "outdated"
    assert ensure_verdicts(engine, sweep)
    assert verdicts(engine, sweep) == {LEADER: "tie", TIE: "tie", WORSE: "worse"}
    leader, tie, worse = store.verdicts_of(engine, sweep.sweep_id)
    part = "test" if sweep.protocol.test_fraction else "validation"
    assert {(one.split, one.objective, one.n_users) for one in (leader, tie, worse)} == {(part, "rmse", 60)}
    assert {one.leader_trial_id for one in (tie, worse)} == {leader.trial_id}
    assert (leader.difference, leader.lower, leader.upper, leader.p_value) == (None, None, None, None)
    # Every user has one rating, and the squared errors of a trial have the mean error².
    assert tie.difference == pytest.approx(0.901 - 0.9)
    assert worse.difference == pytest.approx(1.0 - 0.9)
    assert tie.lower < 0 < tie.upper
    assert 0 < worse.lower < worse.upper
    assert tie.p_value > 0.05 > worse.p_value


def test_verdicts_that_are_current_are_not_computed_again(engine, sweep, monkeypatch):
    assert ensure_verdicts(engine, sweep)
    monkeypatch.setattr(store, "save_verdicts", None)
    assert ensure_verdicts(engine, sweep)


def test_an_added_trial_makes_verdicts_outdated_until_it_has_ended(engine, sweep):
    ensure_verdicts(engine, sweep)
    store.add_trials(engine, sweep.sweep_id, [make_config("multiply")])
    assert store.judged_state(engine, sweep.sweep_id) == "open"
    assert store.sweeps_to_judge(engine) == []
    assert not ensure_verdicts(engine, sweep)
    with transaction(engine) as connection:
        assert set(connection.scalars(text("select is_current from trial_verdicts"))) == {False}
    store_trial(engine, sweep, "multiply_4_2_1", error=0.5)
    assert store.sweeps_to_judge(engine) == [sweep.sweep_id]
    assert ensure_verdicts(engine, sweep)
    assert verdicts(engine, sweep) == {
        "multiply_4_2_1": "winner",
        LEADER: "worse",
        TIE: "worse",
        WORSE: "worse",
    }


def test_adding_what_the_sweep_has_leaves_verdicts_current(engine, sweep):
    ensure_verdicts(engine, sweep)
    store.add_trials(engine, sweep.sweep_id, CONFIGS)
    assert store.judged_state(engine, sweep.sweep_id) == "judged"


def test_a_failed_trial_that_is_queued_again_makes_verdicts_outdated(engine, sweep):
    store.add_trials(engine, sweep.sweep_id, [make_config("multiply")])
    claim = claim_label(engine, sweep.sweep_id, "multiply_4_2_1")
    store.fail_trial(engine, claim.trial_id, claim.attempt, "disk_full", "no space")
    assert ensure_verdicts(engine, sweep)
    assert "multiply_4_2_1" not in verdicts(engine, sweep)
    store.requeue_trials(engine, [claim.trial_id])
    assert store.judged_state(engine, sweep.sweep_id) == "open"
    store_trial(engine, sweep, "multiply_4_2_1", error=2.0)
    assert store.judged_state(engine, sweep.sweep_id) == "outdated"


def test_verdicts_on_other_results_than_are_stored_by_now_are_not_saved(engine, sweep):
    ensure_verdicts(engine, sweep)
    stored = store.verdicts_of(engine, sweep.sweep_id)
    assert store.save_verdicts(engine, sweep.sweep_id, stored)
    assert not store.save_verdicts(engine, sweep.sweep_id, stored[1:])
    assert not store.save_verdicts(engine, sweep.sweep_id + 1, [])
    store.add_trials(engine, sweep.sweep_id, [make_config("multiply")])
    assert not store.save_verdicts(engine, sweep.sweep_id, stored)


def test_two_who_judge_at_once_store_the_same(engine, sweep):
    first = threading.Thread(target=write_verdicts, args=(engine, sweep))
    first.start()
    assert write_verdicts(engine, sweep)
    first.join()
    assert len(verdicts(engine, sweep)) == 3


def test_the_watching_judge_judges_what_has_ended_and_nothing_twice(engine, sweep, caplog):
    with caplog.at_level("INFO"):
        judge_ended(engine, threading.Event())
        judge_ended(engine, threading.Event())
    assert [record.message for record in caplog.records] == [f"sweep {sweep.sweep_id}: verdicts written"]
    assert verdicts(engine, sweep)[WORSE] == "worse"


def test_a_judge_without_its_database_warns_once_and_goes_on(engine, sweep, caplog, monkeypatch):
    judge = Rounds("judging", partial(judge_ended, engine, threading.Event()), threading.Event())

    def fail(_engine):
        raise StoreUnavailable("away")

    with monkeypatch.context() as patch:
        patch.setattr(store, "sweeps_to_judge", fail)
        judge.look()
        judge.look()
    assert [record.message for record in caplog.records] == ["not judging now: away"]
    judge.look()
    assert verdicts(engine, sweep)


def test_a_judge_that_is_stopped_leaves_the_rest(engine, sweep):
    stopped = threading.Event()
    stopped.set()
    judge_ended(engine, stopped)
    Rounds("judging", partial(judge_ended, engine, stopped), stopped).run()
    assert verdicts(engine, sweep) == {}


def test_trials_of_an_older_version_are_said_to_have_no_results_of_users(engine):
    sweep = store_sweep(engine, DATASET, CONFIGS[:2])
    for label, error in ((LEADER, 0.9), (TIE, 1.0)):
        store_result(engine, sweep.sweep_id, label, DATASET, make_result(DATASET, val_rmse=error))
    assert ensure_verdicts(engine, sweep)
    leader, other = store.verdicts_of(engine, sweep.sweep_id)
    words = "no results of users were kept when it was stored: FRESH=1 trains it again"
    assert (leader.verdict, leader.reason) == (None, words)
    assert (other.verdict, other.reason) == (None, words)
    # Of those that a newer version adds to it, the one that leads wins over nobody.
    store.add_trials(engine, sweep.sweep_id, CONFIGS[2:])
    store_trial(engine, sweep, WORSE, error=0.5)
    assert ensure_verdicts(engine, sweep)
    found = {one.trial_id: (one.verdict, one.reason) for one in store.verdicts_of(engine, sweep.sweep_id)}
    assert found[3] == (None, f"it is worse than none, but there is no verdict on {LEADER}, {TIE}")
    assert found[leader.trial_id] == (None, words)


def test_what_the_objective_does_not_judge_has_no_verdict_and_takes_none_away(engine):
    sweep = store_sweep(engine, DATASET, [CONFIGS[0], BIAS, POPULARITY], protocol=Protocol(k=2))
    store_trial(engine, sweep, LEADER, 0.5)
    store_trial(engine, sweep, BIAS.label, 1.0)
    users = {"validation": make_user_results(DATASET, predicts_ratings=False)}
    result = make_result(DATASET, n_epochs=0, user_results=users)
    store_result(engine, sweep.sweep_id, POPULARITY.label, DATASET, result)
    with engine.begin() as connection:
        connection.execute(
            text("update trials set val_rmse = null where label = :label"), {"label": POPULARITY.label}
        )
    assert ensure_verdicts(engine, sweep)
    assert verdicts(engine, sweep) == {LEADER: "winner", BIAS.label: "worse", POPULARITY.label: None}


@pytest.mark.parametrize(
    "objective", ["mae", "ndcg@2", "recall@2", "precision@2", "map@2", "hit_rate@2", "mrr@2"]
)
def test_every_objective_has_verdicts(engine, objective):
    sweep = store_sweep(engine, DATASET, CONFIGS[:2], protocol=Protocol(k=2, objective=objective))
    for seed, (label, level) in enumerate({LEADER: 0.2, TIE: 0.4}.items()):
        users = {"validation": make_user_results(DATASET, error=level, ndcg=level, seed=seed)}
        result = make_result(DATASET, user_results=users)
        result.metrics["validation"][objective] = level
        store_result(engine, sweep.sweep_id, label, DATASET, result)
    assert ensure_verdicts(engine, sweep)
    best, other = (LEADER, TIE) if objective == "mae" else (TIE, LEADER)
    assert verdicts(engine, sweep) == {best: "winner", other: "worse"}
    # The last third of the users has no relevant item.
    assert store.verdicts_of(engine, sweep.sweep_id)[0].n_users == (60 if objective == "mae" else 40)


def test_a_trial_that_others_judge_is_named(engine, sweep):
    with engine.begin() as connection:
        connection.execute(
            text("delete from user_results where trial_id = :trial_id and user_id = '1'"), {"trial_id": 2}
        )
    assert ensure_verdicts(engine, sweep)
    assert verdicts(engine, sweep) == {LEADER: None, TIE: None, WORSE: "worse"}
    assert "see `make verify`" in store.verdicts_of(engine, sweep.sweep_id)[1].reason


def test_a_sweep_in_which_all_failed_is_judged_with_nothing_to_say(engine):
    sweep = store_sweep(engine, DATASET, CONFIGS[:1])
    claim = claim_label(engine, sweep.sweep_id, LEADER)
    store.fail_trial(engine, claim.trial_id, claim.attempt, "disk_full", "no space")
    store.mark_ended_sweeps(engine)
    judge_ended(engine, threading.Event())
    assert store.judged_state(engine, sweep.sweep_id) == "judged"
    assert store.sweeps_to_judge(engine) == []


def test_results_of_users_and_verdicts_go_with_their_sweep(engine, sweep):
    ensure_verdicts(engine, sweep)
    later = store_sweep(engine, DATASET, CONFIGS[:1], protocol=sweep.protocol)
    store_trial(engine, later, LEADER, 0.9)
    ensure_verdicts(engine, later)
    store.prune_sweeps(engine, [sweep.sweep_id])
    with transaction(engine) as connection:
        for table in ("user_results", "verdicts"):
            assert set(connection.scalars(text(f"select sweep_id from {table}"))) == {later.sweep_id}
        assert connection.scalar(text(f"select to_regclass('user_results_sweep_{sweep.sweep_id}')")) is None


def test_a_trial_with_results_of_users_alone_cannot_be_deleted(engine, sweep):
    with engine.begin() as connection:
        connection.execute(text("delete from recommendations"))
        connection.execute(text("delete from rating_predictions"))
    with pytest.raises(Exception, match="prune its sweep"), transaction(engine) as connection:
        connection.execute(text("delete from trials"))
