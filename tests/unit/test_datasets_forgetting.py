"""A data set without some users is the one that its source would give without them."""

from dataclasses import replace

import numpy as np
import pytest

from shared.datasets import load_prepared, replace_prepared, store_prepared, without_users
from shared.datasets.prepare import Item, prepare_dataset, rating_table
from shared.datasets.prepared import remove_copies
from shared.errors import DatasetError
from tests.factories import make_dataset

ROWS = [("1", "a", 3, 10), ("10", "b", 4, 20), ("2", "a", 5, 30), ("1", "b", 1, 40), ("2", "c", 2, 50)]


def prepare(rows):
    users, items, ratings, times = zip(*rows, strict=True)
    table = rating_table(
        np.array(users), np.array(items), np.array(ratings, float), np.array(times, np.int64), "rows"
    )
    return prepare_dataset("rows", table, [Item(item) for item in "abc"])


def test_it_is_what_the_source_gives_without_the_user():
    left = without_users(prepare(ROWS), {"2"})
    expected = prepare([row for row in ROWS if row[0] != "2"])
    assert left.fingerprint == expected.fingerprint
    assert left.user_ids.tolist() == ["1", "10"]
    assert left.item_ids.tolist() == ["a", "b", "c"]


def test_a_user_whom_it_does_not_have_changes_nothing():
    assert without_users(prepare(ROWS), {"3"}).fingerprint == prepare(ROWS).fingerprint


def test_traits_go_with_their_user():
    dataset = replace(make_dataset(n_users=3), user_traits=np.array(["age 1", "age 2", "age 3"]))
    assert without_users(dataset, {"2"}).user_traits.tolist() == ["age 1", "age 3"]


def test_somebody_has_to_be_left():
    with pytest.raises(DatasetError, match="rows has none without those who were forgotten"):
        without_users(prepare(ROWS), {"1", "2", "10"})


def test_a_prepared_file_is_replaced_under_its_name_with_its_traits(tmp_path):
    root, cache = (tmp_path / "artifacts" / "id").as_uri(), tmp_path / "cache"
    cache.mkdir()
    dataset = replace(make_dataset(n_users=3), user_traits=np.array(["age 1", "age 2", "age 3"]))
    store_prepared(root, dataset)
    copy = cache / f"{dataset.fingerprint}.npz"
    copy.write_bytes(b"a copy")
    replace_prepared(root, dataset.fingerprint, without_users(dataset, {"2"}), cache)
    read = load_prepared(root, dataset.fingerprint, cache)
    assert (read.user_ids.tolist(), read.user_traits.tolist()) == (["1", "3"], ["age 1", "age 3"])
    assert not copy.exists()


def test_a_file_of_version_0_1_is_replaced_where_it_lies(tmp_path):
    above, cache = (tmp_path / "artifacts").as_uri(), tmp_path / "cache"
    dataset = make_dataset(n_users=3)
    store_prepared(above, dataset)
    replace_prepared(f"{above}/id", dataset.fingerprint, without_users(dataset, {"2"}), cache)
    assert load_prepared(f"{above}/id", dataset.fingerprint, cache).user_ids.tolist() == ["1", "3"]


def test_only_older_copies_are_removed(tmp_path):
    copy = tmp_path / "abc.npz"
    copy.write_bytes(b"a copy")
    remove_copies("abc", tmp_path, older_than=copy.stat().st_mtime)
    assert copy.exists()
    remove_copies("abc", tmp_path, older_than=copy.stat().st_mtime + 1)
    assert not copy.exists()
