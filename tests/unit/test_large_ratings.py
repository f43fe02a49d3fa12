"""The ratings that sizes are measured on: as many as asked for, each once, the same for the same seed."""

import numpy as np
import pyarrow.csv
import pyarrow.parquet
import pytest

from tests.benchmarks.large_ratings import as_dataset, generate, write_csv, write_items, write_parquet


@pytest.fixture(scope="module")
def ratings():
    return generate(n_users=300, n_items=400, n_ratings=12_000, seed=1)


def test_every_user_and_every_item_has_its_ratings_and_each_pair_is_there_once(ratings):
    dataset = as_dataset(ratings)
    activity, popularity = (np.bincount(index) for index in (dataset.user_index, dataset.item_index))

    assert (dataset.n_users, dataset.n_items, dataset.n_ratings) == (300, 400, 12_000)
    assert activity.min() >= 20
    assert popularity.min() >= 1
    # By user and then by item: so the pairs ascend strictly.
    assert (np.diff(dataset.user_index.astype(np.int64) * 400 + dataset.item_index) > 0).all()
    assert set((ratings.rating * 2).tolist()) == set(range(1, 11))


def test_a_few_items_have_most_of_the_ratings(ratings):
    popularity = np.sort(np.bincount(as_dataset(ratings).item_index))

    # 40 of 400 items: a tenth of them, with four times their share at least.
    assert popularity[-40:].sum() >= 0.4 * popularity.sum()


def test_the_same_seed_gives_the_same_ratings(ratings):
    same, other = (as_dataset(generate(300, 400, 12_000, seed)) for seed in (1, 2))

    assert same.fingerprint == as_dataset(ratings).fingerprint != other.fingerprint


def test_what_cannot_be_is_refused():
    with pytest.raises(ValueError, match=r"20 to 40 ratings.*cannot have 500"):
        generate(n_users=10, n_items=100, n_ratings=500, seed=1)


def test_files_hold_the_ratings_as_grouplens_writes_them(ratings, tmp_path):
    write_csv(ratings, tmp_path / "ratings.csv")
    write_parquet(ratings, tmp_path / "ratings.parquet")
    write_items(ratings, tmp_path / "movies.csv")

    first, second = (tmp_path / "ratings.csv").read_text().splitlines()[:2]
    assert first == "userId,movieId,rating,timestamp"
    stars = f"{ratings.rating[0]:.1f}"
    assert second == f"1,{ratings.item_id[0]},{stars},{ratings.timestamp[0]}"
    for table in (
        pyarrow.csv.read_csv(tmp_path / "ratings.csv"),
        pyarrow.parquet.read_table(tmp_path / "ratings.parquet"),
    ):
        columns = ("userId", "movieId", "rating", "timestamp")
        assert table.column_names == list(columns)
        for name, values in zip(columns, vars(ratings).values(), strict=True):
            np.testing.assert_array_equal(table[name].to_numpy(), values)
    assert len((tmp_path / "movies.csv").read_text().splitlines()) == 401
