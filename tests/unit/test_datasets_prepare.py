"""From ratings with any ids to contiguous indices."""

import io
from dataclasses import replace

import numpy as np
import pytest

from shared.datasets import read_dataset
from shared.datasets.prepare import Item, prepare_dataset, rating_table
from shared.errors import DatasetError

ITEMS = [Item("10", "Ten", ("A", "B")), Item("9"), Item("2000", "Two thousand", ("A",))]


def table(users, items, ratings=None):
    n = len(users)
    values = np.array(ratings if ratings is not None else [3.0] * n)
    return rating_table(np.array(users), np.array(items), values, np.arange(n, dtype=np.int64), "ratings.dat")


def test_ids_become_ascending_text_and_ratings_keep_their_order():
    dataset = prepare_dataset("toy", table([30, 4, 30], [10, 2000, 2000], [1.0, 2.0, 3.0]), ITEMS)
    assert dataset.user_ids.tolist() == ["4", "30"]
    assert dataset.item_ids.tolist() == ["9", "10", "2000"]
    assert dataset.user_index.tolist() == [1, 0, 1]
    assert dataset.item_index.tolist() == [1, 2, 2]
    assert dataset.ratings.tolist() == [1.0, 2.0, 3.0]
    assert dataset.timestamps.tolist() == [0, 1, 2]
    assert dataset.titles.tolist() == ["", "Ten", "Two thousand"]
    assert dataset.genres.tolist() == ["", "A|B", "A"]


def test_arrays_have_the_documented_types():
    dataset = prepare_dataset("toy", table([1], [9]), ITEMS)
    kinds = {
        name: getattr(dataset, name).dtype for name in ("user_index", "item_index", "ratings", "timestamps")
    }
    assert kinds == {
        "user_index": np.dtype(np.int32),
        "item_index": np.dtype(np.int32),
        "ratings": np.dtype(np.float32),
        "timestamps": np.dtype(np.int64),
    }


def test_gaps_between_ids_make_no_phantom_users_or_items():
    dataset = prepare_dataset("toy", table([1, 1_000_000], [9, 2000]), ITEMS)
    assert (dataset.n_users, dataset.n_items) == (2, 3)
    assert (dataset.user_index.max(), dataset.item_index.max()) == (1, 2)


def test_integers_and_their_text_are_one_user():
    mixed = rating_table(
        np.array([2000, "2000"], dtype=object), np.array([9, 10]), np.ones(2), np.zeros(2, np.int64), "x"
    )
    assert prepare_dataset("toy", mixed, ITEMS).user_ids.tolist() == ["2000"]


def test_text_ids_are_kept():
    dataset = prepare_dataset("toy", table(["bob", "ann"], ["x", "y"]), [Item("y"), Item("x")])
    assert dataset.user_ids.tolist() == ["ann", "bob"]
    assert dataset.user_index.tolist() == [1, 0]


def test_a_second_rating_of_an_item_by_one_user_is_told_with_both_lines():
    with pytest.raises(DatasetError, match=r"ratings\.dat, line 3: .*user 1 rated item 9 in line 1 already"):
        prepare_dataset("toy", table([1, 2, 1], [9, 9, 9]), ITEMS)


def test_a_rated_item_without_a_catalogue_entry_is_told_with_its_line():
    with pytest.raises(DatasetError, match=r"ratings\.dat, line 2: .*item 11 is not"):
        prepare_dataset("toy", table([1, 1], [9, 11]), ITEMS)


def test_a_written_data_set_reads_back_equal(tmp_path):
    dataset = prepare_dataset("toy", table([1, 1_000_000], [9, 2000]), ITEMS, is_synthetic=True)
    with (tmp_path / "toy.npz").open("wb") as file:
        dataset.write(file)
    again = read_dataset(tmp_path / "toy.npz")
    assert (again.name, again.is_synthetic, again.fingerprint) == ("toy", True, dataset.fingerprint)


def test_content_that_is_no_data_set_is_told(tmp_path):
    file = io.BytesIO()
    prepare_dataset("toy", table([1], [9]), ITEMS).write(file)
    lone_array, other_arrays = io.BytesIO(), io.BytesIO()
    np.save(lone_array, np.zeros(3))
    np.savez(other_arrays, user_ids=np.zeros(3))
    path = tmp_path / "toy.npz"
    for content in (
        *(b"", b"nonsense", file.getvalue()[:-100]),
        *(lone_array.getvalue(), other_arrays.getvalue()),
    ):
        path.write_bytes(content)
        with pytest.raises(DatasetError, match=rf"npz archive.*{path}.*Remove the file and sweep again"):
            read_dataset(path)


def test_no_array_can_be_written_to_and_the_arrays_given_stay_as_they_were():
    dataset = prepare_dataset("toy", table([1], [9]), ITEMS, traits={"1": ("odd",)})
    ratings = np.ones(1, np.float32)

    again = replace(dataset, ratings=ratings)

    arrays = [array for array in vars(again).values() if isinstance(array, np.ndarray)]
    assert len(arrays) == 9
    assert not any(array.flags.writeable for array in arrays)
    assert ratings.flags.writeable
