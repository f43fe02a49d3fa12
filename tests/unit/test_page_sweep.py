"""The view of one sweep: what it says first, its table, its charts; pure, from records made by hand."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from scheduler.page.sweep.axes import axes_of
from scheduler.page.sweep.curves import curves_of
from scheduler.page.sweep.history import history_of
from scheduler.page.sweep.leaderboard import MOST_ROWS, leaderboard_of
from scheduler.page.sweep.tradeoffs import pareto_front, tradeoffs_of
from scheduler.page.sweep.verdict import headline_of
from shared.errors import SpecError
from shared.store.page.sweep import CurvePoint, SweepFacts, SweepRecords, SweepTrial

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SWEEP = SweepFacts(
    sweep_id=1,
    name="lists",
    dataset_name="sample",
    is_synthetic=True,
    n_users=6040,
    n_items=100,
    n_ratings=1000,
    is_refresh=False,
    objective="ndcg@20",
    k=20,
    split="random",
    created_at=NOW,
    ended_at=NOW,
    is_judged=True,
    is_growing=False,
    n_proposals=0,
    served_trial_id=1,
    served_label="ease",
    served_sweep_id=1,
)


def trial(trial_id: int, label: str, **values: Any) -> SweepTrial:
    """A succeeded one; the first leads."""
    known: dict[str, Any] = dict.fromkeys(SweepTrial.__dataclass_fields__)
    known |= {
        "family": "tower",
        "config": {},
        "status": "succeeded",
        "is_baseline": False,
        "asked_by": "file",
        "attempt": 1,
        "place": trial_id,
        "validation_value": 0.4 - trial_id / 10,
        "leader_trial_id": 1,
        "judged_by": "test",
        "n_judging_users": 6040,
        "n_seeds": 1,
        "train_seconds": 10.0 / trial_id,
        "finished_at": NOW,
        "has_lists": True,
    }
    return SweepTrial(**{**known, "trial_id": trial_id, "label": label, **values})


def records(
    *trials: SweepTrial, metrics: Mapping[tuple[str, str], Mapping[int, float]] | None = None
) -> SweepRecords:
    return SweepRecords(SWEEP, trials, metrics or {}, ())


WORSE = {"verdict": "worse", "difference": -0.1, "lower": -0.12, "upper": -0.08}
TIE = {"verdict": "tie", "difference": -0.01, "lower": -0.02, "upper": 0.0}


def test_a_winner_is_to_be_shipped_and_the_closest_is_named() -> None:
    found = headline_of(records(trial(1, "ease", verdict="winner"), trial(2, "knn", **WORSE)))
    assert found.sentence == "Ship ease: it is proven better than every other trial that is judged."
    assert found.tone == "sure"
    assert "knn: -0.100 beside the leader (from -0.120 to -0.080)" in " ".join(found.details)
    assert "ease trains in 10 s." in " ".join(found.details)
    assert "6,040 users on test, which chose nothing" in " ".join(found.details)


def test_with_ties_the_cheapest_is_named_too() -> None:
    found = headline_of(
        records(trial(1, "ease", verdict="tie"), trial(2, "knn", **TIE), trial(3, "slow", **WORSE))
    )
    assert found.sentence == "Ship ease, or knn, which is cheaper and may be as good."
    assert found.tone == "unsure"
    cheap = headline_of(records(trial(1, "ease", verdict="tie", train_seconds=1.0), trial(2, "knn", **TIE)))
    assert (
        cheap.sentence == "Ship ease: it leads and is the cheapest to train, though 1 other may be as good."
    )


def test_who_proved_better_on_test_is_to_be_shipped() -> None:
    better = {"verdict": "winner", "difference": 0.05, "lower": 0.02, "upper": 0.08}
    found = headline_of(records(trial(1, "ease", verdict="worse"), trial(2, "knn", **better)))
    assert found.sentence == "Ship knn: it is proven better than the leader, ease, on test."
    assert found.trial is not None
    assert found.trial.label == "knn"


def test_a_baseline_that_leads_is_said() -> None:
    found = headline_of(
        records(trial(1, "popular", verdict="winner", is_baseline=True), trial(2, "knn", **WORSE))
    )
    assert found.sentence.endswith("It is a baseline: no architecture is proven to be worth its cost.")


@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        ("queued", "No trial has a result yet: 1 trial to come."),
        ("cancelled", "There is nothing to ship: no trial was trained."),
        ("failed", "There is nothing to ship: no trial succeeded. Failed: timeout (1)."),
    ],
)
def test_without_a_result_the_page_says_why(status: str, sentence: str) -> None:
    reason = "timeout" if status == "failed" else None
    one = trial(1, "ease", status=status, place=None, validation_value=None, error_reason=reason)
    assert headline_of(records(one)).sentence == sentence


def test_a_sweep_that_is_not_judged_says_what_leads_so_far() -> None:
    open_one = trial(2, "knn", status="running", place=None, validation_value=None)
    known = records(trial(1, "ease"), open_one)
    found = headline_of(replace(known, sweep=replace(SWEEP, is_judged=False)))
    assert found.sentence.startswith("So far ease leads by ndcg@20 0.3000 on validation, of 1 trial.")
    assert found.tone == "open"


METRICS = {("validation", "recall@20"): {1: 0.1, 2: 0.3}, ("validation", "rmse"): {1: 0.9}}


@pytest.mark.parametrize(
    ("sort", "labels"),
    [
        (None, ["one", "two", "three"]),
        ("recall@20.descending", ["two", "one", "three"]),
        ("recall@20.ascending", ["one", "two", "three"]),
        ("train_seconds.ascending", ["three", "two", "one"]),
    ],
)
def test_the_leaderboard_sorts_by_any_column_with_the_unmeasured_last(
    sort: str | None, labels: list[str]
) -> None:
    trials = (trial(1, "one"), trial(2, "two"), trial(3, "three"))
    board = leaderboard_of(records(*trials, metrics=METRICS), sort)
    assert [row.trial.label for row in board.rows] == labels


def test_a_column_that_is_not_there_is_told() -> None:
    with pytest.raises(
        SpecError,
        match="one of place, objective, train_seconds, memory, weights, rmse, recall@20, ",
    ):
        leaderboard_of(records(trial(1, "one"), metrics=METRICS), "magic.ascending")


def test_more_trials_than_anybody_reads_are_left_out_unless_asked_for() -> None:
    known = records(*(trial(n, f"t{n}") for n in range(1, MOST_ROWS + 3)))
    assert leaderboard_of(known).n_left_out == 2
    assert leaderboard_of(known, show_all=True).n_left_out == 0


def test_intervals_are_drawn_on_one_scale_with_zero_at_the_right_of_what_is_worse() -> None:
    board = leaderboard_of(
        records(trial(1, "one", verdict="tie"), trial(2, "two", **TIE), trial(3, "three", **WORSE))
    )
    first, tie, worse = (row.interval for row in board.rows)
    assert first is None
    assert tie is not None
    assert worse is not None
    assert tie.upper == tie.zero == worse.zero
    assert worse.lower < worse.middle < worse.upper < tie.lower
    assert tie.text == "-0.010 ± 0.010"


def test_the_objective_on_test_and_the_costs_come_before_other_metrics() -> None:
    measured = {("test", "ndcg@20"): {1: 0.2}, ("validation", "ndcg@20"): {1: 0.3}, **METRICS}
    board = leaderboard_of(records(trial(1, "one"), metrics=measured))
    assert [column.title for column in board.columns] == [
        *("#", "ndcg@20", "test ndcg@20", "training", "memory", "weights"),
        *("rmse", "recall@20", "epoch"),
    ]
    assert board.rows[0].cells[2] == ("0.2000", 0.2)
    assert [cell[0] for cell in board.rows[0].cells[6:8]] == ["0.9000", "0.1000"]


def test_the_scale_is_that_of_the_nearer_half_and_who_is_farther_ends_at_its_edge() -> None:
    near = {"verdict": "worse", "difference": -0.02, "lower": -0.03, "upper": -0.01}
    far = {"verdict": "worse", "difference": -0.90, "lower": -0.92, "upper": -0.88}
    trials = (trial(1, "one", verdict="winner"), trial(2, "two", **near), trial(3, "three", **far))
    board = leaderboard_of(records(*trials, trial(4, "four", **{**near, "difference": -0.015})))
    drawn = [row.interval for row in board.rows]
    assert drawn[1] is not None
    assert drawn[2] is not None
    # Two of the three reach to -0.03: that is nearly the whole width.
    assert drawn[1].upper - drawn[1].lower > 60
    assert drawn[2].lower == drawn[2].middle == drawn[2].upper < drawn[1].lower
    assert drawn[2].text == "-0.900 ± 0.020"


def test_baselines_that_every_architecture_beats_are_named_and_not_drawn() -> None:
    trials = [trial(n, f"t{n}", validation_value=0.3 + 0.01 * n) for n in (1, 2)]
    far = trial(3, "popularity", validation_value=0.1, is_baseline=True)
    near = trial(4, "bias", validation_value=0.315, is_baseline=True)
    chart = tradeoffs_of(records(*trials, far, near))[0]
    assert [row[0] for row in chart.rows] == ["t1", "t2", "bias"]
    assert chart.note.endswith("Not drawn, since every architecture beats it: popularity (0.1000).")
    # With one architecture there is nothing else to see.
    assert [row[0] for row in tradeoffs_of(records(trials[0], far))[0].rows] == ["t1", "popularity"]


def test_the_front_holds_what_no_other_beats_in_both() -> None:
    # Costs 1, 2, 3, 4 reach 0.1, 0.3, 0.2, 0.4: the third costs more than the second and reaches less.
    pairs = [(3.0, 0.2), (1.0, 0.1), (4.0, 0.4), (2.0, 0.3)]
    assert pareto_front(pairs, is_more_better=False, is_larger_better=True) == [1, 3, 2]
    assert pareto_front([(1.0, 0.5), (1.0, 0.5)], is_more_better=False, is_larger_better=True) == [0]
    # RMSE and coverage: less of the first and more of the second.
    assert pareto_front(
        [(0.2, 0.9), (0.5, 0.8), (0.1, 0.95)], is_more_better=True, is_larger_better=False
    ) == [1]


def test_curves_highlight_the_best_and_grey_out_what_was_stopped() -> None:
    stopped = trial(2, "two", status="stopped", place=None, validation_value=None, stopped_epoch=1)
    points = tuple(CurvePoint(n, epoch, 0.1 * n, None, None) for n in (1, 2) for epoch in (1, 2))
    chart = curves_of(replace(records(trial(1, "one"), stopped), curves=points))
    assert chart is not None
    assert {(row[0], row[3]) for row in chart.rows} == {("one", "best"), ("two", "stopped")}
    assert "1 were stopped early" in chart.description
    assert curves_of(records(trial(1, "one"))) is None


def test_the_history_keeps_the_best_until_then() -> None:
    trials = [trial(n, f"t{n}", validation_value=value) for n, value in ((1, 0.2), (2, 0.5), (3, 0.4))]
    chart = history_of(records(*trials), is_larger_better=True)
    assert chart is not None
    assert [row[3] for row in chart.rows] == [0.2, 0.5, 0.5]
    assert chart.description.endswith("The best, 0.5000, was number 2.")
    assert history_of(records(*trials[:2]), is_larger_better=True) is None


def test_an_axis_is_what_differs_and_the_largest_effect_comes_first() -> None:
    # size 8: 0.2 and 0.3, size 16: 0.5 and 0.6, means 0.25, 0.55; seed 0: 0.2 and 0.5, seed 1: 0.3 and 0.6.
    trials = [
        trial(
            n,
            f"t{n}",
            validation_value=value,
            config={"architecture": {"size": size, "same": 1}, "training": {"seed": seed}},
        )
        for n, size, seed, value in ((1, 8, 0, 0.2), (2, 8, 1, 0.3), (3, 16, 0, 0.5), (4, 16, 1, 0.6))
    ]
    first, second = axes_of(records(*trials), is_larger_better=True)
    assert (first.name, second.name) == ("size", "seed")
    assert [(one.name, one.mean) for one in first.settings] == [
        ("16", pytest.approx(0.55)),
        ("8", pytest.approx(0.25)),
    ]
