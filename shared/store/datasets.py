"""Data sets, their catalogues, and from where each version was read."""

import shlex

import numpy as np
from sqlalchemy import Engine, text

from shared.datasets.dataset import Dataset
from shared.domain.records import DatasetVersion
from shared.errors import DatasetError
from shared.store.copying import Arrays, Column, Ids, copy_rows
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
_FIND = text("select dataset_id from datasets where fingerprint = :fingerprint")
_OF_FINGERPRINT = text("select dataset_id, name from datasets where fingerprint = :fingerprint")
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

    `source`: what gave these ratings just now, which is noted in either case. Raises DatasetError, and stores
    nothing, where these ratings have another name already: promotions belong to a name.
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
        if dataset_id is None:
            stored = connection.execute(_OF_FINGERPRINT, {"fingerprint": dataset.fingerprint}).one()
            if stored.name != dataset.name:
                raise DatasetError(
                    f"ratings have one name, and those of {dataset.name} are stored as {stored.name}. "
                    f"Take that name, NAME={shlex.quote(stored.name)}, or `make clean` to begin anew."
                )
        if source is not None:
            connection.execute(_NOTE_SOURCE, {"fingerprint": dataset.fingerprint, "source": source})
        if dataset_id is None:
            return int(stored.dataset_id)
        genres = [one.split("|") if one else [] for one in dataset.genres.tolist()]
        names, name_index = np.unique(
            np.array([name for of_item in genres for name in of_item], np.str_), return_inverse=True
        )
        items: dict[str, Column] = {
            "dataset_id": np.full(dataset.n_items, dataset_id, np.int32),
            "item_id": Ids(dataset.item_ids, np.arange(dataset.n_items)),
            "item_index": np.arange(dataset.n_items, dtype=np.int32),
            "title": Ids(dataset.titles, np.arange(dataset.n_items)),
            "genres": Arrays(Ids(names, name_index), np.array([len(of_item) for of_item in genres])),
            "n_ratings": np.bincount(dataset.item_index, minlength=dataset.n_items).astype(np.int32),
        }
        copy_rows(connection, "items", items)
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
