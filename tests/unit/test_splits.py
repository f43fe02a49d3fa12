"""Training and validation ratings."""

from itertools import chain

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.datasets import Dataset, n_item_rows, split_ratings
from shared.datasets.prepare import Item, prepare_dataset, rating_table
from shared.datasets.splits import SPLITS, random_split
from shared.datasets.splits.cutting import cut
from shared.domain.protocol import Protocol
from shared.errors import DatasetError


def dataset_of(*item_ids):
    table = rating_table(np.array(["u"]), np.array(item_ids[:1]), np.ones(1), np.zeros(1, np.int64), "x")
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
        DatasetError, match=f"at least one rating; {n_ratings} ratings .* {fraction} and .* give 0"
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


def dataset_at(times, users=None):
    """One item a rating, in the order given."""
    n_ratings = len(times)
    users = list(range(n_ratings)) if users is None else users
    return Dataset(
        name="timed",
        is_synthetic=True,
        user_ids=np.array([str(user) for user in range(max(users) + 1)]),
        item_ids=np.array([str(item) for item in range(n_ratings)]),
        user_index=np.array(users, np.int32),
        item_index=np.arange(n_ratings, dtype=np.int32),
        ratings=np.ones(n_ratings, np.float32),
        timestamps=np.array(times, np.int64),
        titles=np.full(n_ratings, ""),
        genres=np.full(n_ratings, ""),
    )


def parts(split):
    return [part.tolist() for part in (split.train, split.validation, split.test)]


def test_the_test_part_leaves_the_validation_its_share():
    split = random_split(1000, Protocol(validation_fraction=0.1, test_fraction=0.2))
    assert [len(part) for part in parts(split)] == [700, 100, 200]
    assert sorted(chain.from_iterable(parts(split))) == list(range(1000))


@pytest.mark.parametrize("test_fraction", [0.0, 0.2])
@pytest.mark.parametrize("name", SPLITS)
def test_every_split_puts_each_rating_into_one_part_and_does_so_again(name, test_fraction):
    rng = np.random.default_rng(3)
    dataset = dataset_at(rng.integers(1, 50, 200).tolist(), users=rng.integers(0, 20, 200).tolist())
    protocol = Protocol(split=name, validation_fraction=0.2, test_fraction=test_fraction)

    split = split_ratings(dataset, protocol)

    assert sorted(chain.from_iterable(parts(split))) == list(range(200))
    assert all(part == sorted(part) for part in parts(split))
    assert [len(part) > 0 for part in parts(split)] == [True, True, test_fraction > 0]
    assert all(part.dtype == np.int64 for part in (split.train, split.validation, split.test))
    assert parts(split_ratings(dataset, protocol)) == parts(split)


def test_a_temporal_split_holds_out_the_latest():
    dataset = dataset_at([50, 10, 40, 30, 20, 60, 70, 80, 90, 100])
    protocol = Protocol(split="temporal", validation_fraction=0.2, test_fraction=0.2)
    assert parts(split_ratings(dataset, protocol)) == [[0, 1, 2, 3, 4, 5], [6, 7], [8, 9]]


@given(st.lists(st.integers(0, 20), min_size=10, max_size=60).filter(lambda times: len(set(times)) > 1))
def test_nothing_in_training_is_later_than_what_is_held_out(times):
    dataset = dataset_at(times)
    split = split_ratings(dataset, Protocol(split="temporal", validation_fraction=0.2, test_fraction=0.1))
    train, validation, test = (
        dataset.timestamps[part] for part in (split.train, split.validation, split.test)
    )
    assert train.max() <= validation.min() <= validation.max() <= test.min()
    assert sorted(chain.from_iterable(parts(split))) == list(range(len(times)))


def test_a_temporal_split_needs_times():
    with pytest.raises(DatasetError, match="needs the times of ratings; those of data set timed are all 0"):
        split_ratings(dataset_at([0, 0, 0]), Protocol(split="temporal"))


def test_leave_last_out_takes_the_last_ratings_of_each_user():
    # User 0: rows 0 (time 3), 1 (1), 2 (2); user 1: rows 3 and 4; user 2: row 5 alone.
    dataset = dataset_at([3, 1, 2, 5, 4, 9], users=[0, 0, 0, 1, 1, 2])
    without_test = split_ratings(dataset, Protocol(split="leave_last_out"))
    assert parts(without_test) == [[1, 2, 4, 5], [0, 3], []]
    with_test = split_ratings(dataset, Protocol(split="leave_last_out", test_fraction=0.1))
    # User 1 would keep nothing to learn from.
    assert parts(with_test) == [[1, 3, 4, 5], [2], [0]]


def test_leave_last_out_needs_a_user_with_enough_ratings():
    with pytest.raises(DatasetError, match="no user of data set timed has 2"):
        split_ratings(dataset_at([1, 2, 3]), Protocol(split="leave_last_out"))


@given(times=st.lists(st.integers(0, 5), min_size=10, max_size=60), test_fraction=st.sampled_from([0.0, 0.2]))
def test_parts_are_those_of_a_stable_sort(times, test_fraction):
    split = cut(np.array(times), Protocol(validation_fraction=0.2, test_fraction=test_fraction))

    # Of equal times the first rows are the earlier ones.
    order = sorted(range(len(times)), key=lambda row: (times[row], row))
    n_train, n_validation, _ = (len(part) for part in parts(split))
    assert parts(split) == [
        sorted(order[:n_train]),
        sorted(order[n_train : n_train + n_validation]),
        sorted(order[n_train + n_validation :]),
    ]
