"""SVD++: what every family promises, on a few users and items; what it minimises, by NumPy."""

from dataclasses import replace

import numpy as np
import pytest

from shared.datasets import Split
from shared.domain.families import default_training_of
from shared.domain.families.matrix_factorization import MatrixFactorization
from shared.domain.families.svd_plus_plus import SvdPlusPlus
from shared.domain.protocol import Protocol
from shared.domain.trial import TrialConfig, parse_trial_config
from tests.unit.family_cases import all_scores, fit_data, random_ratings
from tests.unit.ranking_cases import brute_force, lists_of, random_dataset
from tests.unit.test_tower_training import MemoryStore
from worker.families import matrix_factorization
from worker.families.contract import FitContext
from worker.families.registry import family_of, pack_model, read_model
from worker.families.svd_plus_plus import fit, make_scorer
from worker.ranking.scorers import HistoryScorer
from worker.ranking.top_k import recommend_all

N_USERS, N_ITEMS = 30, 14
VALIDATION = [(0, 1, 4), (3, 2, 5), (5, 7, 1), (29, 3, 3), (4, 13, 2)]
SMALL = SvdPlusPlus(size=3)


def small_data(seed=0):
    """The last user has no training rating, nor have the last two items."""
    return fit_data(random_ratings(N_USERS, N_ITEMS, seed=seed), validation=VALIDATION)


def training_of(**settings):
    return replace(default_training_of(SMALL), **{"batch_size": 8, "max_epochs": 3, **settings})


def fit_small(data=None, context=None, architecture=SMALL, **settings):
    return fit(architecture, training_of(**settings), data or small_data(), context or FitContext())


def assert_same_weights(one, other):
    assert one.weights.keys() == other.weights.keys()
    for name, array in one.weights.items():
        np.testing.assert_array_equal(array, other.weights[name], err_msg=name)


# Of eight ratings a table of 30 users moves by rows, of 126 as a whole.
@pytest.mark.parametrize("batch_size", [8, 1000])
def test_it_keeps_its_promises(batch_size):
    """One test, since it compiles once: seeds, resume, saved weights, cold users and items, records."""
    data, store, records = small_data(), MemoryStore(), []
    options = {"batch_size": batch_size}
    whole = fit_small(data, FitContext(on_epoch=records.append, checkpoint=store), **options)
    assert_same_weights(whole, fit_small(data, **options))
    other = fit_small(data, random_seed=5, **options)
    assert not np.array_equal(whole.weights["user_vectors"], other.weights["user_vectors"])
    for content in store.contents[:-1]:
        resumed = fit_small(data, FitContext(checkpoint=MemoryStore(content)), **options)
        assert_same_weights(whole, resumed)

    weights, scorer = whole.weights, make_scorer(SMALL, whole.weights, data)
    scores = all_scores(scorer, N_USERS)
    family = family_of(SMALL)
    saved = read_model(family, pack_model(family, whole))
    np.testing.assert_array_equal(scores, all_scores(make_scorer(SMALL, saved, data), N_USERS))
    assert weights["mean"] == pytest.approx(data.train.rating.mean())
    # The last user is predicted the mean and the item's bias, the last items the mean and the user's bias.
    np.testing.assert_allclose(scores[-1], weights["mean"] + weights["item_biases"], atol=1e-6)
    np.testing.assert_allclose(
        scores[:, -2:], (weights["mean"] + weights["user_biases"])[:, np.newaxis].repeat(2, 1), atol=1e-6
    )
    users, items, ratings = np.array(VALIDATION).T
    error = scorer.predict_ratings(users, items) - ratings
    assert whole.val_rmse == pytest.approx(np.sqrt((error**2).mean()))
    # Users, items, their biases, and the implicit vectors.
    assert whole.n_parameters == (N_USERS + N_ITEMS) * 4 + N_ITEMS * 3
    assert not isinstance(scorer, HistoryScorer)


def test_what_is_minimised_leaves_the_own_item_out_of_the_sum():
    """The minimum of a full-batch training, beside points around it."""
    from worker.families.svd_plus_plus.training import _Trainer  # noqa: PLC0415  It imports TensorFlow.

    ratings = random_ratings(N_USERS, N_ITEMS)
    architecture = SvdPlusPlus(size=2, user_l2=0.1, item_l2=0.05, implicit_l2=0.03)
    training = training_of(batch_size=1000, max_epochs=600, learning_rate=0.03)
    trainer = _Trainer(architecture, training, fit_data(ratings), FitContext())
    state = trainer.initial_state()
    for epoch in range(1, training.max_epochs + 1):
        state, loss = trainer.train_epoch(state, epoch)

    rated = (ratings > 0).astype(float)
    scales = 1 / np.sqrt(np.maximum(rated.sum(axis=1), 1))
    mean = ratings[ratings > 0].mean()

    def parts(users, items, implicit):
        sums = scales[:, None] * (rated @ implicit)
        scores = (users[:, :2] + sums) @ items[:, :2].T
        own = scales[:, None] * (items[:, :2] * implicit).sum(axis=1)
        error = rated * (ratings - mean - (scores - own) - users[:, 2:] - items[:, 2])
        penalties = (
            0.1 * (rated.sum(axis=1) * (users**2).sum(axis=1)).sum()
            + 0.05 * (rated.sum(axis=0) * (items**2).sum(axis=1)).sum()
            + 0.03 * (rated.sum(axis=0) * (implicit**2).sum(axis=1)).sum()
        )
        return (error**2).sum(), penalties

    best = [
        state.pairs.user_table.slots[0].numpy().astype(float),
        state.pairs.item_table.slots[0].numpy().astype(float),
        state.implicit[0].numpy().astype(float),
    ]
    assert loss == pytest.approx(parts(*best)[0] / rated.sum(), rel=1e-3)
    assert np.abs(best[2]).max() > 0.05
    rng = np.random.default_rng(0)
    for moved in (0, 1, 2):
        for _ in range(20):
            around = list(best)
            around[moved] = best[moved] + 0.02 * rng.normal(size=best[moved].shape)
            assert sum(parts(*around)) > sum(parts(*best))
    # The sums are in the user vectors of the weights.
    np.testing.assert_allclose(
        trainer.weights(state)["user_vectors"],
        best[0][:, :2] + scales[:, None] * (rated @ best[2]),
        atol=1e-5,
    )


def test_without_implicit_vectors_it_is_biased_matrix_factorisation():
    architecture = SvdPlusPlus(size=3, implicit=False)
    same = MatrixFactorization(loss="squared_error", size=3, user_l2=0.1)
    ours = fit_small(architecture=architecture)
    theirs = matrix_factorization.fit(same, training_of(), small_data(), FitContext())
    for name, array in theirs.weights.items():
        np.testing.assert_allclose(ours.weights[name], array, atol=1e-5, err_msg=name)
    assert ours.n_parameters == theirs.n_parameters
    assert SvdPlusPlus(implicit=False, implicit_l2=0.5) == SvdPlusPlus(implicit=False)


def test_the_best_epoch_is_that_of_the_objective():
    values = iter([-0.9, -0.5, -0.7])
    context = FitContext(objective_of=lambda _: next(values), is_larger_better=False)
    fitted = fit_small(context=context)
    assert fitted.best_epoch == 2
    assert [one.objective for one in fitted.epochs] == [0.9, 0.5, 0.7]


@pytest.mark.parametrize("matrix", [[[3]], [[3, 0, 3], [0, 3, 3]]])
def test_one_user_one_item_and_constant_ratings_can_be_fitted(matrix):
    data = fit_data(matrix)
    scores = all_scores(make_scorer(SMALL, fit_small(data).weights, data), len(matrix))
    np.testing.assert_allclose(scores, 3, atol=0.05)


def test_training_stops_when_it_is_told_to():
    class Stopped(Exception):  # noqa: N818  It is no error.
        pass

    n_looks, n_epochs = 0, []

    def check_stop():
        nonlocal n_looks
        n_looks += 1
        if n_looks == 12:
            raise Stopped

    with pytest.raises(Stopped):
        fit_small(context=FitContext(check_stop=check_stop, on_epoch=n_epochs.append), max_epochs=50)
    # It looks in every block, of which an epoch has eight.
    assert len(n_epochs) == 1


def test_lists_are_exact():
    dataset = random_dataset(30, 50, 400)
    every = np.arange(len(dataset.ratings))
    split, protocol = Split(every[:300], every[300:], every[:0]), Protocol(k=5)
    ratings = np.zeros((30, 50), np.float32)
    ratings[dataset.user_index[:300], dataset.item_index[:300]] = dataset.ratings[:300]
    data = fit_data(ratings)
    scorer = make_scorer(SMALL, fit_small(data).weights, data)
    lists = recommend_all(scorer, dataset, split, protocol).recommendations
    scores = all_scores(scorer, 30).astype(np.float32)
    assert lists_of(lists, 30) == brute_force(scores, dataset, split, protocol)


def test_training_settings_are_needed():
    with pytest.raises(ValueError, match="needs training settings"):
        fit(SMALL, None, small_data(), FitContext())


def test_labels_name_what_differs():
    config = TrialConfig(SvdPlusPlus(size=32), default_training_of(SMALL))
    assert config.label == "svd_plus_plus_size-32"
    assert parse_trial_config(config.canonical) == config
