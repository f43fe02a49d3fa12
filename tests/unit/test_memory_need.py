"""A trial that can never fit is refused at once, in one line, and not tried again."""

import copy

import numpy as np
import pytest

from shared.domain.families import FAMILIES, expected_memory_of
from shared.domain.families.autoencoder import Autoencoder
from shared.domain.families.ease import Ease
from shared.domain.families.item_knn import ItemKnn
from shared.domain.families.matrix_factorization import MatrixFactorization
from shared.errors import TrialError
from tests.unit.ranking_cases import make_dataset
from worker import memory_need
from worker.memory_need import require_memory

# Of three items two are rated.
DATASET = make_dataset(2, 3, np.array([(0, 0), (0, 1), (1, 0)]), [5.0, 3.0, 4.0])
SQUARED = (Ease(), MatrixFactorization(ease_weight=12.0), Autoencoder(ease_weight=3.0))


def test_items_squared_of_movielens_32m_need_61_gb():
    # 87,585² pairs, a matrix that is saved and one that scores, 4 bytes each: 8 x 7,671,132,225.
    for architecture in SQUARED:
        assert expected_memory_of(architecture, 200_948, 87_585, 32_000_204) == 61_369_057_800


def test_only_what_keeps_items_squared_says_what_it_needs():
    plain = [family() for name, family in FAMILIES.items() if name not in {"tower", "blend"}]
    needs = {one.family for one in plain if expected_memory_of(one, 10, 10, 10)}
    assert needs == {"ease"}
    assert expected_memory_of(ItemKnn(), 200_948, 87_585, 32_000_204) == 0


@pytest.mark.parametrize("architecture", SQUARED, ids=lambda one: one.family)
def test_what_can_never_fit_is_refused_with_numbers_and_remedies(monkeypatch, architecture):
    # 8 x 2²: items without ratings are in no matrix.
    monkeypatch.setattr(memory_need, "memory_limit_bytes", lambda: 31)
    with pytest.raises(
        TrialError,
        match=r"2 items with ratings need 0\.0 GB, and a worker has 0\.0 GB here.*min_ratings_per_item.*"
        r"weighted_als",
    ) as told:
        require_memory(architecture, DATASET)
    assert (told.value.reason, told.value.is_final) == ("out_of_memory", True)
    assert "\n" not in str(told.value)

    monkeypatch.setattr(memory_need, "memory_limit_bytes", lambda: 32)
    require_memory(architecture, DATASET)


def test_a_family_without_items_squared_is_not_refused(monkeypatch):
    monkeypatch.setattr(memory_need, "memory_limit_bytes", lambda: 0)
    require_memory(ItemKnn(), DATASET)


def test_an_error_that_is_final_stays_so_on_its_way_to_the_parent():
    # As pickle does it.
    told = copy.copy(TrialError("out_of_memory", "needs 61 GB", is_final=True))
    assert (told.reason, str(told), told.is_final) == ("out_of_memory", "needs 61 GB", True)
    assert not TrialError("out_of_memory", "later, perhaps").is_final
