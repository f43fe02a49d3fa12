"""Data sets, their catalogues, and from where each version was read."""

import numpy as np
from sqlalchemy import Engine, text

from shared.datasets.dataset import Dataset
from shared.domain.records import DatasetVersion
from shared.store.database import transaction

_INSERT = text("""
    insert into datasets (
        name, fingerprint, is_synthetic, n_users, n_items, n_ratings, rating_min, rating_max, previous_id
    )
    values (
        :name, :fingerprint, :is_synthetic, :n_users, :n_items, :n_ratings, :rating_min, :rating_max,
        (select max(earlier.dataset_id) from datasets as earlier where earlier.name = :name)
    )
    on conflict (fingerprint) do nothing
    returning dataset_id
""")
_INSERT_ITEM = text("""
    insert into items (dataset_id, item_id, item_index, title, genres, n_ratings)
    values (:dataset_id, :item_id, :item_index, :title, :genres, :n_ratings)
""")
_FIND = text("select dataset_id from datasets where fingerprint = :fingerprint")
_NOTE_SOURCE = text("""
    update datasets set source = :source, source_read_at = now() where fingerprint = :fingerprint
""")
_VERSIONS = text("""
    select
        datasets.dataset_id, datasets.name, datasets.fingerprint, datasets.source, datasets.source_read_at,
        (
            select count(*) from forgotten_users where forgotten_users.dataset_id = datasets.dataset_id
        ) as n_forgotten
    from datasets
    where datasets.name = :name
    order by datasets.dataset_id desc
""")
_NAMES = text("select distinct name from datasets order by name")


def save_dataset(engine: Engine, dataset: Dataset, source: str | None = None) -> int:
    """Store a data set and its catalogue unless they are stored; gives its `dataset_id`.

    `source`: what gave these ratings just now, which is noted in either case.
    """
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
        if source is not None:
            connection.execute(_NOTE_SOURCE, {"fingerprint": dataset.fingerprint, "source": source})
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


def dataset_versions(engine: Engine, name: str) -> list[DatasetVersion]:
    """The stored versions of a data set, newest first; none where no such name is stored."""
    with transaction(engine) as connection:
        return [DatasetVersion(**row._asdict()) for row in connection.execute(_VERSIONS, {"name": name})]


def dataset_names(engine: Engine) -> list[str]:
    """Under which names data sets are stored."""
    with transaction(engine) as connection:
        return list(connection.scalars(_NAMES))
