"""Data sets and their catalogues."""

import numpy as np
from sqlalchemy import Engine, insert, select
from sqlalchemy.dialects import postgresql

from shared.datasets.dataset import Dataset
from shared.store.database import transaction
from shared.tables import datasets, items


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
    added = (
        postgresql.insert(datasets)
        .values(row)
        .on_conflict_do_nothing(index_elements=[datasets.c.fingerprint])
        .returning(datasets.c.dataset_id)
    )
    with transaction(engine) as connection:
        dataset_id = connection.scalar(added)
        if dataset_id is None:
            stored = select(datasets.c.dataset_id).where(datasets.c.fingerprint == dataset.fingerprint)
            return int(connection.execute(stored).scalar_one())
        catalogue = [
            {
                "dataset_id": dataset_id,
                "item_id": item_id,
                "item_index": item_index,
                "title": title,
                "genres": genres.split("|") if genres else [],
                "n_ratings": n_ratings,
            }
            for item_index, (item_id, title, genres, n_ratings) in enumerate(
                zip(
                    dataset.item_ids.tolist(),
                    dataset.titles.tolist(),
                    dataset.genres.tolist(),
                    np.bincount(dataset.item_index, minlength=dataset.n_items).tolist(),
                    strict=True,
                )
            )
        ]
        if catalogue:
            connection.execute(insert(items), catalogue)
        return int(dataset_id)


def find_dataset(engine: Engine, fingerprint: str) -> int | None:
    """The `dataset_id` of the data with this fingerprint, None when it is not stored."""
    stored = select(datasets.c.dataset_id).where(datasets.c.fingerprint == fingerprint)
    with transaction(engine) as connection:
        return connection.scalar(stored)
