"""How a sweep that searches grows on real Postgres and Redis: whoever looks, and whatever is lost between."""

import threading
import time
from pathlib import Path

import pytest
from sqlalchemy import text

from scheduler.sweep import growth
from scheduler.sweep.dispatch import dispatch, plan_of, stored_trials
from scheduler.sweep.growth import Grower, grow
from scheduler.sweep.spec import parse_spec
from shared import store
from shared.queue import find_messages
from tests.factories import claim_label, make_dataset, make_result

DATASET = make_dataset()


def scalars(engine, statement):
    with engine.connect() as connection:
        return list(connection.scalars(text(statement)))


def spec_of(n_trials=6, method="tpe", **axes):
    table = {"family": "ease", "l2": {"from": 10, "to": 1000, "scale": "log"}, **axes}
    document = {
        "name": "searched",
        "models": [table],
        "search": {"method": method, "n_trials": n_trials},
        "protocol": {"objective": "ndcg@2", "k": 2},
    }
    return parse_spec(document, Path("searched.toml"))


@pytest.fixture
def start(engine, broker_url, tmp_path):
    """Dispatch a sweep file as `make sweep` does; gives the id of the sweep and the plan."""

    def start(spec, *, fresh=False):
        sweep, plan = dispatch(engine, broker_url, tmp_path.as_uri(), spec, DATASET, fresh=fresh)
        return sweep.sweep_id, plan

    return start


@pytest.fixture
def grower(engine, broker_url):
    return Grower(engine, broker_url, threading.Event())


def finish_queued(engine, sweep_id):
    """Let every queued trial succeed, with an objective that grows with its number."""
    for trial in store.sweep_trials(engine, sweep_id):
        if trial.status == "queued":
            claim = claim_label(engine, sweep_id, trial.label)
            result = make_result(DATASET, ndcg=0.1 + trial.trial_id / 1000, n_epochs=0)
            store.finish_trial(engine, claim, result, DATASET)


def run_to_its_end(engine, grower, sweep_id, n_looks=30):
    for _ in range(n_looks):
        grower.look()
        finish_queued(engine, sweep_id)
        if not store.is_growing(engine, sweep_id):
            return
    raise AssertionError("the search did not end")


def architectures(engine, sweep_id):
    return [one for one in store.sweep_trials(engine, sweep_id) if not one.config.is_baseline]


def test_a_search_publishes_what_it_chooses_and_ends_after_n_trials(engine, broker_url, start, grower):
    sweep_id, plan = start(spec_of())
    assert (len(plan.to_run), plan.n_to_choose, plan.n_trials) == (2, 6, 8)
    finish_queued(engine, sweep_id)
    grower.look()
    chosen = architectures(engine, sweep_id)
    assert [trial.asked_by for trial in chosen] == ["search"] * 2
    assert {trial.trial_id for trial in chosen} <= find_messages(broker_url).waiting
    run_to_its_end(engine, grower, sweep_id)
    trials = architectures(engine, sweep_id)
    assert len(trials) == len({trial.config_hash for trial in trials}) == 6
    assert scalars(engine, "select number from proposals order by number") == list(range(1, 7))


def test_a_look_at_what_has_not_changed_reads_no_trials(engine, start, grower, monkeypatch):
    sweep_id, _ = start(spec_of())
    finish_queued(engine, sweep_id)
    looked = []
    monkeypatch.setattr(growth, "grow", lambda *_: looked.append(1) or grow(*_))
    for _ in range(4):
        grower.look()
    # The first adds two, the second finds that enough of them wait.
    assert len(looked) == 2


def test_a_larger_number_goes_on_and_a_smaller_one_adds_none(engine, start, grower):
    sweep_id, _ = start(spec_of(n_trials=4))
    run_to_its_end(engine, grower, sweep_id)
    same, plan = start(spec_of(n_trials=3))
    assert (same, plan.to_run, plan.n_to_choose) == (sweep_id, (), 0)
    run_to_its_end(engine, grower, sweep_id)
    assert len(architectures(engine, sweep_id)) == 4
    _, plan = start(spec_of(n_trials=7))
    assert (plan.n_done, plan.n_to_choose) == (6, 3)
    run_to_its_end(engine, grower, sweep_id)
    assert len(architectures(engine, sweep_id)) == 7


def test_a_cancelled_search_adds_none_until_it_is_resumed(engine, start, grower):
    sweep_id, _ = start(spec_of())
    finish_queued(engine, sweep_id)
    grower.look()
    assert store.cancel_sweep(engine, sweep_id) == (2, 0)
    grower.look()
    assert [trial.status for trial in architectures(engine, sweep_id)] == ["cancelled"] * 2
    _, plan = start(spec_of())
    assert (len(plan.to_run), plan.n_to_choose) == (2, 4)
    run_to_its_end(engine, grower, sweep_id)
    assert [trial.status for trial in architectures(engine, sweep_id)] == ["succeeded"] * 6


def test_a_failed_trial_runs_again_and_counts_once(engine, start, grower):
    sweep_id, _ = start(spec_of(n_trials=2))
    finish_queued(engine, sweep_id)
    grower.look()
    claim = claim_label(engine, sweep_id, architectures(engine, sweep_id)[0].label)
    store.fail_trial(engine, claim.trial_id, claim.attempt, "dataset", "it is gone")
    run_to_its_end(engine, grower, sweep_id)
    _, plan = start(spec_of(n_trials=2))
    assert (len(plan.to_run), plan.n_failed, plan.n_to_choose) == (1, 1, 0)
    run_to_its_end(engine, grower, sweep_id)
    assert [trial.status for trial in architectures(engine, sweep_id)] == ["succeeded"] * 2


def test_trials_outside_of_changed_axes_stay_and_do_not_count(engine, start, grower):
    sweep_id, _ = start(spec_of(n_trials=5))
    run_to_its_end(engine, grower, sweep_id)
    narrow = spec_of(n_trials=5, l2={"from": 1, "to": 9})
    same, plan = start(narrow)
    assert (same, plan.n_done, plan.n_to_choose) == (sweep_id, 2, 5)
    run_to_its_end(engine, grower, sweep_id)
    assert len(architectures(engine, sweep_id)) == 10


def test_a_grid_that_became_a_search_counts_what_the_grid_ran(engine, start, grower):
    document = dict(spec_of().document)
    document["models"] = [{"family": "ease", "l2": [10, 20, 30], "user_weight": [0.0, 0.5]}]
    grid = {name: part for name, part in document.items() if name != "search"}
    sweep_id, _ = start(parse_spec(grid, Path("grid.toml")))
    finish_queued(engine, sweep_id)
    document["search"] = {"method": "random", "n_trials": 40}
    spec = parse_spec(document, Path("grid.toml"))
    trials, proposals = stored_trials(engine, spec, DATASET)
    assert (plan_of(spec, trials, proposals).n_done, plan_of(spec, trials, proposals).n_to_choose) == (8, 0)
    start(spec)
    run_to_its_end(engine, grower, sweep_id)
    assert len(architectures(engine, sweep_id)) == 6


class LostHereError(Exception):
    """The scheduler is gone."""


def test_a_scheduler_lost_between_asking_and_storing_leaves_nothing(engine, start, broker_url, monkeypatch):
    sweep_id, _ = start(spec_of())
    add = store.Turn.add

    def lost(turn, *asked):
        add(turn, *asked)
        raise LostHereError

    for _ in range(2):
        monkeypatch.setattr(store.Turn, "add", lost)
        with pytest.raises(LostHereError):
            grow(engine, broker_url, sweep_id)
        monkeypatch.setattr(store.Turn, "add", add)
        assert architectures(engine, sweep_id) == []
        assert scalars(engine, "select count(*) from proposals") == [0]
    finish_queued(engine, sweep_id)
    assert grow(engine, broker_url, sweep_id)
    assert len(architectures(engine, sweep_id)) == 2


def test_a_scheduler_lost_between_storing_and_publishing_loses_no_trial(
    engine, start, broker_url, monkeypatch
):
    sweep_id, _ = start(spec_of())
    finish_queued(engine, sweep_id)

    def lost(*_):
        raise LostHereError

    monkeypatch.setattr(growth, "publish", lost)
    with pytest.raises(LostHereError):
        grow(engine, broker_url, sweep_id)
    waiting = {trial.trial_id for trial in store.queued_trials(engine)}
    assert len(waiting) == 2
    assert not waiting & find_messages(broker_url).waiting


def test_two_growers_at_once_choose_no_trial_twice_and_none_too_many(engine, broker_url, start):
    sweep_id, _ = start(spec_of(n_trials=12))
    growers = [Grower(engine, broker_url, threading.Event()) for _ in range(2)]
    barrier = threading.Barrier(2)

    def look(grower):
        for _ in range(12):
            barrier.wait(30)
            grower.look()

    def finish(stopped):
        while not stopped.wait(0.01):
            finish_queued(engine, sweep_id)

    stopped = threading.Event()
    threads = [threading.Thread(target=look, args=[one]) for one in growers]
    finisher = threading.Thread(target=finish, args=[stopped])
    for thread in (*threads, finisher):
        thread.start()
    for thread in threads:
        thread.join()
    stopped.set()
    finisher.join()
    run_to_its_end(engine, growers[0], sweep_id)
    trials = architectures(engine, sweep_id)
    assert len(trials) == len({trial.config_hash for trial in trials}) == 12
    assert scalars(engine, "select number from proposals order by number") == list(range(1, 13))


def test_a_look_passes_over_a_sweep_that_somebody_looks_at(engine, broker_url, start):
    sweep_id, _ = start(spec_of())
    with store.growing_sweep(engine, sweep_id) as turn:
        assert turn is not None
        assert not grow(engine, broker_url, sweep_id)


def test_a_budget_ends_the_search_though_no_trial_changes(engine, start, grower):
    document = dict(spec_of().document)
    document["search"] = {"method": "random", "budget_minutes": 0.02}
    sweep_id, _ = start(parse_spec(document, Path("searched.toml")))
    deadline = time.monotonic() + 30
    grower.look()
    assert store.is_growing(engine, sweep_id)
    while store.is_growing(engine, sweep_id):
        assert time.monotonic() < deadline
        grower.look()
    assert {trial.status for trial in store.sweep_trials(engine, sweep_id)} == {"queued"}
