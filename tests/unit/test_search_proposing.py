"""The next trial of a search follows from its file and from what is stored, whoever asks."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from scheduler.sweep.search.counting import asked_of
from scheduler.sweep.search.proposing import SUPPLY, propose
from scheduler.sweep.spec import parse_spec
from shared.store import GrowingSweep, Sweep
from tests.unit.test_progress import QUEUED

NOW = datetime(2026, 1, 1, tzinfo=UTC)
MF = {
    "family": "matrix_factorization",
    "size": {"from": 8, "to": 256, "scale": "log"},
    "user_l2": {"from": 0.01, "to": 1, "scale": "log"},
    "learning_rate": {"from": 0.001, "to": 0.1, "scale": "log"},
}
EASE = {"family": "ease", "l2": {"from": 50, "to": 1000, "scale": "log"}, "dropout": [0.0, 0.1, 0.2]}


def _spec(*models, method="tpe", **search):
    document = {
        "models": list(models),
        "search": {"method": method, **search},
        "protocol": {"objective": "ndcg@20"},
    }
    return parse_spec(document, Path("sweep.toml"))


def _growing(spec, trials=(), proposals=(), looked_at=NOW):
    sweep = Sweep(
        sweep_id=1,
        name="sweep",
        dataset_id=1,
        dataset_name="tiny",
        fingerprint="f",
        is_synthetic=True,
        protocol=spec.protocol,
        code_version="1",
        created_at=NOW,
        spec=spec.document,
        growing_since=NOW,
    )
    return GrowingSweep(sweep, tuple(trials), tuple(proposals), looked_at)


def _trial(config, status="succeeded", objective=None, **changes):
    return replace(
        QUEUED,
        config=config,
        config_hash=config.config_hash,
        label=config.label,
        status=status,
        objective=objective,
        **changes,
    )


def _value(config):
    """Best at a size of 64 and a learning rate of 0.01; other families are worse than all that is near."""
    if config.family != "matrix_factorization":
        return 0.2
    size, rate = config.architecture.size, config.training.learning_rate
    return 0.3 - abs(size - 64) / 1000 - abs(rate - 0.01)


def _run(spec, n_looks, n_at_once=SUPPLY):
    """A search as looks would grow it, with every trial ended before the next one."""
    trials, proposals = [], []
    for _ in range(n_looks):
        step = propose(spec, _growing(spec, trials, proposals))
        trials += [_trial(config, "succeeded", _value(config)) for config in step.configs]
        proposals += step.proposals
        if step.is_over:
            break
    return trials, proposals, step


@pytest.mark.parametrize("method", ["random", "tpe"])
def test_the_same_seed_and_the_same_results_give_the_same_trials(method):
    spec = _spec(MF, EASE, method=method, n_trials=30, seed=3)
    first, again = _run(spec, 20), _run(spec, 20)
    assert [one.label for one in first[0]] == [one.label for one in again[0]]
    assert first[1] == again[1]
    other = _run(_spec(MF, EASE, method=method, n_trials=30, seed=4), 20)
    assert [one.label for one in other[0]] != [one.label for one in first[0]]


def test_a_search_ends_after_n_trials_which_are_all_different():
    trials, proposals, step = _run(_spec(MF, n_trials=15), 20)
    assert len({one.config_hash for one in trials}) == len(trials) == 15
    assert [one.number for one in proposals] == list(range(1, 16))
    assert step.is_over


def test_no_more_trials_are_chosen_than_wait_for_workers():
    spec = _spec(MF, n_trials=40)
    step = propose(spec, _growing(spec))
    assert len(step.configs) == SUPPLY
    queued = [_trial(config, "queued") for config in step.configs]
    waiting = propose(spec, _growing(spec, queued, step.proposals))
    assert (waiting.configs, waiting.is_over) == ((), False)
    taken = [replace(queued[0], status="running"), queued[1]]
    assert len(propose(spec, _growing(spec, taken, step.proposals)).configs) == 1


def test_running_trials_count_so_that_parallel_workers_do_not_try_the_same():
    spec = _spec(MF, n_trials=100)
    trials, proposals, _ = _run(spec, 10)
    labels = set()
    for _ in range(8):
        step = propose(spec, _growing(spec, trials, proposals))
        trials += [_trial(config, "running") for config in step.configs]
        proposals += step.proposals
        labels |= {config.label for config in step.configs}
    assert len(labels) == 8 * SUPPLY


def test_a_proposal_that_is_a_trial_takes_its_result_and_the_search_moves_on():
    spec = _spec({"family": "ease", "l2": [100, 200], "dropout": [0.0, 0.1]}, n_trials=40)
    trials, proposals, step = _run(spec, 20)
    assert len({one.config_hash for one in trials}) == len(trials) == 4
    assert step.is_over
    assert {one.config_hash for one in proposals} == {one.config_hash for one in trials}


def test_branches_share_the_trials_and_the_better_one_gets_more():
    trials, proposals, _ = _run(_spec(MF, EASE, n_trials=60), 40)
    n_ease = sum(one.config.family == "ease" for one in trials)
    assert 2 <= n_ease < 30
    assert {one.branch for one in proposals} == {0, 1}
    assert all(set(one.parameters) == {"l2", "dropout"} for one in proposals if one.branch == 1)


def test_tpe_finds_better_than_random_does():
    best = {
        method: [
            max(one.objective for one in _run(_spec(MF, method=method, n_trials=50, seed=seed), 40)[0][25:])
            for seed in range(5)
        ]
        for method in ("tpe", "random")
    }
    assert sum(best["tpe"]) > sum(best["random"])


@pytest.mark.parametrize("status", ["failed", "cancelled", "stopped", "succeeded"])
def test_trials_without_a_value_are_told_and_counted(status):
    spec = _spec(MF, n_trials=20)
    trials, proposals, _ = _run(spec, 6)
    stopped = (
        {"stopped_epoch": 2, "stopped_value": 0.1, "stopped_against": 0.2} if status == "stopped" else {}
    )
    trials[0] = replace(trials[0], status=status, objective=None, **stopped)
    step = propose(spec, _growing(spec, trials, proposals))
    assert len(step.configs) == SUPPLY


def test_a_budget_ends_a_search_by_the_clock_of_the_database():
    spec = _spec(MF, budget_minutes=10)
    assert propose(spec, _growing(spec, looked_at=NOW + timedelta(minutes=9))).configs
    over = propose(spec, _growing(spec, looked_at=NOW + timedelta(minutes=10)))
    assert (over.configs, over.is_over) == ((), True)


def test_values_that_do_not_go_together_are_passed_over():
    # A tower knows no cosine schedule.
    tower = {
        "family": "tower",
        "merge": "dot",
        "embedding_size": {"from": 4, "to": 64},
        "dense_layers": [1],
        "schedule": ["constant", "cosine"],
    }
    trials, _, _ = _run(_spec(tower, n_trials=20), 20)
    assert len(trials) == 20
    assert {one.config.training.schedule for one in trials} == {"constant"}


def test_trials_of_an_earlier_space_count_where_they_lie_in_this_one():
    wide, narrow = _spec(MF, n_trials=20), _spec({**MF, "size": {"from": 100, "to": 256}}, n_trials=20)
    trials, proposals, _ = _run(wide, 20)
    inside = [one for one in trials if one.config.architecture.size >= 100]
    assert 0 < len(inside) < 20
    assert [one.label for one in asked_of(narrow, trials)] == [one.label for one in inside]
    step = propose(narrow, _growing(narrow, trials, proposals))
    assert all(100 <= one.architecture.size <= 256 for one in step.configs)


def test_failed_trials_run_again_without_counting_twice_and_never_beyond_the_end():
    spec = _spec(MF, n_trials=10)
    trials, _, _ = _run(spec, 10)
    trials[3] = replace(trials[3], status="failed")
    trials[7] = replace(trials[7], status="cancelled")
    assert len(asked_of(spec, trials)) == 10
    fewer = asked_of(_spec(MF, n_trials=9), trials)
    assert trials[3].label in {one.label for one in fewer}
    assert trials[7].label not in {one.label for one in fewer}
    assert len(asked_of(_spec(MF, n_trials=5), trials)) == 8


def test_what_means_nothing_to_a_trial_does_not_keep_it_out_of_the_space():
    # With softmax a zero weight is at its default, which this range does not have.
    table = {
        "family": "matrix_factorization",
        "loss": ["softmax", "bce"],
        "zero_weight": {"from": 0.3, "to": 0.9},
    }
    spec = _spec(table, n_trials=30)
    trials, proposals, step = _run(spec, 30)
    assert step.is_over
    assert len(trials) == len(asked_of(spec, trials)) == 30
    assert sum(one.config.architecture.loss == "softmax" for one in trials) == 1
    assert len(proposals) >= 30
