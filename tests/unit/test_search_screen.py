"""What is shown of a search, and of many trials."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from scheduler.progress import Watched
from scheduler.shown_trials import count_states, trials_to_show
from scheduler.sweep.search.belief import best_of, importance_of
from scheduler.sweep.search.screen import SearchScreen
from scheduler.sweep.search.space import space_of
from scheduler.sweep.search.words import search_end
from scheduler.sweep.spec import parse_spec
from tests.unit.test_progress import QUEUED


def _spec(**search):
    table = {"family": "ease", "l2": [1, 2, 3, 4, 5], "dropout": [0.0, 0.1, 0.2, 0.3]}
    document = {
        "models": [table],
        "search": {"method": "tpe", **search},
        "protocol": {"objective": "ndcg@20"},
    }
    return parse_spec(document, Path("sweep.toml"))


def _trials(n, value=lambda parameters: parameters["l2"] / 100):
    """The first trials of the space, in its order: dropout is the last to change."""
    (branch,) = space_of(_spec(n_trials=20)).branches
    trials = []
    for number, parameters in enumerate(list(branch.combinations())[:n], start=1):
        config = branch.config(parameters)
        trials.append(
            replace(
                QUEUED,
                trial_id=number,
                config=config,
                config_hash=config.config_hash,
                label=config.label,
                status="succeeded",
                objective=value(parameters),
            )
        )
    return trials


def test_the_best_so_far_is_the_best_by_the_objective():
    trials = _trials(20)
    assert best_of(trials, is_larger_better=True).objective == 0.05
    assert best_of(trials, is_larger_better=False).objective == 0.01
    assert best_of([replace(trials[0], objective=None)], is_larger_better=True) is None


def test_the_axis_that_decides_is_the_important_one():
    importance = importance_of(_spec(n_trials=20), _trials(20))
    assert [name for name, _ in importance.shares] == ["l2", "dropout"]
    assert sum(share for _, share in importance.shares) == pytest.approx(1)
    assert str(importance).startswith("Importance of the axes of ease over 20 trials: l2 ")


def test_few_trials_say_nothing_of_importance():
    assert importance_of(_spec(n_trials=20), _trials(9)) is None
    assert importance_of(_spec(n_trials=20), []) is None


def test_trials_to_come_count_in_the_total_and_the_time_left():
    trials = _trials(4)
    screen = SearchScreen(_spec(n_trials=8))
    n_to_come = screen.n_to_choose(trials, [])
    assert n_to_come == 4
    watched = Watched(trials, is_growing=True, n_to_come=n_to_come, cost_to_come=screen.cost_of(n_to_come))
    assert (watched.n_expected, watched.is_over) == (8, False)
    # All trials of ease cost alike.
    assert watched.done_fraction == pytest.approx(0.5)
    assert screen.lines(trials, []) == [f"Best so far: {trials[0].label}, val ndcg@20 0.0100"]


def test_a_budget_is_spent_by_the_clock():
    screen = SearchScreen(_spec(budget_minutes=10))
    assert screen.share_of_time(datetime.now(UTC) - timedelta(minutes=5)) == pytest.approx(0.5, abs=0.01)
    assert screen.share_of_time(datetime.now(UTC) - timedelta(hours=5)) == 1.0
    assert SearchScreen(_spec(n_trials=4)).share_of_time(datetime.now(UTC)) == 0.0


def test_of_more_trials_than_rows_those_that_run_and_the_best_are_shown():
    trials = _trials(20)
    trials[7] = replace(trials[7], status="running")
    trials[8] = replace(trials[8], status="queued")
    shown = trials_to_show(trials, 4, is_larger_better=True)
    assert shown[0] == trials[7]
    assert [one.objective for one in shown[1:]] == [0.05, 0.05, 0.05]
    assert trials_to_show(trials, 20, is_larger_better=True) == trials
    assert len(trials_to_show(trials, -3, is_larger_better=True)) == 1
    assert count_states(trials) == "1 queued, 1 running, 18 succeeded"


def test_the_end_of_a_search_says_why_it_has_fewer_trials():
    assert search_end(_spec(n_trials=20), _trials(20)) == []
    assert search_end(_spec(n_trials=40), _trials(20)) == [
        "The search ended after 20 of 40 trials: its tables have no other combination"
    ]
    assert search_end(_spec(n_trials=40), _trials(3)) == [
        "The search ended after 3 of 40 trials; `make sweep` goes on"
    ]
    assert search_end(_spec(budget_minutes=1), _trials(3)) == [
        "The search ended after 3 trials; `make sweep` goes on with another budget"
    ]
