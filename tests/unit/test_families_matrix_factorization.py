"""Matrix factorisation: what every loss promises, on a few users and items; what it minimises, by NumPy."""

from dataclasses import replace

import numpy as np
import pytest
from pydantic import ValidationError

from shared.datasets import Split
from shared.domain.families import default_training_of
from shared.domain.families.ease import Ease
from shared.domain.families.matrix_factorization import MatrixFactorization
from shared.domain.protocol import Protocol
from shared.domain.training import TrainingConfig
from shared.domain.trial import TrialConfig, parse_trial_config
from tests.unit.family_cases import all_scores, fit_data, random_ratings
from tests.unit.ranking_cases import brute_force, lists_of, random_dataset
from tests.unit.test_tower_training import MemoryStore
from worker.families import ease
from worker.families.contract import FitContext
from worker.families.matrix_factorization import fit, make_scorer
from worker.families.registry import family_of, pack_model, read_model
from worker.observations import Observations
from worker.ranking.scorers import HistoryScorer
from worker.ranking.top_k import recommend_all

LOSSES = ["softmax", "squared_error", "squared_error_with_zeros", "bce", "bpr"]
N_USERS, N_ITEMS = 30, 14
VALIDATION = [(0, 1, 4), (3, 2, 5), (5, 7, 1), (29, 3, 3), (4, 13, 2)]


def small_data(seed=0):
    """The last user has no training rating, nor have the last two items."""
    return fit_data(random_ratings(N_USERS, N_ITEMS, seed=seed), validation=VALIDATION)


def small(loss, **settings):
    return MatrixFactorization(loss=loss, size=3, **settings)


def training_of(architecture, **settings):
    return replace(default_training_of(architecture), **{"batch_size": 8, "max_epochs": 3, **settings})


def fit_small(architecture, data=None, context=None, **settings):
    return fit(
        architecture, training_of(architecture, **settings), data or small_data(), context or FitContext()
    )


def assert_same_weights(one, other):
    assert one.weights.keys() == other.weights.keys()
    for name, array in one.weights.items():
        np.testing.assert_array_equal(array, other.weights[name], err_msg=name)


@pytest.mark.parametrize("loss", LOSSES)
def test_a_loss_keeps_its_promises(loss):
    """One test, since each compiles once: seeds, resume, saved weights, cold users and items, records."""
    architecture, data, store, records = small(loss), small_data(), MemoryStore(), []
    whole = fit_small(architecture, data, FitContext(on_epoch=records.append, checkpoint=store))
    assert_same_weights(whole, fit_small(architecture, data))
    other = fit_small(architecture, data, random_seed=5)
    assert not np.array_equal(whole.weights["user_vectors"], other.weights["user_vectors"])

    for content in store.contents[:-1]:
        resumed = fit_small(architecture, data, FitContext(checkpoint=MemoryStore(content)))
        assert_same_weights(whole, resumed)
        assert [(one.loss, one.val_rmse) for one in resumed.epochs] == [
            (one.loss, one.val_rmse) for one in records
        ]

    scorer = make_scorer(architecture, whole.weights, data)
    scores = all_scores(scorer, N_USERS)
    family = family_of(architecture)
    saved = read_model(family, pack_model(family, whole))
    np.testing.assert_array_equal(scores, all_scores(make_scorer(architecture, saved, data), N_USERS))
    weights = whole.weights
    expected = (
        weights["user_vectors"].astype(float) @ weights["item_vectors"].T.astype(float)
        + weights.get("mean", 0.0)
        + weights["item_biases"].astype(float)
        + np.reshape(weights.get("user_biases", np.zeros(N_USERS)), (-1, 1))
    )
    np.testing.assert_allclose(scores, expected, atol=1e-12)
    # The cold user's scores are the biases of the items.
    assert (weights["user_vectors"][-1] == 0).all()
    np.testing.assert_allclose(scores[-1], weights.get("mean", 0.0) + weights["item_biases"], atol=1e-6)
    if loss == "squared_error":
        # Nothing moves what nobody rated.
        assert (weights["item_vectors"][-2:] == 0).all()
        assert (weights["item_biases"][-2:] == 0).all()
        assert weights["mean"] == pytest.approx(data.train.rating.mean())
    assert whole.n_parameters == sum(array.size for name, array in weights.items() if name != "mean")
    assert not isinstance(scorer, HistoryScorer)


@pytest.mark.parametrize("loss", LOSSES)
def test_only_squared_errors_of_ratings_predict_ratings(loss):
    architecture = small(loss)
    records = []
    fitted = fit_small(architecture, context=FitContext(on_epoch=records.append))
    scorer = make_scorer(architecture, fitted.weights, small_data())
    assert scorer.predicts_ratings == architecture.predicts_ratings == (loss == "squared_error")
    if loss == "squared_error":
        users, items, ratings = np.array(VALIDATION).T
        error = scorer.predict_ratings(users, items) - ratings
        best = records[fitted.best_epoch - 1]
        assert best.val_rmse == pytest.approx(np.sqrt((error**2).mean())) == fitted.val_rmse
    else:
        assert {one.val_rmse for one in records} == {None}
        assert fitted.val_rmse is None


def test_the_best_epoch_is_that_of_the_objective():
    architecture, seen = small("softmax"), []
    values = iter([0.5, 0.9, 0.1])

    def objective_of(scorer):
        seen.append(all_scores(scorer, N_USERS))
        return next(values)

    fitted = fit_small(architecture, context=FitContext(objective_of=objective_of))
    assert fitted.best_epoch == 2
    scores = all_scores(make_scorer(architecture, fitted.weights, small_data()), N_USERS)
    np.testing.assert_array_equal(scores, seen[1])
    # Without one no epoch is better than another: the last is kept.
    assert fit_small(architecture).best_epoch == 3


def mean_squares(vectors, biases, counts, exponent):
    return (np.maximum(counts, 1) ** exponent * ((vectors**2).sum(axis=1) + biases**2)).sum()


@pytest.mark.parametrize("target", ["stars", "ones", "from_threshold"])
def test_softmax_minimises_what_it_says(target):
    """The minimum of a full-batch training, beside points around it."""
    architecture = MatrixFactorization(size=2, target=target, user_l2=0.3, item_l2=0.2, l2_exponent=0.5)
    ratings = random_ratings(N_USERS, N_ITEMS)
    fitted = fit_small(
        architecture, batch_size=100, max_epochs=400, learning_rate=0.05, optimizer="adam", patience=400
    )
    rated = ratings >= (4 if target == "from_threshold" else 1)
    worth = np.where(rated, (ratings / 5) ** 2 if target == "stars" else 1.0, 0.0)
    counts = rated.sum(axis=1), rated.sum(axis=0)

    def objective(users, items, biases):
        scores = users @ items.T + biases
        logs = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
        penalties = 0.3 * mean_squares(users[:-1], 0, counts[0][:-1], 0.5) + 0.2 * mean_squares(
            items, biases, counts[1], 0.5
        )
        return -(worth * logs).sum() + penalties

    best = [fitted.weights[name].astype(float) for name in ("user_vectors", "item_vectors", "item_biases")]
    least = objective(*best)
    rng = np.random.default_rng(0)
    for _ in range(30):
        around = [array + 0.02 * rng.normal(size=array.shape) for array in best]
        around[0][-1] = 0
        assert objective(*around) > least


@pytest.mark.parametrize("exponent", [0.0, 1.0])
def test_squared_errors_are_minimised_with_penalties_by_the_number_of_ratings(exponent):
    architecture = MatrixFactorization(
        loss="squared_error", size=2, user_l2=0.1, item_l2=0.2, l2_exponent=exponent
    )
    ratings = random_ratings(N_USERS, N_ITEMS)
    fitted = fit_small(architecture, fit_data(ratings), batch_size=1000, max_epochs=500, learning_rate=0.05)
    rated = ratings > 0
    mean = ratings[rated].mean()
    counts = rated.sum(axis=1), rated.sum(axis=0)

    def objective(users, items, user_biases, item_biases):
        error = rated * (ratings - mean - users @ items.T - user_biases[:, None] - item_biases)
        return (
            (error**2).sum()
            + 0.1 * mean_squares(users[:-1], user_biases[:-1], counts[0][:-1], exponent)
            + 0.2 * mean_squares(items[:-2], item_biases[:-2], counts[1][:-2], exponent)
        )

    names = ("user_vectors", "item_vectors", "user_biases", "item_biases")
    best = [fitted.weights[name].astype(float) for name in names]
    least = objective(*best)
    rng = np.random.default_rng(0)
    for _ in range(30):
        assert objective(*(array + 0.02 * rng.normal(size=array.shape) for array in best)) > least


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("matrix", [[[3]], [[3, 0, 3], [0, 3, 3]]])
def test_one_user_one_item_and_constant_ratings_can_be_fitted(loss, matrix):
    data = fit_data(matrix)
    fitted = fit_small(small(loss), data)
    assert all(np.isfinite(array).all() for array in fitted.weights.values())
    if loss == "squared_error":
        scores = all_scores(make_scorer(small(loss), fitted.weights, data), len(matrix))
        np.testing.assert_allclose(scores, 3, atol=0.05)


@pytest.mark.parametrize("loss", ["softmax", "squared_error"])
def test_without_training_ratings_scores_are_equal(loss):
    data = replace_train_by_nothing(small_data())
    fitted = fit_small(small(loss), data)
    assert len(np.unique(all_scores(make_scorer(small(loss), fitted.weights, data), N_USERS))) == 1


def replace_train_by_nothing(data):
    train = data.train
    return replace(data, train=Observations(train.user_index[:0], train.item_index[:0], train.rating[:0]))


@pytest.mark.parametrize("loss", ["softmax", "squared_error"])
def test_training_stops_when_it_is_told_to(loss):
    class Stopped(Exception):  # noqa: N818  It is no error.
        pass

    n_looks, n_epochs = 0, []

    def check_stop():
        nonlocal n_looks
        n_looks += 1
        if n_looks == 3:
            raise Stopped

    with pytest.raises(Stopped):
        fit_small(
            small(loss), context=FitContext(check_stop=check_stop, on_epoch=n_epochs.append), max_epochs=50
        )
    assert len(n_epochs) <= 3


def test_lists_are_exact():
    dataset = random_dataset(30, 50, 400)
    every = np.arange(len(dataset.ratings))
    split, protocol = Split(every[:300], every[300:], every[:0]), Protocol(k=5)
    ratings = np.zeros((30, 50), np.float32)
    ratings[dataset.user_index[:300], dataset.item_index[:300]] = dataset.ratings[:300]
    data, architecture = fit_data(ratings), small("softmax")
    scorer = make_scorer(architecture, fit_small(architecture, data).weights, data)
    lists = recommend_all(scorer, dataset, split, protocol).recommendations
    scores = all_scores(scorer, 30).astype(np.float32)
    assert lists_of(lists, 30) == brute_force(scores, dataset, split, protocol)


def test_scores_beside_an_ease_are_the_sum_of_both():
    data, beside = small_data(), Ease(l2=7, user_weight=0.5, item_scaling=0.25)
    architecture = small("softmax", ease_weight=0.3, ease_l2=7)
    fitted, alone = fit_small(architecture, data), fit_small(small("softmax"), data)
    of_ease = ease.fit(beside, None, data, FitContext())

    expected = all_scores(make_scorer(small("softmax"), alone.weights, data), N_USERS)
    expected += 0.3 * all_scores(ease.make_scorer(beside, of_ease.weights, data), N_USERS)
    np.testing.assert_allclose(
        all_scores(make_scorer(architecture, fitted.weights, data), N_USERS), expected, rtol=1e-12, atol=1e-12
    )
    assert fitted.n_parameters == alone.n_parameters + of_ease.n_parameters


def test_training_settings_are_needed():
    with pytest.raises(ValueError, match="needs training settings"):
        fit(small("softmax"), None, small_data(), FitContext())


def test_a_setting_without_a_meaning_makes_no_other_architecture():
    for_lists = {"target": "ones", "zero_weight": 0.5, "negatives": 9, "ease_weight": 1.0}
    assert MatrixFactorization(loss="squared_error", **for_lists) == (
        MatrixFactorization(loss="squared_error")
    )
    assert MatrixFactorization(ease_l2=5) == MatrixFactorization()
    assert MatrixFactorization(ease_weight=1, ease_l2=5) != MatrixFactorization(ease_weight=1)
    assert MatrixFactorization(target="ones", target_exponent=3) == MatrixFactorization(target="ones")
    assert MatrixFactorization(zero_weight=0.5) == MatrixFactorization()
    assert MatrixFactorization(loss="bce", zero_weight=0.5) != MatrixFactorization(loss="bce")
    # What is best for a loss is the same, said or not.
    best = MatrixFactorization().penalties
    assert MatrixFactorization(user_l2=best[0], item_l2=best[1], l2_exponent=best[2]) == MatrixFactorization()
    assert MatrixFactorization(user_l2=0.0).penalties == (0.0, *best[1:])


def test_labels_name_loss_and_training_where_they_differ():
    ratings = MatrixFactorization(loss="squared_error", size=64)
    assert TrialConfig(ratings, default_training_of(ratings)).label == (
        "matrix_factorization_squared_error_size-64"
    )
    lists = MatrixFactorization(item_l2=0.1)
    training = replace(default_training_of(lists), batch_size=64)
    assert TrialConfig(lists, training).label == "matrix_factorization_iteml2-0.1_batch64"
    for config in (TrialConfig(ratings, TrainingConfig()), TrialConfig(lists, training)):
        assert parse_trial_config(config.canonical) == config


def test_an_unknown_loss_is_refused():
    with pytest.raises(ValidationError, match="loss"):
        MatrixFactorization(loss="hinge")
