"""Verdicts: the bootstrap beside scipy's, Holm by hand, and what is said of synthetic sweeps."""

import math

import numpy as np
import pytest
import scipy.stats

from scheduler.verdicts.judging import NOT_KEPT, Contender, configuration_of, judge
from scheduler.verdicts.measures import measure_of
from scheduler.verdicts.resampling import (
    N_RESAMPLES,
    Estimate,
    _poisson_by_place,
    estimate,
    trials_at_once,
)
from scheduler.verdicts.significance import Difference, bonferroni, difference, holm
from tests.factories import make_config
from tests.synthetic_sweeps import Truth, has_difference, has_winner, judge_sweep

NDCG, RMSE, MAE = (measure_of(name) for name in ("ndcg@20", "rmse", "mae"))
RANDOM = np.random.default_rng(7)
N_USERS = 300


def make_rankings(n_trials=2, n_users=N_USERS):
    level = RANDOM.beta(0.5, 2.0, n_users)
    return np.clip(level + RANDOM.normal(0, 0.1, (n_trials, n_users)), 0, 1)


def estimates(*values, n_users=100):
    """Estimates whose resamples scatter by 0.01, independently."""
    random = np.random.default_rng(len(values))
    return [Estimate(value, value + random.normal(0, 0.01, N_RESAMPLES), n_users) for value in values]


def scipy_bootstrap(data, statistic):
    return scipy.stats.bootstrap(
        data, statistic, paired=True, vectorized=True, n_resamples=5_000, method="percentile", rng=1
    )


def test_a_difference_of_means_equals_scipys_paired_bootstrap():
    first, second = make_rankings()
    theirs = scipy_bootstrap((first, second), lambda a, b, axis: np.mean(a - b, axis=axis))
    ours = difference(*([one] for one in estimate(NDCG, np.array([first, second]), np.ones(N_USERS))))
    assert ours.value == pytest.approx(np.mean(first - second), abs=1e-12)
    # Two bootstraps of 2,000 and 5,000 resamples: each standard error is known to 1/√(2 n), 1.6 % and 1 %.
    assert ours.standard_error == pytest.approx(theirs.standard_error, rel=0.08)
    low, high = theirs.confidence_interval
    half = ours.half_width()
    assert (ours.value - half, ours.value + half) == pytest.approx((low, high), abs=0.25 * half)


def test_a_difference_of_rmse_equals_scipys_paired_bootstrap():
    n_ratings = RANDOM.integers(1, 40, N_USERS)
    first = RANDOM.gamma(2.0, 0.4, N_USERS) * n_ratings
    second = first + RANDOM.normal(0.02, 0.05, N_USERS) * n_ratings

    def statistic(a, b, n, axis):
        total = np.sum(n, axis=axis)
        return np.sqrt(np.sum(a, axis=axis) / total) - np.sqrt(np.sum(b, axis=axis) / total)

    theirs = scipy_bootstrap((first, second, n_ratings), statistic)
    found = estimate(RMSE, np.array([first, second]), n_ratings.astype(float))
    ours = difference(*([one] for one in found))
    expected = math.sqrt(first.sum() / n_ratings.sum()) - math.sqrt(second.sum() / n_ratings.sum())
    assert ours.value == pytest.approx(expected)
    assert ours.standard_error == pytest.approx(theirs.standard_error, rel=0.08)
    half = ours.half_width()
    low, high = theirs.confidence_interval
    assert (ours.value - half, ours.value + half) == pytest.approx((low, high), abs=0.25 * half)


def test_the_metric_of_every_resample_is_that_of_its_weights(monkeypatch):
    monkeypatch.setattr(
        "scheduler.verdicts.resampling._weights",
        lambda _n: iter([(0, np.array([[2.0, 0.0], [1.0, 1.0]])), (2, np.array([[0.0, 3.0]]))]),
    )
    monkeypatch.setattr("scheduler.verdicts.resampling.N_RESAMPLES", 2)
    (ours,) = estimate(MAE, np.array([[4.0, 3.0, 9.0]]), np.array([2.0, 3.0, 1.0]))
    assert ours.value == (4 + 3 + 9) / (2 + 3 + 1)
    # Weights 2, 1, 0 and 0, 1, 3.
    assert ours.resampled.tolist() == [(2 * 4 + 3) / (2 * 2 + 3), (3 + 3 * 9) / (3 + 3 * 1)]


def test_weights_are_those_of_the_poisson_distribution_with_mean_1():
    weights = _poisson_by_place()
    assert weights.mean() == 1
    assert weights.var() == pytest.approx(1, abs=1e-4)
    shares = np.bincount(weights.astype(int)) / len(weights)
    # e^-1 / n! of the weights are n; a place is a share of 2^-16.
    expected = [math.exp(-1) / math.factorial(n) for n in range(len(shares))]
    assert shares == pytest.approx(expected, abs=2**-16)


def test_a_trial_has_the_same_resamples_whatever_it_is_estimated_with():
    # More users than are weighed at a time.
    values = make_rankings(n_trials=3, n_users=2_500)
    together = estimate(NDCG, values, np.ones(2_500))
    for row, one in zip(values, together, strict=True):
        (alone,) = estimate(NDCG, row[None], np.ones(2_500))
        np.testing.assert_allclose(alone.resampled, one.resampled, rtol=1e-12)


def test_fewer_trials_are_estimated_at_once_the_more_users_there_are():
    assert trials_at_once(200_000) == 2**24 // 200_000
    assert trials_at_once(2**30) == trials_at_once(0) // 2**24 == 1


def test_an_empty_resample_does_not_count():
    one = Estimate(0.5, np.array([0.4, np.nan, 0.6]), 10)
    other = Estimate(0.2, np.array([0.2, np.nan, 0.2]), 10)
    # The variance of 0.2 and 0.4 is 0.02, corrected by 10/9.
    assert difference([one], [other]).standard_error == pytest.approx(math.sqrt(0.02 * 10 / 9))
    few = estimate(NDCG, np.ones((1, 2)), np.ones(2))[0].resampled
    # Of two users, e^-2 of the resamples are empty.
    assert np.isnan(few).mean() == pytest.approx(math.exp(-2), abs=0.03)


def test_equal_trials_do_not_differ_at_all():
    values = make_rankings(n_trials=1)
    one, other = estimate(NDCG, np.vstack([values, values]), np.ones(N_USERS))
    same = difference([one], [other])
    assert (same.value, same.standard_error, same.p_value, same.half_width()) == (0, 0, 1, 0)


def test_a_difference_without_any_scatter_is_certain():
    assert Difference(0.1, 0.0, 9).p_value == 0


def test_the_interval_and_the_p_value_are_those_of_students_t():
    # 12 degrees of freedom: t of 97.5 % is 2.1788 (tables).
    one = Difference(2.1788, 1.0, 12)
    assert one.p_value == pytest.approx(0.05, abs=1e-5)
    assert one.half_width(0.05) == pytest.approx(2.1788, abs=1e-4)


def test_random_seeds_add_the_variance_of_their_mean():
    first, second = estimates(0.50, 0.56), estimates(0.40)
    both = difference(first, second)
    assert both.value == pytest.approx((0.50 + 0.56) / 2 - 0.40)
    # Users: resamples of a mean of two, of 0.01 each, and of one; corrected by 100/99.
    of_users = (0.01**2 / 2 + 0.01**2) * 100 / 99
    # Seeds: the variance of 0.50 and 0.56 is 0.06²/2, that of their mean half of it; 1 degree of freedom.
    of_seeds = 0.06**2 / 2 / 2
    assert both.standard_error**2 == pytest.approx(of_users + of_seeds, rel=0.1)
    freedom = (of_users + of_seeds) ** 2 / (of_users**2 / 99 + of_seeds**2 / 1)
    assert both.degrees_of_freedom == pytest.approx(freedom, rel=0.1)


def test_holm_by_hand():
    # In order: 0.005 · 4 = 0.02, 0.01 · 3 = 0.03, then 0.03 · 2 = 0.06 ends it; 0.04 · 1 may not be smaller.
    adjusted, rates = holm([0.01, 0.04, 0.03, 0.005])
    assert adjusted == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert rates == pytest.approx([0.05 / 3, 0.05 / 2, 0.05 / 2, 0.05 / 4])


def test_holm_of_one_is_the_p_value_and_none_above_one():
    assert holm([0.04]) == ([0.04], [0.05])
    assert holm([0.9, 0.8])[0] == [1.0, 1.0]
    assert holm([]) == ([], [])


def test_bonferroni_by_hand():
    # Of the pairs of 4 trials, 4 · 3 / 2 = 6, three are looked at.
    adjusted, rates = bonferroni([0.01, 0.5, 0.001], 6)
    assert adjusted == pytest.approx([0.06, 1, 0.006])
    assert rates == pytest.approx([0.05 / 6] * 3)
    assert bonferroni([], 0) == ([], [])


@pytest.mark.parametrize("has_test", [True, False])
@pytest.mark.parametrize("seed", range(10))
def test_an_interval_contains_0_exactly_where_the_verdict_is_a_tie(seed, has_test):
    verdicts = judge_sweep(Truth(n_trials=8, n_users=200, advantage=0.02), seed, has_test=has_test)
    for one in verdicts[1:]:
        assert (one.lower <= 0 <= one.upper) == (one.verdict == "tie") == (one.p_value > 0.05)
        assert one.lower <= one.difference <= one.upper


def contender(trial_id, estimate, configuration=None, **facts):
    return Contender(trial_id, f"trial {trial_id}", configuration or str(trial_id), estimate, **facts)


def verdict_names(contenders, *, is_larger_better=True):
    verdicts = judge(contenders, "ndcg@20", "test", is_larger_better=is_larger_better)
    return [one.verdict for one in verdicts]


def test_the_leader_wins_when_all_others_are_worse():
    one, other, third = estimates(0.5, 0.3, 0.2)
    contenders = [contender(1, one), contender(2, other), contender(3, third)]
    assert verdict_names(contenders) == ["winner", "worse", "worse"]


def test_the_leader_ties_when_one_ties():
    one, other, third = estimates(0.5, 0.499, 0.2)
    contenders = [contender(1, one), contender(2, other), contender(3, third)]
    assert verdict_names(contenders) == ["tie", "tie", "worse"]


def test_less_is_better_for_errors():
    one, other = estimates(0.9, 1.1)
    contenders = [contender(1, one), contender(2, other)]
    assert verdict_names(contenders, is_larger_better=False) == ["winner", "worse"]


def test_a_trial_that_proves_better_than_the_leader_of_validation_wins():
    one, other = estimates(0.3, 0.5)
    assert verdict_names([contender(1, one), contender(2, other)]) == ["worse", "winner"]


def test_seeds_of_one_configuration_are_one_candidate():
    one, same, other, other_too = estimates(0.5, 0.49, 0.3, 0.31)
    contenders = [
        contender(1, one, "a"),
        contender(2, other, "b"),
        contender(3, same, "a"),
        contender(4, other_too, "b"),
    ]
    verdicts = judge(contenders, "ndcg@20", "test", is_larger_better=True)
    assert [one.verdict for one in verdicts] == ["winner", "worse", "winner", "worse"]
    assert [one.n_seeds for one in verdicts] == [2, 2, 2, 2]
    assert verdicts[1].difference == verdicts[3].difference == pytest.approx((0.3 + 0.31 - 0.5 - 0.49) / 2)
    assert (verdicts[0].difference, verdicts[2].difference) == (None, None)


def test_only_the_random_seed_makes_no_other_configuration():
    first, second, other = (make_config(seed=4), make_config(seed=5), make_config("dot", seed=4))
    assert configuration_of(first.canonical) == configuration_of(second.canonical)
    assert configuration_of(first.canonical) != configuration_of(other.canonical)


def test_what_the_objective_does_not_judge_takes_no_victory_away():
    one, other = estimates(0.5, 0.3)
    unjudged = contender(3, None, reason="the objective does not judge it", is_comparable=False)
    verdicts = judge(
        [contender(1, one), contender(2, other), unjudged], "rmse", "test", is_larger_better=True
    )
    assert [one.verdict for one in verdicts] == ["winner", "worse", None]
    assert verdicts[2].reason == "the objective does not judge it"


def test_nobody_wins_over_a_trial_whose_results_were_not_kept():
    one, other = estimates(0.5, 0.3)
    contenders = [contender(1, one), contender(2, other), contender(3, None, reason=NOT_KEPT)]
    verdicts = judge(contenders, "rmse", "test", is_larger_better=True)
    assert [one.verdict for one in verdicts] == [None, "worse", None]
    assert verdicts[0].reason == "it is worse than none, but there is no verdict on trial 3"
    assert "FRESH=1" in verdicts[2].reason


def test_without_results_of_the_leader_there_is_no_verdict():
    (other,) = estimates(0.3)
    contenders = [contender(1, None, reason=NOT_KEPT), contender(2, other)]
    verdicts = judge(contenders, "rmse", "test", is_larger_better=True)
    assert [one.verdict for one in verdicts] == [None, None]
    assert verdicts[1].reason == f"the leader trial 1 has no verdict: {NOT_KEPT}"


@pytest.mark.parametrize("split", ["test", "validation"])
def test_a_trial_alone_has_no_verdict(split):
    verdicts = judge([contender(1, estimates(0.3)[0])], "rmse", split, is_larger_better=True)
    assert [(one.verdict, one.reason) for one in verdicts] == [
        (None, "there is no other trial to compare it with")
    ]
    assert judge([], "rmse", "test", is_larger_better=True) == []


def test_a_few_users_give_no_verdict():
    one, other = estimates(0.5, 0.3, n_users=9)
    verdicts = judge([contender(1, one), contender(2, other)], "rmse", "test", is_larger_better=True)
    assert {one.reason for one in verdicts} == {"fewer than 10 users judge"}


# `python -m tests.benchmarks.bench_verdicts` reports the shares over many more sweeps.
@pytest.mark.parametrize("has_test", [True, False])
def test_of_equal_trials_hardly_any_sweep_has_a_winner_or_any_difference(has_test):
    sweeps = [judge_sweep(Truth(n_users=300), seed, has_test=has_test) for seed in range(40)]
    assert sum(map(has_winner, sweeps)) <= 2
    # At 5 % of the sweeps, 40 have more than 5 once in 70 times: the seeds are fixed.
    assert sum(map(has_difference, sweeps)) <= 5


def test_lucky_seeds_of_equal_configurations_make_hardly_any_difference():
    """A seed's luck of 0.02 is proven of nearly every single trial; it says nothing of its configuration."""
    truth = Truth(n_trials=12, n_users=300, n_seeds=3, seed_noise=0.02)
    sweeps = [judge_sweep(truth, seed, has_test=True) for seed in range(40)]
    assert sum(map(has_difference, sweeps)) <= 5
    alone = Truth(n_trials=12, n_users=300, seed_noise=0.02)
    assert sum(has_difference(judge_sweep(alone, seed, has_test=True)) for seed in range(40)) > 30


@pytest.mark.parametrize(("n_seeds", "n_other_seeds"), [(3, 3), (2, 5), (3, 1)])
def test_an_interval_over_users_and_seeds_holds_the_truth_of_configurations(n_seeds, n_other_seeds):
    """Of new users and new seeds each time; a second configuration with one seed has nothing random in it.

    Users and seeds scatter the difference alike: 0.1 · √2 / √100 = 0.014 of the users of two trials, and
    0.014 of a seed. Intervals over users alone miss it much more often.
    """
    random = np.random.default_rng(n_seeds)
    n_users, truth, n_sweeps, n_held, n_held_by_users = 100, 0.02, 200, 0, 0
    luck_of = np.array([0.014] * n_seeds + [0.014 * (n_other_seeds > 1)] * n_other_seeds)
    advantage = np.array([truth] * n_seeds + [0.0] * n_other_seeds)
    for _ in range(n_sweeps):
        level = random.beta(0.5, 2.0, n_users)
        noise = random.normal(0, 0.1, (len(luck_of), n_users))
        of_trial = advantage + random.normal(0, 1, len(luck_of)) * luck_of
        found = estimate(NDCG, level + of_trial[:, None] + noise, np.ones(n_users))
        both = difference(found[:n_seeds], found[n_seeds:])
        n_held += abs(both.value - truth) <= both.half_width()
        resampled = np.array([one.resampled for one in found])
        over_users = resampled[:n_seeds].mean(axis=0) - resampled[n_seeds:].mean(axis=0)
        n_held_by_users += abs(both.value - truth) <= 1.96 * over_users.std()
    # At 95 % of 200 the standard deviation is 1.5 %.
    assert 0.92 <= n_held / n_sweeps <= 0.99
    assert n_held_by_users / n_sweeps < 0.9


@pytest.mark.parametrize("has_test", [True, False])
def test_a_trial_that_is_better_by_a_known_amount_is_found(has_test):
    truth = Truth(n_users=1_000, advantage=0.03)
    for seed in range(10):
        leader, *others = judge_sweep(truth, seed, has_test=has_test)
        assert (leader.trial_id, leader.verdict) == (0, "winner")
        # The truth: 0.03, but for what is cut off at 0 and 1.
        assert all(-0.04 < one.difference < -0.01 for one in others)
