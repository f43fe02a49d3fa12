"""EASE against its definition, and item-item scores against brute force."""

import io

import numpy as np
import pytest

from shared.datasets import Split, split_ratings
from shared.domain.families.ease import Ease
from shared.domain.protocol import Protocol
from shared.errors import TrialError
from tests.unit.ranking_cases import brute_force, lists_of, make_dataset, random_dataset
from worker.families import ease
from worker.families.contract import FitContext
from worker.families.history import input_matrix
from worker.families.registry import family_of, pack_model, read_model
from worker.ranking.item_item import ItemItemScorer
from worker.ranking.top_k import recommend_all
from worker.trial import fit_data

PROTOCOL = Protocol(k=5)


@pytest.fixture
def data():
    dataset = random_dataset(40, 30, 400)
    return fit_data(dataset, split_ratings(dataset, PROTOCOL), PROTOCOL)


def fit(architecture, data):
    return ease.fit(architecture, None, data, FitContext())


def test_two_items_by_hand():
    # Both users rated both items with the largest rating: the Gram matrix is [[2, 2], [2, 2]]. With l2 = 1
    # its inverse is [[3, -2], [-2, 3]] / 5, so each weight is 2/5 / (3/5) = 2/3.
    dataset = make_dataset(2, 2, [(0, 0), (0, 1), (1, 0), (1, 1)], [5, 5, 5, 5])
    split = Split(np.arange(4), np.arange(0))
    weights = fit(Ease(l2=1), fit_data(dataset, split, PROTOCOL)).weights["item_item"]
    assert weights == pytest.approx(np.array([[0, 2 / 3], [2 / 3, 0]]), abs=1e-6)


@pytest.mark.parametrize("kind", ["stars", "ones", "from_threshold"])
def test_the_weights_are_the_minimum_among_those_with_a_zero_diagonal(data, kind):
    architecture = Ease(l2=3, input=kind)
    weights = fit(architecture, data).weights["item_item"].astype(np.float64)
    history = input_matrix(data, kind).toarray().astype(np.float64)
    # The gradient of |X - X B|² + l2 |B|² is zero but on the diagonal, which is held at zero.
    gradient = history.T @ (history @ weights - history) + 3 * weights
    np.fill_diagonal(gradient, 0)
    assert np.diag(weights).tolist() == [0] * data.n_items
    assert np.abs(gradient).max() < 1e-4


def test_weighted_users_scaled_items_and_dropout_are_those_of_the_dense_problem(data):
    architecture = Ease(l2=2, user_weight=0.5, item_scaling=0.25, dropout=0.2)
    history = input_matrix(data, "stars").toarray().astype(np.float64)
    activity, popularity = (np.maximum((history > 0).sum(axis=axis), 1.0) for axis in (1, 0))
    rows, scale = (activity / activity.mean()) ** -0.25, (popularity / popularity.mean()) ** 0.25
    scaled = rows[:, None] * history / scale
    gram = scaled.T @ scaled
    inverse = np.linalg.inv(gram + np.diag(2 + 0.2 / 0.8 * np.diag(gram)))
    expected = -inverse / np.diag(inverse)
    np.fill_diagonal(expected, 0)
    expected = expected * scale / scale[:, None]
    assert fit(architecture, data).weights["item_item"] == pytest.approx(expected, abs=2e-5)


def test_cold_users_and_items_score_zero(data):
    weights = fit(Ease(), data).weights
    cold_items = np.flatnonzero(np.bincount(data.train.item_index, minlength=data.n_items) == 0)
    assert len(cold_items)
    scorer = ease.make_scorer(Ease(), weights, data)
    assert not scorer.score_block(np.arange(data.n_users))[:, cold_items].any()
    history = scorer.history.copy()
    history.data[:] = 0
    nobody = ItemItemScorer(history, scorer.matrix)
    assert not nobody.score_block(np.arange(3)).any()


def test_lists_are_those_of_brute_force_whatever_the_blocks():
    dataset = random_dataset(60, 80, 900)
    split = split_ratings(dataset, PROTOCOL)
    data = fit_data(dataset, split, PROTOCOL)
    scorer = ease.make_scorer(Ease(), fit(Ease(l2=5), data).weights, data)
    exact = input_matrix(data, "stars").toarray().astype(np.float64) @ scorer.matrix.astype(np.float64)
    expected = brute_force(exact.astype(np.float32), dataset, split, PROTOCOL)
    for block_scores, n_threads in ((10**6, 1), (100, 2)):
        rankings = recommend_all(
            scorer, dataset, split, PROTOCOL, block_scores=block_scores, n_threads=n_threads
        )
        assert lists_of(rankings.recommendations, 60) == expected


def test_blocks_are_within_their_error_bound(data):
    scorer = ease.make_scorer(Ease(), fit(Ease(l2=5), data).weights, data)
    users = np.arange(data.n_users)
    exact = scorer.history.toarray().astype(np.float64) @ scorer.matrix.astype(np.float64)
    errors = np.abs(scorer.score_block(users) - exact)
    assert (errors <= scorer.error_bound(users)[:, None]).all()


@pytest.mark.parametrize(
    ("n_users", "n_items", "pairs"), [(1, 1, [(0, 0)]), (1, 3, [(0, 0)]), (3, 1, [(0, 0)])]
)
def test_the_smallest_data_sets_have_finite_weights(n_users, n_items, pairs):
    dataset = make_dataset(n_users, n_items, pairs, [3] * len(pairs))
    data = fit_data(dataset, Split(np.arange(len(pairs)), np.arange(0)), PROTOCOL)
    assert np.isfinite(fit(Ease(), data).weights["item_item"]).all()


def test_a_scale_around_zero_keeps_the_least_liked_in_the_history():
    dataset = make_dataset(1, 3, [(0, 0), (0, 1), (0, 2)], [-10, 0, 10])
    data = fit_data(dataset, Split(np.arange(3), np.arange(0)), PROTOCOL)
    # Shares of a width of 20 with a quarter of it below: 5/25, 15/25, 25/25.
    assert input_matrix(data, "stars").toarray() == pytest.approx(np.array([[0.2, 0.6, 1.0]]))


def test_what_does_not_fit_is_refused_with_the_number(monkeypatch):
    monkeypatch.setattr(ease, "available_memory_bytes", lambda: 2**30)
    with pytest.raises(
        TrialError, match=r"87,585 items take 85\.7 GiB, and this worker may use 1\.0 GiB"
    ) as e:
        ease.require_memory(87_585)
    assert e.value.reason == "out_of_memory"


def test_a_fit_stops_when_it_is_told_to(data):
    def stop():
        raise TrialError("cancelled", "stop")

    with pytest.raises(TrialError, match="stop"):
        ease.fit(Ease(), None, data, FitContext(check_stop=stop))


def test_a_saved_model_is_the_fitted_one_and_holds_no_code(data):
    fitted = fit(Ease(), data)
    content = pack_model(fitted)
    assert np.array_equal(read_model(family_of(Ease()), content)["item_item"], fitted.weights["item_item"])
    pickled = io.BytesIO()
    np.savez(pickled, item_item=np.array([object()]))
    with pytest.raises(TrialError, match="npz archive of arrays"):
        read_model(family_of(Ease()), pickled.getvalue())
