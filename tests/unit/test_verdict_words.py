"""Verdicts in plain words, and the pure part of a comparison of two trials."""

from dataclasses import replace

import numpy as np
import pytest

from scheduler.verdicts.comparison import (
    common_measures,
    compare,
    groups_by_activity,
    ranking_differences,
    split_differences,
)
from scheduler.verdicts.measures import measure_of
from scheduler.verdicts.words import against_leader, baseline_warning, format_interval, verdict_lines
from shared.domain.protocol import Protocol
from shared.domain.verdicts import Verdict
from shared.store import LeaderboardRow, StoredUserResults

NOTHING = dict.fromkeys(LeaderboardRow.__dataclass_fields__)


def row(trial_id, label, *, seconds=1.0, is_baseline=False):
    facts = {
        "trial_id": trial_id,
        "label": label,
        "is_baseline": is_baseline,
        "train_seconds": seconds,
        "n_parameters": 10,
        "objective": "ndcg@20",
    }
    return LeaderboardRow(**{**NOTHING, **facts})


def verdict(trial_id, name, difference=None, *, reason=None, split="test", n_seeds=1, half=0.002):
    interval = (None, None, None, None)
    if difference is not None:
        interval = (difference, difference - half, difference + half, 0.5)
    return Verdict(trial_id, 1, "ndcg@20", split, *interval, name, reason, 6_012, n_seeds)


@pytest.mark.parametrize(
    ("value", "half", "shown"),
    [
        (0.012345, 0.00312, "+0.0123 ± 0.0031"),
        (-0.0004, 0.0199, "-0.000 ± 0.020"),
        (1.26, 0.5, "+1.26 ± 0.50"),
        (126.4, 51.2, "+126 ± 51"),
        (0.0, 0.0, "+0.0000 ± 0.0000"),
        (0.1, 1e-9, "+0.100000 ± 0.000000"),
    ],
)
def test_an_interval_has_two_digits_of_what_is_not_known(value, half, shown):
    assert format_interval(value, half) == shown


def test_a_winner_is_said_in_one_line():
    rows = [row(1, "ease"), row(2, "item_knn")]
    lines = verdict_lines(rows, [verdict(1, "winner"), verdict(2, "worse", -0.08)])
    assert lines == [
        "Verdicts: by ndcg@20 of 6,012 users on test; the intervals hold together with 95 %",
        "Winner: ease; every other trial that is judged is worse",
    ]


def test_ties_are_named_with_their_intervals_and_the_cheapest():
    rows = [
        row(1, "ease", seconds=3.12),
        row(2, "als", seconds=9.0),
        row(3, "knn", seconds=0.8),
        row(4, "bad"),
    ]
    found = [
        verdict(1, "tie"),
        verdict(2, "tie", -0.001),
        verdict(3, "tie", 0.0005),
        verdict(4, "worse", -0.2),
    ]
    assert verdict_lines(rows, found)[1:] == [
        "ease leads; it is not proven better than als (-0.0010 ± 0.0020) and knn (+0.0005 ± 0.0020)",
        "Of these 3, knn is the cheapest to train: 0.8 s, the leader 3.1 s",
    ]
    rows[0] = row(1, "ease", seconds=0.5)
    assert verdict_lines(rows, found)[2] == "Of these 3, the leader is also the cheapest to train (0.5 s)"


def test_a_leader_that_is_worse_on_test_is_said_to_be():
    rows = [row(1, "ease"), row(2, "als")]
    lines = verdict_lines(rows, [verdict(1, "worse"), verdict(2, "winner", 0.03)])
    assert lines[1] == "ease leads on validation, but is worse on test than als (+0.0300 ± 0.0020)"


def test_validation_that_chose_the_leader_is_named():
    lines = verdict_lines(
        [row(1, "ease"), row(2, "als")],
        [
            verdict(1, "winner", split="validation"),
            verdict(2, "worse", -0.1, split="validation"),
        ],
    )
    assert "Validation also chose the leader: it may look better than it is" in lines[0]


def test_trials_without_a_verdict_are_told_by_reason():
    rows = [row(1, "ease"), row(2, "als"), row(3, "old"), row(4, "older")]
    found = [
        verdict(1, None, reason="why"),
        verdict(2, "worse", -0.1),
        verdict(3, None, reason="not kept"),
        verdict(4, None, reason="not kept"),
    ]
    assert verdict_lines(rows, found)[1:] == [
        "No verdict on ease: why",
        "No verdict on old and older: not kept",
    ]
    assert verdict_lines(rows, []) == []


def test_several_seeds_are_said_to_be_a_mean():
    lines = verdict_lines(
        [row(1, "a"), row(2, "b")], [verdict(1, "winner", n_seeds=3), verdict(2, "worse", -1.0)]
    )
    assert lines[1] == "Winner: a (the mean of 3 random seeds); every other trial that is judged is worse"


def test_seeds_of_one_configuration_are_named_once():
    rows = [row(1, "ease"), row(2, "als_seed1"), row(3, "als_seed2"), row(4, "knn")]
    ties = [
        verdict(2, "tie", -0.001, n_seeds=2),
        verdict(3, "tie", -0.001, n_seeds=2),
        verdict(4, "tie", -0.001),
    ]
    assert verdict_lines(rows, [verdict(1, "tie"), *ties])[1] == (
        "ease leads; it is not proven better than als_seed1 (-0.0010 ± 0.0020, mean of 2 random seeds) "
        "and knn (-0.0010 ± 0.0020)"
    )


@pytest.mark.parametrize(
    ("others", "words"),
    [
        ([verdict(2, "worse", -0.1)], "every architecture is worse"),
        ([verdict(2, "tie", -0.001)], "no architecture is proven better; als may be as good"),
        ([verdict(2, "winner", 0.1)], "but als proved better on test"),
        ([verdict(2, None, reason="not kept")], "no architecture is proven better"),
    ],
)
def test_a_baseline_that_leads_is_said_first(others, words):
    rows = [row(1, "baseline_item_popularity", is_baseline=True), row(2, "als")]
    leader = {"worse": "winner", "tie": "tie", "winner": "worse", None: None}[others[0].verdict]
    found = [verdict(1, leader, reason=None if leader else "why"), *others]
    line = baseline_warning(rows, found)
    assert line == f"A baseline leads this sweep by ndcg@20: baseline_item_popularity; {words}"
    assert baseline_warning([row(1, "ease"), row(2, "als")], found) is None
    assert baseline_warning(rows, []) is None


def test_a_cell_says_the_verdict_and_the_interval():
    cells = [
        against_leader(one)
        for one in (
            verdict(1, "winner"),
            verdict(1, "tie"),
            verdict(1, "worse"),
            verdict(2, "worse", -0.1),
            verdict(2, "tie"),
            verdict(2, None, reason="why"),
            None,
        )
    ]
    assert cells == [
        "winner",
        "leads, with ties",
        "leads, and is worse",
        "worse, -0.1000 ± 0.0020",
        "the leader's, other seed",
        "?",
        "",
    ]


def test_protocols_that_hold_out_other_ratings_or_judge_other_lists_are_told_apart():
    one = Protocol()
    assert split_differences(one, replace(one, k=10, objective="rmse", min_support=5)) == []
    assert split_differences(one, replace(one, split_seed=3, test_fraction=0.2)) == [
        "split_seed is 0 and 3",
        "test_fraction is 0.0 and 0.2",
    ]
    assert ranking_differences(one, replace(one, k=10)) == ["k is 20 and 10"]
    assert ranking_differences(one, replace(one, min_support=5)) == []


def stored(n_users=30, *, error=1.0, ndcg=0.2, seed=0):
    level = np.random.default_rng(seed).uniform(0.9, 1.1, n_users)
    rankings = dict.fromkeys(("recall", "precision", "map", "hit_rate", "mrr"), np.full(n_users, np.nan))
    with_relevant = ndcg * level
    with_relevant[0] = np.nan
    errors = dict.fromkeys(("squared_error", "absolute_error"), error * level)
    return StoredUserResults(
        user_ids=np.arange(n_users).astype(str),
        n_train_ratings=np.arange(n_users),
        n_ratings=np.full(n_users, 2),
        values={**errors, **rankings, "ndcg": with_relevant},
    )


def test_only_what_both_trials_have_is_compared():
    names = [one.name for one in common_measures(stored(), stored(), 20, with_rankings=True)]
    assert names == ["rmse", "mae", "ndcg@20"]
    names = [one.name for one in common_measures(stored(), stored(), 20, with_rankings=False)]
    assert names == ["rmse", "mae"]
    without = stored(error=np.nan)
    assert [one.name for one in common_measures(stored(), without, 20, with_rankings=True)] == ["ndcg@20"]


def test_the_better_of_two_is_named_by_its_letter():
    rmse, ndcg = measure_of("rmse"), measure_of("ndcg@20")
    found = compare(rmse, stored(error=1.0), stored(error=2.0, seed=1))
    assert (found.better, found.n_users) == ("A", 30)
    # Two ratings a user: √(error / 2).
    assert found.first == pytest.approx(np.sqrt(1.0 / 2), rel=0.05)
    found = compare(ndcg, stored(ndcg=0.2), stored(ndcg=0.4, seed=1))
    # One user has no relevant item.
    assert (found.better, found.n_users) == ("B", 29)
    assert compare(ndcg, stored(), stored()).better == "tie"


def test_a_group_of_few_users_has_values_and_no_interval():
    members = np.arange(30) < 5
    found = compare(measure_of("ndcg@20"), stored(), stored(seed=1), members)
    assert (found.n_users, found.difference, found.better) == (4, None, "tie")
    assert compare(measure_of("ndcg@20"), stored(), stored(), np.arange(30) < 1) is None


def test_users_are_grouped_in_thirds_by_their_training_ratings():
    groups = groups_by_activity(np.array([1, 2, 3, 4, 50, 60]))
    assert [(group.name, group.is_member.sum()) for group in groups] == [
        ("light (up to 2)", 2),
        ("medium (up to 4)", 2),
        ("heavy (above 4)", 2),
    ]


def test_users_with_equally_many_ratings_are_in_one_group():
    groups = groups_by_activity(np.array([7, 7, 7, 7, 9]))
    assert [(group.name, group.is_member.tolist()) for group in groups] == [
        ("light (up to 7)", [True, True, True, True, False]),
        ("heavy (above 7)", [False, False, False, False, True]),
    ]
