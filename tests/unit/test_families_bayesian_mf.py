"""Bayesian matrix factorisation: each conditional against its closed form, then what a family promises."""

import io
import math

import numpy as np
import pytest
from pydantic import ValidationError

from shared.datasets import Split
from shared.domain.families.bayesian_mf import BayesianMf
from shared.domain.protocol import Protocol
from tests.unit.ranking_cases import all_pairs, brute_force, lists_of, random_dataset
from worker.families.bayesian_mf import fit, make_scorer
from worker.families.bayesian_mf.kernels import sample_coefficients, sample_rows
from worker.families.bayesian_mf.posterior_mean import PosteriorMean, cut_product
from worker.families.bayesian_mf.prior import LinearPrior, sample_mean_and_precision
from worker.families.bayesian_mf.side import cut_work, group_ratings, implicit_sum, side_information
from worker.families.contract import FitContext, FitData, Observations
from worker.ranking.top_k import recommend_all

SMALL = BayesianMf(size=3, sweeps=12, burn_in=3)


def observations(user_index, item_index, rating):
    return Observations(
        np.array(user_index, np.int32), np.array(item_index, np.int32), np.array(rating, np.float32)
    )


def fit_data(n_users, n_items, train, validation=((), (), ()), **features):
    train = observations(*train)
    ratings = train.rating.tolist()
    return FitData(
        n_users,
        n_items,
        train,
        observations(*validation),
        rating_range=(min(ratings), max(ratings)),
        relevance_threshold=4.0,
        **features,
    )


def random_data(n_users=20, n_items=15, n_ratings=150, seed=0, scale=lambda stars: stars):
    """The last user and the last two items have no training rating. Items have a flag and a year."""
    random = np.random.default_rng(seed)
    places = random.choice((n_users - 1) * (n_items - 2), n_ratings + 20, replace=False)
    users, items = np.divmod(places, n_items - 2)
    taste = random.normal(size=(n_users, 2)) @ random.normal(size=(2, n_items))
    ratings = scale(np.clip(np.round(3 + taste[users, items]), 1, 5))
    features = np.stack([random.integers(0, 2, n_items), random.uniform(1930, 2000, n_items)], axis=1)
    train, validation = slice(None, n_ratings), slice(n_ratings, None)
    return fit_data(
        n_users,
        n_items,
        (users[train], items[train], ratings[train]),
        (users[validation], items[validation], ratings[validation]),
        item_features=features.astype(np.float32),
    )


def predict_all(architecture, data, fitted):
    scorer = make_scorer(architecture, fitted.weights, data)
    pairs = all_pairs(data.n_users, data.n_items)
    return scorer.predict_ratings(*pairs).reshape(data.n_users, data.n_items)


class MemoryStore:
    def __init__(self, content=None):
        self.content = content
        self.n_saved = 0

    def load(self):
        return self.content

    def save(self, content):
        self.content = content
        self.n_saved += 1


class Stopped(Exception):  # noqa: N818  It is no error.
    pass


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


@pytest.mark.parametrize("size", [1, 3, 8])
def test_the_same_seed_gives_the_same_weights_and_another_others(size):
    data = random_data()
    architecture = BayesianMf(size=size, sweeps=8, burn_in=2)
    first, again = (fit(architecture, None, data, FitContext()) for _ in range(2))
    other = fit(BayesianMf(size=size, sweeps=8, burn_in=2, random_seed=5), None, data, FitContext())

    for name, array in first.weights.items():
        assert array.dtype == np.float32
        np.testing.assert_array_equal(array, again.weights[name])
    assert not np.array_equal(first.weights["user_offsets"], other.weights["user_offsets"])


@pytest.mark.parametrize("stopped_after", [1, 3, 9, 12])
def test_a_resumed_chain_is_the_uninterrupted_one_bit_for_bit(stopped_after, monkeypatch):
    monkeypatch.setattr("worker.families.bayesian_mf._CHECKPOINT_SECONDS", -1)
    data, store, records = random_data(), MemoryStore(), []
    whole = fit(SMALL, None, data, FitContext(on_epoch=records.append))

    def on_epoch(record):
        if record.epoch == stopped_after + 1:
            raise Stopped

    if stopped_after < SMALL.sweeps:
        with pytest.raises(Stopped):
            fit(SMALL, None, data, FitContext(on_epoch=on_epoch, checkpoint=store))
    else:
        fit(SMALL, None, data, FitContext(checkpoint=store))
    assert store.n_saved == stopped_after
    later = []
    resumed = fit(SMALL, None, data, FitContext(on_epoch=later.append, checkpoint=store))

    for name, array in whole.weights.items():
        np.testing.assert_array_equal(array, resumed.weights[name])
    assert [(r.epoch, r.val_rmse) for r in later] == [(r.epoch, r.val_rmse) for r in records[stopped_after:]]


def test_checkpoints_are_rare():
    store = MemoryStore()
    fit(SMALL, None, random_data(), FitContext(checkpoint=store))
    # All sweeps together take a fraction of ten seconds.
    assert store.n_saved == 0


@pytest.mark.parametrize("fault", ["truncated", "not an archive", "another seed", "other data"])
def test_a_checkpoint_that_cannot_be_used_is_ignored_with_a_warning(fault, monkeypatch, caplog):
    monkeypatch.setattr("worker.families.bayesian_mf._CHECKPOINT_SECONDS", -1)
    data, store = random_data(), MemoryStore()
    architecture = (
        BayesianMf(size=3, sweeps=12, burn_in=3, random_seed=9) if fault == "another seed" else SMALL
    )
    fit(
        architecture,
        None,
        random_data(seed=1) if fault == "other data" else data,
        FitContext(checkpoint=store),
    )
    content = {"truncated": store.content[:5000], "not an archive": b"npz"}.get(fault, store.content)

    fitted = fit(SMALL, None, data, FitContext(checkpoint=MemoryStore(content)))

    assert "checkpoint ignored" in caplog.text
    expected = fit(SMALL, None, data, FitContext())
    np.testing.assert_array_equal(fitted.weights["user_vectors"], expected.weights["user_vectors"])


def test_a_checkpoint_holds_no_pickles(monkeypatch):
    monkeypatch.setattr("worker.families.bayesian_mf._CHECKPOINT_SECONDS", -1)
    store = MemoryStore()
    fit(SMALL, None, random_data(), FitContext(checkpoint=store))
    with np.load(io.BytesIO(store.content), allow_pickle=False) as archive:
        assert all(archive[name].dtype != object for name in archive.files)


def test_a_chain_stops_when_it_is_told_to():
    n_looks = 0

    def check_stop():
        nonlocal n_looks
        n_looks += 1
        if n_looks == 20:
            raise Stopped

    n_sweeps = []
    with pytest.raises(Stopped):
        fit(SMALL, None, random_data(), FitContext(check_stop=check_stop, on_epoch=n_sweeps.append))
    # It looks several times a sweep.
    assert 0 < len(n_sweeps) < 10


def test_records_follow_the_mean_that_is_served():
    data, records = random_data(), []
    fitted = fit(SMALL, None, data, FitContext(on_epoch=records.append))
    validation = data.validation
    scorer = make_scorer(SMALL, fitted.weights, data)
    error = scorer.predict_ratings(validation.user_index, validation.item_index) - validation.rating

    assert [record.epoch for record in records] == list(range(1, 13))
    # Six sizes are kept, here more than there are items: nothing is cut.
    assert records[-1].val_rmse == pytest.approx(math.sqrt((error**2).mean()), abs=1e-5)
    assert records[-1].val_loss == pytest.approx(records[-1].val_rmse ** 2)
    assert fitted.epochs == ()


def test_validation_ratings_are_only_looked_at():
    data = random_data()
    other = FitData(
        data.n_users,
        data.n_items,
        data.train,
        observations([], [], []),
        data.rating_range,
        4.0,
        item_features=data.item_features,
    )
    records = []
    with_validation = fit(SMALL, None, data, FitContext())
    without = fit(SMALL, None, other, FitContext(on_epoch=records.append))

    for name, array in with_validation.weights.items():
        np.testing.assert_array_equal(array, without.weights[name])
    assert math.isnan(records[-1].val_rmse)


def test_predictions_beat_the_mean_where_there_is_something_to_learn():
    data = random_data(60, 40, 1200)
    architecture = BayesianMf(size=4, sweeps=60, burn_in=15)
    predictions = predict_all(architecture, data, fit(architecture, None, data, FitContext()))
    validation = data.validation
    error = predictions[validation.user_index, validation.item_index] - validation.rating
    mean_error = data.train.rating.mean() - validation.rating

    assert math.sqrt((error**2).mean()) < 0.7 * math.sqrt((mean_error**2).mean())


@pytest.mark.parametrize("scale", [lambda stars: stars / 2, lambda stars: 5 * stars - 15])
def test_ratings_on_another_scale_give_the_same_predictions_on_that_scale(scale):
    data, scaled = random_data(), random_data(scale=scale)
    expected, predictions = (predict_all(SMALL, d, fit(SMALL, None, d, FitContext())) for d in (data, scaled))

    np.testing.assert_allclose(predictions, scale(expected), atol=0.02)


@pytest.mark.parametrize("is_implicit", [False, True])
def test_users_and_items_without_ratings_get_the_population_mean(is_implicit):
    random = np.random.default_rng(8)
    users, items = np.divmod(random.choice(400, 300, replace=False), 20)
    # Every user of the 20 rates 4 on average, user 20 and item 20 are unknown.
    ratings = 4 + random.choice([-1, 1], 300)
    data = fit_data(21, 21, (users, items, ratings))
    architecture = BayesianMf(
        size=2, sweeps=80, burn_in=20, implicit_items=is_implicit, implicit_users=is_implicit
    )
    predictions = predict_all(architecture, data, fit(architecture, None, data, FitContext()))

    assert predictions[20, 20] == pytest.approx(ratings.mean(), abs=0.25)
    # Nothing sets the unknown user apart: its predictions are those of the average user.
    np.testing.assert_allclose(predictions[20, :20], predictions[:20, :20].mean(axis=0), atol=0.15)
    np.testing.assert_allclose(predictions[:20, 20], predictions[:20, :20].mean(axis=1), atol=0.15)


def test_features_tell_users_and_items_without_ratings_apart():
    random = np.random.default_rng(9)
    n_items = 62
    genre = np.arange(n_items) % 2
    users, items = np.divmod(random.choice(40 * 60, 1200, replace=False), 60)
    ratings = 2 + 2 * genre[items] + random.choice([-1, 0, 1], 1200)
    flags = np.stack([genre, 1 - genre], axis=1).astype(np.float32)
    data = fit_data(40, n_items, (users, items, ratings), item_features=flags)
    architecture = BayesianMf(size=2, sweeps=60, burn_in=20, feature_precision=1.0)
    fitted = fit(architecture, None, data, FitContext())
    predictions = predict_all(architecture, data, fitted).mean(axis=0)

    # Items 60 and 61 have no ratings; items of their genres are rated 2 and 4 on average.
    assert predictions[60] == pytest.approx(2, abs=0.4)
    assert predictions[61] == pytest.approx(4, abs=0.4)
    blind = BayesianMf(size=2, sweeps=60, burn_in=20, side_information=False)
    predictions = predict_all(blind, data, fit(blind, None, data, FitContext())).mean(axis=0)
    assert predictions[60] == predictions[61]


@pytest.mark.parametrize(
    ("n_users", "n_items", "train"),
    [
        (1, 1, ([0], [0], [3])),
        (1, 5, ([0, 0, 0], [0, 1, 2], [1, 5, 3])),
        (5, 1, ([0, 1, 2], [0, 0, 0], [1, 5, 3])),
        (3, 3, ([0, 1, 2, 0], [0, 1, 2, 2], [4, 4, 4, 4])),
        (40, 40, (*all_pairs(40, 40), np.full(1600, 2.5))),
    ],
)
def test_the_smallest_and_the_dullest_data_sets_have_finite_predictions(n_users, n_items, train):
    data = fit_data(
        n_users,
        n_items,
        train,
        user_features=np.ones((n_users, 2), np.float32),
        item_features=np.zeros((n_items, 0), np.float32),
    )
    architecture = BayesianMf(size=8, sweeps=100, burn_in=20)
    predictions = predict_all(architecture, data, fit(architecture, None, data, FitContext()))

    assert np.isfinite(predictions).all()
    ratings = np.array(train[2])
    if (ratings == ratings[0]).all() and len(ratings) > 1:
        # The fewer ratings, the more the prior of the noise counts: variance 1.
        np.testing.assert_allclose(predictions, ratings[0], atol=2 / math.sqrt(len(ratings)))


def test_lists_are_those_of_brute_force():
    dataset = random_dataset(30, 50, 400)
    split = Split(np.arange(0, dataset.n_ratings, 2), np.arange(1, dataset.n_ratings, 2))
    train, validation = (
        (dataset.user_index[rows], dataset.item_index[rows], dataset.ratings[rows])
        for rows in (split.train, split.validation)
    )
    data = fit_data(30, 50, train, validation)
    fitted = fit(SMALL, None, data, FitContext())
    protocol = Protocol(k=5)
    weights = {name: array.astype(np.float64) for name, array in fitted.weights.items()}
    scores = weights["user_vectors"] @ weights["item_vectors"].T
    scores += weights["user_offsets"][:, None] + weights["item_offsets"]

    scorer = make_scorer(SMALL, fitted.weights, data)
    lists = recommend_all(scorer, dataset, split, protocol).recommendations

    assert lists_of(lists, 30) == brute_force(scores.astype(np.float32), dataset, split, protocol)


def test_saved_weights_score_as_the_fitted_ones(tmp_path):
    data = random_data()
    fitted = fit(SMALL, None, data, FitContext())
    np.savez(tmp_path / "weights.npz", allow_pickle=False, **fitted.weights)
    with np.load(tmp_path / "weights.npz", allow_pickle=False) as loaded:
        again = make_scorer(SMALL, dict(loaded), data)

    pairs = all_pairs(data.n_users, data.n_items)
    scorer = make_scorer(SMALL, fitted.weights, data)
    np.testing.assert_array_equal(again.score_pairs(*pairs), scorer.score_pairs(*pairs))


def test_parameters_are_the_numbers_of_one_sample():
    fitted = fit(SMALL, None, random_data(), FitContext())
    # 19 users and 13 items with ratings, 3 factors and a bias each; coefficients of 13 items for the users,
    # of 2 features and 19 users for the items.
    assert fitted.n_parameters == (19 + 13) * 4 + (13 + 2 + 19) * 4


def test_burn_in_must_leave_sweeps_to_average():
    with pytest.raises(
        ValidationError, match="burn_in must leave sweeps to average; got burn_in 5 of sweeps 5"
    ):
        BayesianMf(sweeps=5, burn_in=5)


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
    data, random = random_data(), np.random.default_rng(10)
    train = data.train
    users, items = group_ratings(train.user_index, train.item_index, train.rating, data.n_users, data.n_items)
    prior = LinearPrior((implicit_sum(users, items, 0.1),), len(users), 3)
    rows = random.normal(size=(len(users), 3)).astype(np.float32)

    expected = prior.sample(rows, random, lambda: None)

    assert np.abs(prior.explained).max() > 0.1
    average = expected.means.mean(axis=0, keepdims=True)
    np.testing.assert_allclose(expected.mean_without_ratings, average, atol=1e-5)
