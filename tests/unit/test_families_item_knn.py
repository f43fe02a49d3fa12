"""Item kNN by hand and against a plain double loop."""

import numpy as np
import pytest

from shared.domain.families.item_knn import ItemKnn
from tests.unit.family_cases import all_scores, fit_data, fit_scorer, random_ratings
from worker.families import item_knn
from worker.families.contract import FitContext

CONTEXT = FitContext()
#     item 0  1  2    Pairs in common: 0 and 1 have 2 users, 0 and 2 one, 1 and 2 one; counts are 3, 2, 2.
SMALL = [
    [1, 1, 0],
    [1, 1, 1],
    [1, 0, 0],
    [0, 0, 1],
]


def similarities(fitted, n_items):
    """(n_items, n_items): row j, column i is the similarity of i's neighbour j."""
    full = np.zeros((n_items, n_items))
    item = np.repeat(np.arange(n_items), fitted.weights["counts"])
    full[fitted.weights["neighbours"], item] = fitted.weights["similarities"]
    return full


@pytest.mark.parametrize(
    ("kind", "shrinkage", "expected"),
    [
        ("cosine", 0, [[0, 2 / 6**0.5, 1 / 6**0.5], [2 / 6**0.5, 0, 1 / 2], [1 / 6**0.5, 1 / 2, 0]]),
        ("jaccard", 0, [[0, 2 / 3, 1 / 4], [2 / 3, 0, 1 / 3], [1 / 4, 1 / 3, 0]]),
        ("jaccard", 1, [[0, 2 / 4, 1 / 5], [2 / 4, 0, 1 / 4], [1 / 5, 1 / 4, 0]]),
        # Row: of those who rated it, the share that rated the column's item too.
        ("conditional", 0, [[0, 2 / 3, 1 / 3], [2 / 2, 0, 1 / 2], [1 / 2, 1 / 2, 0]]),
        ("conditional", 2, [[0, 2 / 5, 1 / 5], [2 / 4, 0, 1 / 4], [1 / 4, 1 / 4, 0]]),
    ],
)
def test_similarities_by_hand(kind, shrinkage, expected):
    architecture = ItemKnn(similarity=kind, shrinkage=shrinkage, input="ones")

    fitted = item_knn.fit(architecture, None, fit_data(SMALL), CONTEXT)

    np.testing.assert_allclose(similarities(fitted, 3), expected, rtol=1e-6)
    assert fitted.n_parameters == 6


def test_scores_add_the_neighbours_that_a_user_rated():
    architecture = ItemKnn(similarity="jaccard", input="ones")
    data = fit_data(SMALL)
    scorer = item_knn.make_scorer(architecture, item_knn.fit(architecture, None, data, CONTEXT).weights, data)

    # User 0 rated 0 and 1: 2/3, 2/3 and 1/4 + 1/3.
    np.testing.assert_allclose(all_scores(scorer, 4)[0], [2 / 3, 2 / 3, 7 / 12], rtol=1e-6)


def test_only_the_nearest_are_kept_and_the_first_of_equals():
    # Item 0 has one user in common with each of the others, which are alike.
    fitted = item_knn.fit(
        ItemKnn(similarity="cosine", neighbours=2, input="ones"), None, fit_data(np.ones((1, 5))), CONTEXT
    )

    assert fitted.weights["neighbours"].tolist() == [1, 2, 0, 2, 0, 1, 0, 1, 0, 1]


@pytest.mark.parametrize("neighbours", [1, 3, 100])
@pytest.mark.parametrize("kind", ["cosine", "jaccard", "conditional"])
def test_neighbours_equal_a_double_loop(kind, neighbours):
    ratings = random_ratings(40, 25)
    architecture = ItemKnn(similarity=kind, neighbours=neighbours, shrinkage=3)

    found = similarities(item_knn.fit(architecture, None, fit_data(ratings), CONTEXT), 25)

    values = ratings / 5 if kind == "cosine" else (ratings > 0).astype(float)
    for item in range(25):
        x = values[:, item]
        alike = {}
        for other in range(25):
            y = values[:, other]
            common = float(x @ y)
            size = {
                "cosine": np.linalg.norm(x) * np.linalg.norm(y),
                "jaccard": x.sum() + y.sum() - common,
                "conditional": y.sum(),
            }[kind]
            if other != item and common:
                alike[other] = common / (size + 3)
        nearest = sorted(alike, key=lambda other: (-alike[other], other))[:neighbours]
        assert np.flatnonzero(found[:, item]).tolist() == sorted(nearest)
        np.testing.assert_allclose(found[nearest, item], [alike[other] for other in nearest], rtol=1e-6)


def test_blocks_of_items_are_joined(monkeypatch):
    data = fit_data(random_ratings(40, 25))
    whole = item_knn.fit(ItemKnn(neighbours=4), None, data, CONTEXT).weights
    monkeypatch.setattr(item_knn, "_BLOCK_NUMBERS", 75)

    in_blocks = item_knn.fit(ItemKnn(neighbours=4), None, data, CONTEXT).weights

    for name, array in whole.items():
        np.testing.assert_array_equal(in_blocks[name], array)


def test_who_has_no_ratings_scores_zero():
    # The last user and the last two items.
    scores = all_scores(fit_scorer(ItemKnn(neighbours=5), fit_data(random_ratings(50, 30)))[0], 50)

    assert (scores[-1] == 0).all()
    assert (scores[:, -2:] == 0).all()
    assert (scores[:-1, :-2] != 0).any()
