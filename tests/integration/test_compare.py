"""`make compare` on stored sweeps: what it prints, and how it refuses what cannot be compared."""

import pytest
from click.testing import CliRunner
from sqlalchemy import Engine

from scheduler.commands import comparison, results
from shared.console import PlainConsole
from shared.datasets import Dataset
from shared.domain.protocol import Protocol
from shared.errors import SpecError
from shared.store import Sweep, add_trials, run_query
from tests.factories import (
    make_config,
    make_dataset,
    make_result,
    make_user_results,
    store_result,
    store_sweep,
)

DATASET = make_dataset(n_users=60)
FIRST, SECOND = "concatenate_4_2_1", "dot_4_2_1"
CONFIGS = [make_config("concatenate"), make_config("dot")]
PROTOCOL = Protocol(k=2, test_fraction=0.1)


def store_trial(  # noqa: PLR0917  Which trial, and how good it is.
    engine: Engine, sweep: Sweep, label: str, level: float, seed: int, dataset: Dataset = DATASET
) -> int:
    """Its error is `level`, its ndcg the half of that."""
    users = make_user_results(dataset, error=level, ndcg=level / 2, seed=seed)
    result = make_result(dataset, val_rmse=level, user_results={"validation": users, "test": users})
    return store_result(engine, sweep.sweep_id, label, dataset, result)


@pytest.fixture
def sweep(engine: Engine) -> Sweep:
    sweep = store_sweep(engine, DATASET, CONFIGS, protocol=PROTOCOL)
    store_trial(engine, sweep, FIRST, 0.8, 0)
    store_trial(engine, sweep, SECOND, 1.0, 1)
    return sweep


@pytest.fixture
def compare(engine: Engine, monkeypatch, capsys):
    monkeypatch.setattr(comparison, "open_store", lambda: (engine, None))
    monkeypatch.setattr(comparison, "console", PlainConsole(width=160))

    def run(first: str | None, second: str | None, *arguments: str) -> str:
        options = [*(["--a", first] if first else []), *(["--b", second] if second else [])]
        done = CliRunner().invoke(comparison.compare_trials, [*options, *arguments])
        if done.exception:
            raise done.exception
        return done.output + capsys.readouterr().out

    return run


def test_two_trials_of_the_latest_sweep_are_compared_by_every_metric_and_for_whom(compare, sweep):
    shown = compare(FIRST, SECOND)
    assert f"A: {FIRST} of sweep {sweep.sweep_id} small" in shown
    assert "judged by 60 users on the test part, which chose nothing" in shown
    cells = {line.split()[0]: line.split() for line in shown.splitlines() if line.strip()}
    # Less is better for the error, more for the lists; a third of the users has no relevant item.
    assert (cells["rmse"][1], cells["rmse"][-1]) == ("60", "A")
    assert (cells["ndcg@2"][1], cells["ndcg@2"][-1]) == ("40", "B")
    assert float(cells["rmse"][4]) == pytest.approx(0.8 - 1.0, abs=1e-3)
    # User u has u + 1 training ratings.
    assert "For whom: rmse, by the number of training ratings of a user" in shown
    for group in ("light (up to 20)", "medium (up to 40)", "heavy (above 40)"):
        assert group in shown
    assert f"By rmse A, {FIRST}, is better than B by 0.2" in shown


def test_the_metric_of_the_groups_can_be_chosen(compare, sweep):
    shown = compare(FIRST, SECOND, "--metric", "recall")
    assert "For whom: recall@2," in shown
    assert f"By recall@2 B, {SECOND}, is better than A by" in shown
    with pytest.raises(SpecError, match="METRIC must be one that A and B have in common: rmse, mae, ndcg@2"):
        compare(FIRST, SECOND, "--metric", "novelty")


def test_trials_of_two_sweeps_are_named_by_sweep_or_by_id(engine, compare, sweep):
    later = store_sweep(engine, DATASET, CONFIGS, name="later", protocol=PROTOCOL)
    trial_id = store_trial(engine, later, FIRST, 0.7, 2)
    for name in (f"later:{FIRST}", f"{later.sweep_id}:{FIRST}", str(trial_id)):
        shown = compare(name, f"{sweep.sweep_id}:{FIRST}")
        assert f"A: {FIRST} of sweep {later.sweep_id} later" in shown
        assert f"B: {FIRST} of sweep {sweep.sweep_id} small" in shown
    assert f"A: {FIRST} of sweep {sweep.sweep_id} small" in compare(FIRST, SECOND, "--sweep", "small")


def test_trials_with_other_lists_are_compared_by_their_ratings(engine, compare, sweep):
    longer = store_sweep(engine, DATASET, CONFIGS, name="longer", protocol=Protocol(k=3, test_fraction=0.1))
    store_trial(engine, longer, FIRST, 0.7, 2)
    shown = compare(f"longer:{FIRST}", f"small:{FIRST}")
    assert "Their lists are not compared: k is 3 and 2" in shown
    assert "rmse" in shown
    assert "ndcg@" not in shown


def test_validation_is_said_to_be_optimistic(engine, compare):
    sweep = store_sweep(engine, DATASET, CONFIGS, protocol=Protocol(k=2))
    for seed, label in enumerate((FIRST, SECOND)):
        store_trial(engine, sweep, label, 0.9, seed)
    shown = compare(FIRST, SECOND)
    assert "60 users on validation, which may also have chosen epochs and these two" in shown
    assert "By rmse neither is proven better" in shown


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        (None, SECOND, "which two trials. make compare A=label B=label"),
        (FIRST, None, "which two trials"),
        (FIRST, FIRST, f"A and B must be two trials; both are trial 1 {FIRST}"),
        ("1", FIRST, "A and B must be two trials"),
        (
            "nothing",
            SECOND,
            f"A must be a succeeded trial of sweep 1 small; got 'nothing', known are {FIRST}",
        ),
        (FIRST, "77", "B must be a stored trial; there is no trial 77"),
        (FIRST, "9" * 30, "B must be a stored trial; there is no trial 9999"),
        ("nosweep:x", SECOND, "no sweep named 'nosweep'"),
    ],
)
def test_what_is_not_there_or_the_same_is_named(compare, sweep, first, second, message):
    with pytest.raises(SpecError, match=message) as raised:
        compare(first, second)
    assert "\n" not in str(raised.value)


def test_a_trial_that_has_not_succeeded_is_refused_with_its_state(engine, compare, sweep):
    add_trials(engine, sweep.sweep_id, [make_config("average")])
    with pytest.raises(SpecError, match="B must have succeeded; average_4_2_1 of sweep 1 is queued"):
        compare(FIRST, "average_4_2_1")


def test_other_data_or_another_split_is_refused(engine, compare, sweep):
    other = make_dataset(n_users=61)
    on_other = store_sweep(engine, other, CONFIGS, name="on_other", protocol=PROTOCOL)
    store_trial(engine, on_other, FIRST, 0.9, 0, other)
    with pytest.raises(
        SpecError, match=r"A and B must be of one data set; A is of tiny \([0-9a-f]{8}\), B of"
    ):
        compare(f"small:{FIRST}", f"on_other:{FIRST}")
    elsewhere = Protocol(k=2, test_fraction=0.1, split_seed=5)
    store_trial(engine, store_sweep(engine, DATASET, CONFIGS, name="new", protocol=elsewhere), FIRST, 0.9, 0)
    with pytest.raises(SpecError, match="same held out ratings; split_seed is 0 and 5"):
        compare(f"small:{FIRST}", f"new:{FIRST}")


def test_a_trial_without_results_of_users_is_refused_with_the_remedy(engine, compare, sweep):
    old = store_sweep(engine, DATASET, CONFIGS, name="old", protocol=PROTOCOL)
    store_result(engine, old.sweep_id, FIRST, DATASET, make_result(DATASET))
    with pytest.raises(SpecError, match=r"B must have results of users; .* run its sweep again with FRESH=1"):
        compare(f"small:{FIRST}", f"old:{FIRST}")


def test_the_leaderboard_shows_each_verdict_and_says_who_wins(engine, sweep, monkeypatch, capsys):
    monkeypatch.setattr(results, "console", PlainConsole(width=160))
    results.print_leaderboard(engine, sweep)
    shown = capsys.readouterr().out
    assert "Verdicts: by rmse of 60 users on test" in shown
    assert f"Winner: {FIRST}; every other trial that is judged is worse" in shown
    assert len([line for line in shown.splitlines() if SECOND in line and "worse, +0.2" in line]) == 1
    add_trials(engine, sweep.sweep_id, [make_config("average")])
    results.print_leaderboard(engine, sweep)
    shown = capsys.readouterr().out
    assert "Verdicts are given when no trial of the sweep is queued or running any more" in shown
    assert "against the leader" not in shown


def test_the_stored_question_tells_for_whom(engine, sweep):
    columns, rows = run_query(engine, "better_for_whom", {"label": SECOND, "other_label": FIRST})
    answers = [dict(zip(columns, row, strict=True)) for row in rows]
    assert [(one["users"], one["ratings"], one["n_users"]) for one in answers] == [
        ("light", "1 to 20", 20),
        ("medium", "21 to 40", 20),
        ("heavy", "41 to 60", 20),
    ]
    assert {(one["label"], one["other_label"], one["split"]) for one in answers} == {(SECOND, FIRST, "test")}
    # The heavy third of the users has no relevant item.
    assert [one["ndcg"] is None for one in answers] == [False, False, True]
    assert all(one["rmse"] > one["other_rmse"] for one in answers)
    assert answers[0]["higher_ndcg"] == 1
