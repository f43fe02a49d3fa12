"""Bayesian matrix factorisation: each conditional against its closed form, and how the mean is kept."""

import math

import numpy as np
import pytest

from worker.families.bayesian_mf.kernels import sample_coefficients, sample_rows
from worker.families.bayesian_mf.posterior_mean import PosteriorMean, cut_product
from worker.families.bayesian_mf.prior import LinearPrior, sample_mean_and_precision
from worker.families.bayesian_mf.side import cut_work, group_ratings, implicit_sum, side_information


def draw_rows(n_rows, n_ratings, noise, width=4):
    """`n_rows` rows with the same prior and ratings; also their exact precision and mean."""
    random = np.random.default_rng(1)
    others = random.normal(size=(n_ratings, width)).astype(np.float32)
    ratings = random.normal(size=n_ratings).astype(np.float32)
    root = random.normal(size=(width, width))
    prior_precision, prior_mean = root @ root.T + np.eye(width), random.normal(size=width).astype(np.float32)
    samples, means = np.empty((2, n_rows, width), np.float32)
    assert sample_rows(
        0,
        n_rows,
        np.arange(n_rows + 1) * n_ratings,
        np.tile(np.arange(n_ratings, dtype=np.int32), n_rows),
        np.tile(ratings, n_rows),
        others,
        np.tile(prior_mean, (n_rows, 1)),
        prior_precision,
        2.5,
        noise.astype(np.float32),
        samples,
        means,
    )
    x = np.concatenate([others[:, :-1], np.ones((n_ratings, 1))], axis=1).astype(np.float64)
    precision = prior_precision + 2.5 * x.T @ x
    mean = np.linalg.solve(precision, prior_precision @ prior_mean + 2.5 * x.T @ (ratings - others[:, -1]))
    return samples, means, precision, mean


# 300 ratings are more than one tile of the compiled loop; none leave the prior.
@pytest.mark.parametrize("n_ratings", [0, 1, 7, 300])
def test_a_row_without_noise_is_the_closed_form_of_its_conditional_mean(n_ratings):
    samples, means, _, mean = draw_rows(1, n_ratings, np.zeros((1, 4)))

    np.testing.assert_allclose(means[0], mean, rtol=2e-5, atol=2e-6)
    np.testing.assert_array_equal(samples, means)


def test_rows_have_the_moments_of_their_conditional():
    n_rows = 20_000
    noise = np.random.default_rng(2).normal(size=(n_rows, 4))
    samples, _, precision, mean = draw_rows(n_rows, 5, noise)

    covariance = np.linalg.inv(precision)
    deviation = np.sqrt(np.diag(covariance))
    # Five standard errors of a mean, and of a covariance in units of the deviations (at most √2 / √n).
    assert np.abs((samples.mean(axis=0) - mean) / deviation).max() < 5 / math.sqrt(n_rows)
    error = (np.cov(samples.T) - covariance) / np.outer(deviation, deviation)
    assert np.abs(error).max() < 5 * math.sqrt(2 / n_rows)


def test_a_precision_that_is_not_positive_definite_is_reported():
    arrays = np.zeros((1, 2), np.float32), -np.eye(2), 1.0, *np.zeros((3, 1, 2), np.float32)
    no_ratings = np.zeros(2, np.int64), np.zeros(0, np.int32), np.zeros(0, np.float32)

    assert not sample_rows(0, 1, *no_ratings, np.zeros((1, 2), np.float32), *arrays)


def test_coefficients_have_the_moments_of_ridge_regression():
    """Sweeps over two correlated features with one number a row, so that the joint posterior is known."""
    random = np.random.default_rng(3)
    x = np.array([[1, 2], [1, 0], [0, 1], [1, 1], [0, 0]], np.float32)
    y, prior_precision, precision, n_sweeps = random.normal(size=(5, 1)).astype(np.float32), 0.5, 2.0, 20_000
    starts = np.array([0, 3, 6])
    rows = np.array([0, 1, 3, 0, 2, 3], np.int32)
    values = x.T[x.T != 0]
    coefficients, residuals, drawn = np.zeros((2, 1), np.float32), y.copy(), []
    for _ in range(n_sweeps):
        noise = random.standard_normal((2, 1), np.float32)
        sample_coefficients(
            0,
            2,
            starts,
            rows,
            values,
            False,
            prior_precision,
            np.array([precision], np.float32),
            noise,
            residuals,
            coefficients,
        )
        drawn.append(coefficients[:, 0].copy())

    np.testing.assert_allclose(residuals, y - x @ coefficients, atol=1e-4)
    covariance = np.linalg.inv(precision * x.T @ x + prior_precision * np.eye(2))
    mean = covariance @ (precision * x.T @ y)[:, 0]
    deviation = np.sqrt(np.diag(covariance))
    # Sweeps are correlated: ρ² = .25 is the correlation of one number with itself a sweep later, which makes
    # (1 + ρ²) / (1 - ρ²) = 1.7 of a variance; five such standard errors.
    assert np.abs((np.mean(drawn, axis=0) - mean) / deviation).max() < 5 * math.sqrt(1.7 / n_sweeps)
    error = (np.cov(np.transpose(drawn)) - covariance) / np.outer(deviation, deviation)
    assert np.abs(error).max() < 5 * math.sqrt(1.7 * 2 / n_sweeps)


def test_values_by_row_mean_the_same_as_values_beside_them():
    random = np.random.default_rng(4)
    starts, rows = np.array([0, 2, 3]), np.array([0, 2, 1], np.int32)
    by_row, noise = np.array([1, 2, 3], np.float32), random.standard_normal((2, 2), np.float32)
    results = []
    for values, is_by_row in ((by_row, True), (by_row[rows], False)):
        residuals, coefficients = np.ones((3, 2), np.float32), np.zeros((2, 2), np.float32)
        precisions = np.ones(2, np.float32)
        sample_coefficients(
            0, 2, starts, rows, values, is_by_row, 1.0, precisions, noise, residuals, coefficients
        )
        results.append((residuals, coefficients))
    np.testing.assert_array_equal(results[0][0], results[1][0])
    np.testing.assert_array_equal(results[0][1], results[1][1])


def test_mean_and_precision_have_the_moments_of_gaussian_wishart():
    random = np.random.default_rng(5)
    rows = random.normal(size=(6, 2)).astype(np.float32)
    n_draws = 20_000
    means, precisions = zip(*(sample_mean_and_precision(rows, random) for _ in range(n_draws)), strict=True)

    # Two rows with numbers of 0 beside the six; 2 + 6 degrees of freedom, and the expected Wishart is
    # degrees times its scale.
    average = rows.mean(axis=0, dtype=np.float64)
    scatter = (rows - average).T @ (rows - average)
    scale = np.linalg.inv(np.eye(2) + scatter + 2 * 6 / 8 * np.outer(average, average))
    variances = 8 * (scale**2 + np.outer(np.diag(scale), np.diag(scale)))
    error = np.mean(precisions, axis=0) - 8 * scale
    assert (np.abs(error) < 5 * np.sqrt(variances / n_draws)).all()
    # The mean is Student's t: covariance (scale⁻¹ / 8) / (8 - 2 - 1).
    deviation = np.sqrt(np.diag(np.linalg.inv(scale)) / 8 / 5)
    assert (np.abs(np.mean(means, axis=0) - 6 / 8 * average) < 5 * deviation / math.sqrt(n_draws)).all()


def test_cut_product_is_the_truncated_singular_value_decomposition():
    random = np.random.default_rng(6)
    left = random.normal(size=(30, 8)).astype(np.float32)
    # A column that repeats another: the Gram matrix is singular.
    left[:, 7] = left[:, 0]
    right = random.normal(size=(20, 8)).astype(np.float32)

    u, singular, vt = np.linalg.svd(left.astype(np.float64) @ right.T.astype(np.float64))
    cut_left, cut_right = cut_product(left, right, 3)

    assert cut_left.shape == (30, 3)
    np.testing.assert_allclose(cut_left @ cut_right.T, u[:, :3] * singular[:3] @ vt[:3], atol=1e-4)


def test_posterior_mean_is_exact_when_the_samples_span_no_more_than_is_kept():
    random = np.random.default_rng(7)
    mean, total = PosteriorMean(30, 6, 2), np.zeros((30, 6))
    for _ in range(50):
        users, items = (random.normal(size=(n, 3)).astype(np.float32) for n in (30, 6))
        mean.add(users, items)
        total += users[:, :2] @ items[:, :2].T + users[:, 2:] + items[:, 2]
    user_vectors, item_vectors, user_offsets, item_offsets = mean.mean()

    assert user_vectors.shape[1] <= 12
    product = user_vectors @ item_vectors.T + user_offsets[:, None] + item_offsets
    np.testing.assert_allclose(product, total / 50, atol=1e-5)


def test_work_is_cut_into_ranges_that_cover_every_row_once():
    # A row larger than the limit is a range of its own.
    assert list(cut_work(np.array([0, 1e9, 2e9, 9e9, 9e9, 10e9]))) == [(0, 2), (2, 3), (3, 5)]
    assert list(cut_work(np.array([0.0]))) == []


def test_side_information_scales_numbers_and_leaves_flags():
    users, _ = group_ratings(np.array([0, 1]), np.array([0, 0]), np.zeros(2, np.float32), 3, 1)
    features = side_information(users, np.array([[1, 10, 7], [1, 30, 7], [0, 20, 7]], np.float32), 1.0)

    # Mean 20, variance 200/3; the constant says nothing. User 2 has no ratings.
    deviation = math.sqrt(200 / 3)
    assert features.starts.tolist()[:2] == [0, 2]
    np.testing.assert_allclose(features.values[features.values != 0], [1, 1, -10 / deviation, 10 / deviation])
    assert features.without_ratings.toarray().tolist() == [[0, 0, 0]]


def test_ratings_are_grouped_by_the_rows_that_have_any():
    user_index, item_index = np.array([3, 0, 3, 3], np.int32), np.array([1, 1, 4, 1], np.int32)
    ratings = np.array([5, 4, 3, 2], np.float32)

    users, items = group_ratings(user_index, item_index, ratings, 5, 6)

    assert users.rated.tolist() == [0, 3]
    assert users.without_ratings.tolist() == [1, 2, 4]
    # Items 1 and 4 are 0 and 1 among the rated ones; a rating given twice counts twice.
    assert (users.starts.tolist(), users.columns.tolist()) == ([0, 1, 4], [0, 0, 1, 0])
    assert users.ratings.tolist() == [4, 5, 3, 2]
    assert (items.starts.tolist(), items.columns.tolist()) == ([0, 3, 4], [1, 0, 1, 1])


def test_a_row_without_ratings_is_expected_where_those_with_ratings_are_on_average():
    random = np.random.default_rng(10)
    user_index, item_index = np.divmod(random.choice(300, 150, replace=False).astype(np.int32), 15)
    users, items = group_ratings(user_index, item_index, np.zeros(150, np.float32), 21, 15)
    prior = LinearPrior((implicit_sum(users, items, 0.1),), len(users), 3)
    rows = random.normal(size=(len(users), 3)).astype(np.float32)

    expected = prior.sample(rows, random, lambda: None)

    assert np.abs(prior.explained).max() > 0.1
    average = expected.means.mean(axis=0, keepdims=True)
    np.testing.assert_allclose(expected.mean_without_ratings, average, atol=1e-5)
