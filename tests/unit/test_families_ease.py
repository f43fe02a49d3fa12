"""EASE against its definition; the matrix and its inverse against NumPy."""

from itertools import product

import numpy as np
import pytest
import scipy.sparse

from shared.domain.families.ease import Ease
from shared.errors import TrialError
from tests.unit.family_cases import all_scores, fit_data, fit_scorer, random_ratings
from worker.families import ease
from worker.families.contract import FitContext
from worker.families.gram import upper_gram
from worker.families.positive_definite import invert_in_place

CONTEXT = FitContext()
SETTINGS = [
    Ease(l2=l2, input=kind, user_weight=user_weight, item_scaling=item_scaling, dropout=dropout)
    for l2, kind, user_weight, item_scaling, dropout in [
        (10, "stars", 0, 0, 0),
        (10, "ones", 0, 0, 0),
        (10, "from_threshold", 0, 0, 0),
        (10, "stars", 0.5, 0, 0),
        (10, "stars", 0, 0.25, 0),
        (10, "stars", 0, 0, 0.3),
        (0.5, "ones", -0.5, -0.25, 0.5),
    ]
]


def item_weights(fitted, n_items):
    """The weights of all items, (n_items, n_items); 0 where an item has none."""
    full = np.zeros((n_items, n_items))
    items = fitted.weights["items"]
    full[np.ix_(items, items)] = fitted.weights["item_item"]
    return full


def relative(counts):
    return np.maximum(counts, 1) / counts[counts > 0].mean()


def inputs_of(ratings, kind):
    if kind == "stars":
        return ratings / ratings.max()
    return (ratings >= (4 if kind == "from_threshold" else 1)).astype(float)


def test_two_items_by_hand():
    # Users (1, 1), (1, 0): G = [[2, 1], [1, 1]], and with l2 = 1
    # P = [[3, 1], [1, 2]]⁻¹ = [[2, -1], [-1, 3]] / 5.
    data = fit_data([[1, 1], [1, 0]])

    fitted = ease.fit(Ease(l2=1, input="ones"), None, data, CONTEXT)

    # B_01 = -P_01 / P_11 = (1/5) / (3/5), B_10 = (1/5) / (2/5).
    np.testing.assert_allclose(item_weights(fitted, 2), [[0, 1 / 3], [1 / 2, 0]], rtol=1e-6)
    assert fitted.n_parameters == 2
    assert fitted.best_epoch is None


def test_scores_are_inputs_times_weights():
    data = fit_data([[5, 0], [4, 2]])
    scorer = ease.make_scorer(
        Ease(), {"items": np.array([1, 0]), "item_item": np.array([[0, 0.5], [0.25, 0]], np.float32)}, data
    )

    # Row and column 0 are of item 1: w_10 = 0.5 and w_01 = 0.25. Inputs are 5/5, 0 and 4/5, 2/5.
    np.testing.assert_allclose(all_scores(scorer, 2), [[0, 0.25], [0.2, 0.2]], rtol=1e-7)


@pytest.mark.parametrize("architecture", SETTINGS, ids=str)
def test_weights_are_the_optimum_with_a_zero_diagonal(architecture):
    ratings = random_ratings(60, 20)
    fitted = ease.fit(architecture, None, fit_data(ratings), CONTEXT)

    inputs = inputs_of(ratings, architecture.input)
    scale = relative((inputs > 0).sum(axis=0)) ** architecture.item_scaling
    user_weight = relative((inputs > 0).sum(axis=1)) ** -architecture.user_weight
    scaled = inputs / scale
    gram = scaled.T @ (user_weight[:, None] * scaled)
    share = architecture.dropout / (1 - architecture.dropout)
    penalty = np.diag(architecture.l2 + share * np.diag(gram))
    weights = item_weights(fitted, 20) * scale[:, None] / scale
    gradient = (gram + penalty) @ weights - gram  # Of half the objective.
    off_diagonal = gradient[~np.eye(20, dtype=bool)]
    np.testing.assert_allclose(off_diagonal, 0, atol=2e-5 * np.abs(gram).max())
    assert np.abs(weights).max() > 0.01
    assert (np.diag(weights) == 0).all()


def test_dropout_is_the_expected_loss_of_dropped_inputs():
    ratings = random_ratings(30, 8, density=0.6)
    architecture = Ease(l2=1e-6, input="ones", dropout=0.4)
    weights = item_weights(ease.fit(architecture, None, fit_data(ratings), CONTEXT), 8)[:6, :6]
    inputs = (ratings > 0)[:, :6].astype(float)

    def expected_loss(weights):
        # Mean over all 2^6 masks of |x - (x∘mask / 0.6) B|², which is what scaled dropout minimises.
        total = 0.0
        for mask in product([0, 1], repeat=6):
            kept = np.array(mask)
            chance = np.prod(np.where(kept, 0.6, 0.4))
            total += chance * np.sum((inputs - (inputs * kept / 0.6) @ weights) ** 2)
        return total

    least = expected_loss(weights)
    for row, column in [(0, 1), (4, 2), (5, 0)]:
        for step in (-0.02, 0.02):
            moved = weights.copy()
            moved[row, column] += step
            assert expected_loss(moved) > least


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n_users", [7, 400])
def test_gram_is_the_product_whether_rows_are_multiplied_densely_or_not(dtype, n_users):
    rng = np.random.default_rng(0)
    # Some users rated nearly everything, others nearly nothing: both ways are taken.
    density = rng.choice([0.02, 0.9], n_users)[:, None]
    dense = ((rng.random((n_users, 300)) < density) * rng.random((n_users, 300))).astype(np.float32)

    gram = upper_gram(scipy.sparse.csr_matrix(dense), dtype, lambda: None)

    expected = np.triu(dense.astype(np.float64).T @ dense.astype(np.float64))
    assert gram.dtype == dtype
    np.testing.assert_allclose(gram, expected, rtol=1e-5 if dtype == np.float32 else 1e-12)


@pytest.mark.parametrize("n", [1, 5, 128, 129, 300])
@pytest.mark.parametrize("lapack_rows", [0, 5000])
def test_inverse_in_blocks_or_at_once_is_the_inverse(n, lapack_rows):
    vectors = np.random.default_rng(1).random((n + 10, n))
    matrix = vectors.T @ vectors + np.eye(n)
    upper = np.triu(matrix)

    invert_in_place(upper, lapack_rows=lapack_rows)

    np.testing.assert_allclose(upper, np.triu(np.linalg.inv(matrix)), rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("lapack_rows", [0, 5000])
def test_a_matrix_that_is_not_positive_definite_is_told(lapack_rows):
    with pytest.raises(np.linalg.LinAlgError):
        invert_in_place(np.array([[1.0, 2], [0, 1]]), lapack_rows=lapack_rows)


def test_long_work_looks_whether_to_stop():
    calls = []
    invert_in_place(np.eye(300), lambda: calls.append(1), lapack_rows=0)
    assert len(calls) == 1 + 3 * 3  # Three passes over three blocks of at most 128 rows.


@pytest.mark.parametrize(("l2", "error"), [(300, 1e-5), (1, 1e-5), (1e-3, 1e-5)])
def test_weights_are_exact_however_small_the_penalty(l2, error):
    # Ten copies of every user: eigenvalues from l2 to some thousands.
    ratings = np.tile(random_ratings(60, 30, density=0.5), (10, 1))
    weights = item_weights(ease.fit(Ease(l2=l2), None, fit_data(ratings), CONTEXT), 30)

    inputs = ratings[:, :28].astype(np.float64) / 5
    inverse = np.linalg.inv(inputs.T @ inputs + l2 * np.eye(28))
    expected = -inverse / np.diag(inverse)
    np.fill_diagonal(expected, 0)
    np.testing.assert_allclose(weights[:28, :28], expected, atol=error * np.abs(expected).max())


def test_a_penalty_too_small_for_any_precision_is_told():
    with pytest.raises(TrialError, match="l2 is too small"):
        ease.fit(Ease(l2=1e-30, input="ones"), None, fit_data(np.ones((50, 40))), CONTEXT)


def test_memory_that_cannot_fit_is_refused_with_the_number():
    with pytest.raises(
        TrialError, match=r"60,000 items with ratings need 14\.\d GB.*may take 8\.0 GB"
    ) as told:
        ease.check_room(60_000, 10_000, np.float32, 8 * 10**9)
    assert told.value.reason == "out_of_memory"
    # 60,000² numbers of 4 bytes are 14.4 GB; in float64 8 bytes and a copy of 4.
    assert 14.4e9 < ease.fit_bytes(60_000, 10_000, np.float32) < 14.6e9
    assert 43.2e9 < ease.fit_bytes(60_000, 10_000, np.float64) < 43.6e9


def test_a_fit_asks_for_room_before_it_takes_any(monkeypatch):
    monkeypatch.setattr(ease, "memory_room_bytes", lambda: 1000)
    monkeypatch.setattr(ease, "upper_gram", None)
    with pytest.raises(TrialError, match=r"may take 0\.0 GB"):
        ease.fit(Ease(), None, fit_data(random_ratings(60, 30)), CONTEXT)


def test_who_has_no_ratings_scores_zero():
    # The last user and the last two items.
    scores = all_scores(fit_scorer(Ease(l2=5), fit_data(random_ratings(50, 30)))[0], 50)

    assert (scores[-1] == 0).all()
    assert (scores[:, -2:] == 0).all()
    assert (scores[:-1, :-2] != 0).any()
