"""Data sets and their catalogues."""

import numpy as np
from sqlalchemy import Engine, text

from shared.datasets.dataset import Dataset
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
_INSERT_ITEM = text("""
    insert into items (dataset_id, item_id, item_index, title, genres, n_ratings)
    values (:dataset_id, :item_id, :item_index, :title, :genres, :n_ratings)
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
        n_ratings = np.bincount(dataset.item_index, minlength=dataset.n_items)
        columns = (dataset.item_ids, dataset.titles, dataset.genres, n_ratings)
        catalogue = [
            {
                "dataset_id": dataset_id,
                "item_id": item_id,
                "item_index": item_index,
                "title": title,
                "genres": genres.split("|") if genres else [],
                "n_ratings": n_ratings_of_item,
            }
            for item_index, (item_id, title, genres, n_ratings_of_item) in enumerate(
                zip(*(column.tolist() for column in columns), strict=True)
            )
        ]
        if catalogue:
            connection.execute(_INSERT_ITEM, catalogue)
        return int(dataset_id)


def find_dataset(engine: Engine, fingerprint: str) -> int | None:
    """The `dataset_id` of the data with this fingerprint, None when it is not stored."""
    with transaction(engine) as connection:
        found: int | None = connection.scalar(_FIND, {"fingerprint": fingerprint})
        return found
