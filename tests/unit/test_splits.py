"""Training and validation ratings."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.datasets import n_item_rows, random_split
from shared.datasets.prepare import Item, RatingTable, prepare_dataset
from shared.domain.protocol import Protocol
from shared.errors import DatasetError


def dataset_of(*item_ids):
    table = RatingTable(np.array(["u"]), np.array(item_ids[:1]), np.ones(1), np.zeros(1, np.int64), "x")
    return prepare_dataset("toy", table, [Item(item_id) for item_id in item_ids])


def test_ml_1m_splits_into_the_sizes_of_the_reference_run():
    split = random_split(1_000_209, Protocol(validation_fraction=0.1))
    # floor(1,000,209 * 0.9) = floor(900,188.1)
    assert (len(split.train), len(split.validation)) == (900_188, 100_021)


@pytest.mark.parametrize(("fraction", "n_train"), [(0.9, 1), (0.1, 9), (0.3, 7), (0.25, 7), (0.05, 9)])
def test_the_size_is_exact_where_binary_fractions_are_not(fraction, n_train):
    assert len(random_split(10, Protocol(validation_fraction=fraction)).train) == n_train


@given(
    n_ratings=st.integers(2, 500),
    fraction=st.floats(0.01, 0.99),
    seed=st.integers(0, 2**64),
)
def test_every_rating_is_on_exactly_one_side(n_ratings, fraction, seed):
    protocol = Protocol(validation_fraction=fraction, split_seed=seed)
    try:
        split = random_split(n_ratings, protocol)
    except DatasetError:
        # floor(n (1 - f)) = 0: too few ratings for this fraction.
        assert n_ratings * (1 - fraction) < 1 + 1e-9
        return
    assert np.sort(np.concatenate([split.train, split.validation])).tolist() == list(range(n_ratings))
    assert min(len(split.train), len(split.validation)) >= 1
    assert split.train.dtype == split.validation.dtype == np.int64


def test_the_seed_alone_decides_the_split():
    first, again, other = (random_split(1000, Protocol(split_seed=seed)) for seed in (1, 1, 2))
    assert first.validation.tolist() == again.validation.tolist()
    assert first.validation.tolist() != other.validation.tolist()


def test_the_split_of_a_seed_never_changes():
    # Sorting the first ten raw outputs of PCG64 seeded with 0 puts the largest two last.
    order = np.argsort(np.random.PCG64(0).random_raw(10))
    split = random_split(10, Protocol(validation_fraction=0.2, split_seed=0))
    assert split.validation.tolist() == sorted(order[-2:].tolist()) == [5, 9]


def test_rows_are_ascending():
    split = random_split(1000, Protocol())
    assert (np.diff(split.train) > 0).all()
    assert (np.diff(split.validation) > 0).all()


def test_the_validation_rows_are_spread_over_the_file():
    validation = random_split(100_000, Protocol()).validation
    # 10,000 of 100,000 rows: each tenth of the file holds about 1,000, with a standard deviation of 28.
    assert np.abs(np.bincount(validation // 10_000, minlength=10) - 1000).max() < 150


@pytest.mark.parametrize(("n_ratings", "fraction"), [(0, 0.1), (1, 0.1), (10, 0.95), (1, 0.5)])
def test_a_side_without_a_rating_is_told(n_ratings, fraction):
    with pytest.raises(
        DatasetError, match=f"at least one rating each; {n_ratings} ratings .* {fraction} give 0"
    ):
        random_split(n_ratings, Protocol(validation_fraction=fraction))


def test_the_catalogue_has_one_row_an_item():
    assert n_item_rows(dataset_of("7", "3952"), Protocol(embedding_rows="catalogue")) == 2


def test_max_id_has_a_row_for_every_integer_up_to_the_largest():
    assert n_item_rows(dataset_of("7", "3952"), Protocol(embedding_rows="max_id")) == 3952


@pytest.mark.parametrize("item_id", ["x", "0", "-1", "007"])
def test_max_id_needs_integers_from_1(item_id):
    with pytest.raises(DatasetError, match=f"integers from 1; data set toy has '{item_id}'"):
        n_item_rows(dataset_of(item_id, "12"), Protocol(embedding_rows="max_id"))
