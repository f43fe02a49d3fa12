"""The list for a history: the rules of all lists, against the lists of users with that history."""

import numpy as np
import pytest

from shared.datasets import refit_split
from shared.domain.families import FAMILIES
from shared.domain.families.ease import Ease
from shared.domain.families.item_knn import ItemKnn
from shared.domain.families.weighted_als import WeightedAls
from shared.domain.protocol import Protocol
from shared.domain.training import TrainingConfig
from shared.errors import TrialError
from tests.factories import make_dataset
from tests.unit.family_cases import fit_data, random_ratings
from worker.families.contract import FitContext
from worker.families.registry import family_of
from worker.ranking.history_list import recommend_for_history
from worker.ranking.scorers import HistoryScorer
from worker.ranking.top_k import recommend_all
from worker.trial import fit_data as data_of

ALL = np.ones(6, np.bool_)
# What a family has no default for, or only a slow one.
SMALL = {"tower": {"merge": "dot", "embedding_size": 2, "dense_layers": (1,)}, "bayesian_mf": {"sweeps": 6}}


class Given:
    """Scores as given, whatever the history."""

    def __init__(self, scores):
        self._scores = np.array(scores, np.float64)

    def score_history(self, item_index, ratings):
        return self._scores


def recommend(scores, history, is_supported=ALL, k=3):
    items, found = recommend_for_history(
        Given(scores), np.array(history, np.int32), np.ones(len(history), np.float32), is_supported, k
    )
    return list(zip(items.tolist(), found.tolist(), strict=True))


def test_the_best_come_first_and_what_was_rated_never():
    assert recommend([1, 6, 3, 4, 5, 2], history=[1, 4]) == [(3, 4.0), (2, 3.0), (5, 2.0)]


def test_of_equal_scores_the_first_item_comes_first_where_float32_makes_them_equal():
    # 1e-12 is below the precision of float32 beside 1.
    assert recommend([0, 1, 1 + 1e-12, 1, 0, 0], history=[0]) == [(1, 1.0), (2, 1.0), (3, 1.0)]


def test_items_without_support_are_no_candidates_and_the_list_may_be_short():
    supported = np.array([True, False, True, False, False, True])
    assert recommend([6, 5, 4, 3, 2, 1], history=[0], is_supported=supported) == [(2, 4.0), (5, 1.0)]


def test_scores_that_overflow_are_refused():
    with pytest.raises(TrialError, match="scores must be finite"):
        recommend([1, np.inf, 0, 0, 0, 0], history=[0])


@pytest.mark.parametrize(
    "architecture", [Ease(l2=2.0), ItemKnn(neighbours=4), WeightedAls(size=3)], ids=lambda one: one.family
)
def test_a_history_in_training_gets_the_list_of_its_user(architecture):
    dataset, protocol = make_dataset(n_users=9, n_items=12, n_rated=5), Protocol(k=4)
    split = refit_split(dataset)
    data, family = data_of(dataset, split, protocol), family_of(architecture)
    weights = family.fit(architecture, None, data, FitContext()).weights
    scorer = family.make_scorer(architecture, weights, data)
    lists = recommend_all(scorer, dataset, split, protocol).recommendations
    support = np.bincount(dataset.item_index, minlength=dataset.n_items)
    for user in range(dataset.n_users):
        own = dataset.user_index == user
        items, scores = recommend_for_history(
            scorer, dataset.item_index[own], dataset.ratings[own], support >= 1, protocol.k
        )
        listed = lists.user_index == user
        np.testing.assert_array_equal(items, lists.item_index[listed])
        # Weighted ALS solves a history exactly, and users in training to a tolerance.
        tolerance = 1e-3 if isinstance(architecture, WeightedAls) else 0
        np.testing.assert_allclose(scores, lists.score[listed], rtol=0, atol=tolerance)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
# A blend needs parts: tests/unit/test_families_blend.py.
@pytest.mark.parametrize("name", sorted(FAMILIES.keys() - {"blend"}))
def test_a_family_is_refitted_and_scores_histories_where_it_says_so(name):
    architecture = FAMILIES[name](**SMALL.get(name, {}))
    data, family = fit_data(random_ratings(12, 9)), family_of(architecture)
    assert len(data.validation) == 0
    training = TrainingConfig(max_epochs=5) if architecture.has_epochs else None
    records = []
    context = FitContext(on_epoch=records.append, n_epochs=2 if architecture.has_epochs else None)
    fitted = family.fit(architecture, training, data, context)
    scorer = family.make_scorer(architecture, fitted.weights, data)
    assert isinstance(scorer, HistoryScorer) == architecture.scores_histories
    assert (fitted.val_loss, fitted.val_rmse) == (None, None)
    assert {(one.val_loss, one.val_rmse, one.objective) for one in records} <= {(None, None, None)}
    if architecture.has_epochs:
        assert (fitted.best_epoch, len(fitted.epochs)) == (2, 2)
