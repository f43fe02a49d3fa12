"""Weighted ALS against NumPy's solutions of the same least squares problems."""

import numpy as np
import pytest
import scipy.sparse

from shared.domain.families.weighted_als import WeightedAls
from tests.unit.family_cases import all_scores, fit_data, fit_scorer, random_ratings
from worker.families import weighted_als
from worker.families.contract import FitContext
from worker.families.least_squares import TOLERANCE, solve_row, solve_rows

CONTEXT = FitContext()


def objective(architecture, ratings, users, items):
    """Σ rated (t - p·q)² + zero_weight Σ all (p·q)² + l2 Σ (n + zero_weight N)^l2_exponent |p|²."""
    users, items = users.astype(np.float64), items.astype(np.float64)
    rated = ratings >= (4 if architecture.target == "from_threshold" else 1)
    targets = ratings / ratings.max() if architecture.target == "stars" else rated.astype(float)
    scores = users @ items.T
    total = (((targets - scores) ** 2)[rated]).sum() + architecture.zero_weight * (scores**2).sum()
    for vectors, counts, n_others in (
        (users, rated.sum(axis=1), len(items)),
        (items, rated.sum(axis=0), len(users)),
    ):
        ridge = architecture.l2 * (counts + architecture.zero_weight * n_others) ** architecture.l2_exponent
        total += (ridge * (vectors**2).sum(axis=1)).sum()
    return total


@pytest.mark.parametrize("size", [1, 3, 40])
@pytest.mark.parametrize("zero_weight", [1e-3, 0.1, 2.0])
def test_rows_are_solved_as_by_numpy(size, zero_weight):
    rng = np.random.default_rng(0)
    targets = random_ratings(50, 30) / 5
    table = rng.normal(size=(30, size)).astype(np.float32)
    ridge = rng.uniform(0.5, 2, 50)

    solutions = solve_rows(
        scipy.sparse.csr_matrix(targets),
        table,
        zero_weight=zero_weight,
        ridge=ridge,
        start=rng.normal(size=(50, size)).astype(np.float32),
        check_stop=lambda: None,
    )

    for row in range(49):
        rated = targets[row] > 0
        q, everything = table[rated].astype(np.float64), table.astype(np.float64)
        matrix = q.T @ q + zero_weight * everything.T @ everything + ridge[row] * np.eye(size)
        expected = np.linalg.solve(matrix, q.T @ targets[row, rated])
        error, length = solutions[row] - expected, expected @ matrix @ expected
        assert error @ matrix @ error <= (10 * TOLERANCE) ** 2 * length
        one = solve_row(targets[row, rated], table[rated], table, zero_weight, ridge[row])
        np.testing.assert_allclose(one, expected, rtol=1e-9, atol=1e-12)
    assert (solutions[49] == 0).all()


def test_one_pair_by_hand():
    # One user, one item, one number each, target 1: half-steps p = q t / (q² (1 + z) + l2 (1 + z)).
    architecture = WeightedAls(size=1, l2=0.1, zero_weight=0.5, target="ones", iterations=200)

    weights = weighted_als.fit(architecture, None, fit_data([[3]]), CONTEXT).weights

    # At the end p = q, so 1 = (q² + l2) (1 + z): q² = 1/1.5 - 0.1.
    assert abs((weights["user_vectors"] * weights["item_vectors"]).item()) == pytest.approx(
        1 / 1.5 - 0.1, rel=1e-2
    )


@pytest.mark.parametrize("target", ["stars", "ones", "from_threshold"])
@pytest.mark.parametrize("exponent", [0.0, 1.0])
def test_the_objective_falls_with_every_iteration(target, exponent):
    ratings = random_ratings(60, 40)
    data = fit_data(ratings)
    values = []
    for iterations in range(1, 9):
        architecture = WeightedAls(size=6, iterations=iterations, target=target, l2_exponent=exponent)
        weights = weighted_als.fit(architecture, None, data, CONTEXT).weights
        values.append(objective(architecture, ratings, weights["user_vectors"], weights["item_vectors"]))

    assert (np.diff(values) <= 1e-6 * values[0]).all()
    assert values[-1] < values[0]


def test_user_vectors_are_the_best_for_the_items():
    ratings = random_ratings(60, 40)
    architecture = WeightedAls(size=6, iterations=3)
    weights = weighted_als.fit(architecture, None, fit_data(ratings), CONTEXT).weights
    users, items = weights["user_vectors"], weights["item_vectors"]
    least = objective(architecture, ratings, users, items)
    rng = np.random.default_rng(0)

    for _ in range(20):
        step = 0.05 * rng.normal(size=users.shape).astype(np.float32)
        assert objective(architecture, ratings, users + step, items) > least


def test_who_has_no_ratings_scores_zero():
    # The last user and the last two items.
    scores = all_scores(fit_scorer(WeightedAls(size=4), fit_data(random_ratings(50, 30)))[0], 50)

    assert (scores[-1] == 0).all()
    assert (scores[:, -2:] == 0).all()
    assert (scores[:-1, :-2] != 0).any()
