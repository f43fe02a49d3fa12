"""Data sets and their catalogues."""

import numpy as np
from sqlalchemy import Engine, text

from shared.datasets.dataset import Dataset
from shared.store.copying import Column, Ids, TextLists, copy_rows
from shared.store.database import transaction

_INSERT = text("""
    insert into datasets (
        name, fingerprint, is_synthetic, n_users, n_items, n_ratings, rating_min, rating_max
    )
    values (
        :name, :fingerprint, :is_synthetic, :n_users, :n_items, :n_ratings, :rating_min, :rating_max
    )
    on conflict (fingerprint) do nothing
    returning dataset_id
""")
_FIND = text("select dataset_id from datasets where fingerprint = :fingerprint")


def save_dataset(engine: Engine, dataset: Dataset) -> int:
    """Store a data set and its catalogue unless they are stored; gives its `dataset_id`."""
    smallest, largest = dataset.rating_range
    row = {
        "name": dataset.name,
        "fingerprint": dataset.fingerprint,
        "is_synthetic": dataset.is_synthetic,
        "n_users": dataset.n_users,
        "n_items": dataset.n_items,
        "n_ratings": dataset.n_ratings,
        "rating_min": smallest,
        "rating_max": largest,
    }
    with transaction(engine) as connection:
        dataset_id = connection.scalar(_INSERT, row)
        if dataset_id is None:
            return int(connection.execute(_FIND, {"fingerprint": dataset.fingerprint}).scalar_one())
        genres, genres_index = np.unique(dataset.genres, return_inverse=True)
        items: dict[str, Column] = {
            "dataset_id": np.full(dataset.n_items, dataset_id, np.int32),
            "item_id": Ids(dataset.item_ids, np.arange(dataset.n_items)),
            "item_index": np.arange(dataset.n_items, dtype=np.int32),
            "title": Ids(dataset.titles, np.arange(dataset.n_items)),
            "genres": TextLists([one.split("|") if one else [] for one in genres.tolist()], genres_index),
            "n_ratings": np.bincount(dataset.item_index, minlength=dataset.n_items).astype(np.int32),
        }
        copy_rows(connection, "items", items)
        return int(dataset_id)


def find_dataset(engine: Engine, fingerprint: str) -> int | None:
    """The `dataset_id` of the data with this fingerprint, None when it is not stored."""
    with transaction(engine) as connection:
        found: int | None = connection.scalar(_FIND, {"fingerprint": fingerprint})
        return found
