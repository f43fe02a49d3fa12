"""The objective of one scorer after the other: what the metrics say, without the lists that nobody needs."""

from dataclasses import replace

import numpy as np
import pytest

from shared.datasets import split_ratings
from shared.domain.protocol import Protocol
from shared.errors import TrialError
from tests.unit.ranking_cases import random_dataset
from worker.metrics import measure
from worker.metrics.objective import objective_on_validation
from worker.ranking.scorers import LinearScorer
from worker.ranking.top_k import recommend_all

N_USERS, N_ITEMS = 60, 150


def random_scorer(seed):
    """Vectors of small integers, so that scores tie."""
    rng = np.random.default_rng(seed)
    users, items = (rng.integers(-1, 2, (n, 3)).astype(float) for n in (N_USERS, N_ITEMS))
    return LinearScorer(users, items, np.zeros(N_USERS), np.full(N_ITEMS, 3.0))


@pytest.mark.parametrize("split", ["random", "leave_last_out"])
@pytest.mark.parametrize("threshold", [4.0, "none"])
@pytest.mark.parametrize("objective", ["ndcg@5", "recall", "map", "mrr", "rmse", "mae"])
def test_it_is_the_metric_of_the_whole_ranking(split, threshold, objective):
    dataset = random_dataset(N_USERS, N_ITEMS, 1500)
    protocol = Protocol(
        k=5, split=split, objective=objective, relevance_threshold=threshold, test_fraction=0.1
    )
    parts = split_ratings(dataset, protocol)
    objective_of = objective_on_validation(dataset, parts, protocol, predicts_ratings=True)

    for seed in range(3):
        scorer = random_scorer(seed)
        rankings = recommend_all(scorer, dataset, parts, protocol)
        value = measure(scorer, dataset, parts, protocol, rankings)["validation"][protocol.objective]
        assert value != 0
        assert objective_of(scorer) == (value if protocol.is_larger_better else -value)


def test_there_is_none_of_ratings_where_none_are_predicted():
    dataset = random_dataset(N_USERS, N_ITEMS, 1500)
    protocol = Protocol(objective="rmse")
    parts = split_ratings(dataset, protocol)
    assert objective_on_validation(dataset, parts, protocol, predicts_ratings=False) is None


def test_there_is_none_of_lists_where_nothing_is_relevant():
    dataset = random_dataset(N_USERS, N_ITEMS, 1500)
    protocol = Protocol(objective="ndcg", relevance_threshold=6.0)
    parts = split_ratings(dataset, protocol)
    assert objective_on_validation(dataset, parts, protocol, predicts_ratings=True) is None


def test_only_users_with_a_relevant_item_are_scored():
    dataset = random_dataset(N_USERS, N_ITEMS, 1500)
    protocol = Protocol(objective="ndcg", relevance_threshold=5.0)
    parts = split_ratings(dataset, protocol)
    scored = []

    class Noting(LinearScorer):
        def score_block(self, user_index):
            scored.extend(user_index.tolist())
            return super().score_block(user_index)

    scorer = random_scorer(0)
    noting = Noting(
        *(getattr(scorer, name) for name in ("user_vectors", "item_vectors")),
        np.zeros(N_USERS),
        np.zeros(N_ITEMS),
    )
    objective_on_validation(dataset, parts, protocol, predicts_ratings=True)(noting)

    relevant = parts.validation[dataset.ratings[parts.validation] >= 5]
    assert scored == np.unique(dataset.user_index[relevant]).tolist()
    assert len(scored) < N_USERS


def test_scores_that_overflow_are_told():
    dataset = random_dataset(N_USERS, N_ITEMS, 1500)
    protocol = Protocol(objective="ndcg")
    parts = split_ratings(dataset, protocol)
    objective_of = objective_on_validation(dataset, parts, protocol, predicts_ratings=True)
    with pytest.raises(TrialError, match="scores must be finite"):
        objective_of(replace(random_scorer(0), item_offsets=np.full(N_ITEMS, 1e300)))
