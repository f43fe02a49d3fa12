"""What each user adds to the metrics of a trial: written with its result, read for verdicts."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sqlalchemy import Connection, Engine, text

from shared.datasets.dataset import Dataset
from shared.domain.records import Claim
from shared.domain.results import Hits, UserResults
from shared.store.copying import Arrays, Column, Ids, Nullable, copy_rows
from shared.store.database import transaction

_SPLITS = ("validation", "test")
_ERRORS = ("squared_error", "absolute_error")
_RANKINGS = ("ndcg", "recall", "precision", "map", "hit_rate", "mrr")
# Rows held as Python objects at a time.
_ROWS_AT_ONCE = 20_000

_STORED = """
    select user_id, n_train_ratings, n_ratings, {columns}
    from user_results
    where trial_id = :trial_id and split = :split
        and sweep_id = (select trials.sweep_id from trials where trials.trial_id = :trial_id)
    order by user_id
"""
_HITS = text("""
    select user_results.user_id, hits.rank, hits.item_id
    from user_results
    cross join lateral unnest(user_results.hit_items, user_results.hit_ranks) with ordinality
        as hits (item_id, rank, number)
    where user_results.trial_id = :trial_id and user_results.split = :split
        and user_results.sweep_id = (select trials.sweep_id from trials where trials.trial_id = :trial_id)
    order by user_results.user_id, hits.number
""")
_PARTS = text("""
    select parts.split
    from (values ('validation'), ('test')) as parts (split)
    where exists (
        select from user_results
        where user_results.trial_id = :trial_id and user_results.split = parts.split
            and user_results.sweep_id = (select trials.sweep_id from trials where trials.trial_id = :trial_id)
    )
""")


@dataclass(frozen=True, eq=False)
class StoredUserResults:
    """Rows of one trial and one part of the split, in the order of user ids as bytes.

    user_ids: (n_users,) str      values: by name of the column, (n_users,) float64, NaN for null
    """

    user_ids: npt.NDArray[np.str_]
    n_train_ratings: npt.NDArray[np.int64]
    n_ratings: npt.NDArray[np.int64]
    values: Mapping[str, npt.NDArray[np.float64]]


def write_user_results(
    connection: Connection, claim: Claim, results: Mapping[str, UserResults], dataset: Dataset
) -> None:
    """Append the results of every part of the split, within the transaction of the trial's result."""
    for split, of_part in results.items():
        n_rows = len(of_part.user_index)
        columns: dict[str, Column] = {
            "sweep_id": np.full(n_rows, claim.sweep_id, np.int32),
            "trial_id": np.full(n_rows, claim.trial_id, np.int32),
            "split": Ids(np.array([split]), np.zeros(n_rows, np.int32)),
            "user_id": Ids(dataset.user_ids, of_part.user_index),
            "n_train_ratings": of_part.n_train_ratings.astype(np.int32),
            "n_ratings": of_part.n_ratings.astype(np.int32),
        }
        if of_part.squared_error is not None and of_part.absolute_error is not None:
            # Not nullable: a NaN is refused.
            columns["squared_error"] = of_part.squared_error.astype(np.float64)
            columns["absolute_error"] = of_part.absolute_error.astype(np.float64)
        for name in _RANKINGS:
            columns[name] = Nullable(of_part.rankings[name].astype(np.float32))
        hits = of_part.hits
        lengths = np.bincount(np.searchsorted(of_part.user_index, hits.user_index), minlength=n_rows)
        # Whoever has nothing to be found has no hits, not none.
        lengths[np.isnan(of_part.rankings["precision"])] = -1
        columns["hit_items"] = Arrays(Ids(dataset.item_ids, hits.item_index), lengths)
        columns["hit_ranks"] = Arrays(hits.rank.astype(np.int16), lengths)
        copy_rows(connection, "user_results", columns)


def stored_user_results(engine: Engine, trial_id: int, split: str, *columns: str) -> StoredUserResults:
    """The rows of one trial and part, with some columns (all by default); none where none were kept."""
    known = (*_ERRORS, *_RANKINGS)
    names = [name for name in known if name in columns] if columns else known
    query = text(_STORED.format(columns=", ".join(names)))
    user_ids: list[npt.NDArray[np.str_]] = [np.zeros(0, "U1")]
    numbers: list[npt.NDArray[np.float64]] = [np.zeros((0, 2 + len(names)))]
    with transaction(engine) as connection:
        streamed = connection.execution_options(stream_results=True, max_row_buffer=_ROWS_AT_ONCE)
        rows = streamed.execute(query, {"trial_id": trial_id, "split": split})
        for block in rows.partitions(_ROWS_AT_ONCE):
            user_ids.append(np.array([row[0] for row in block]))
            # None becomes NaN.
            numbers.append(np.array([row[1:] for row in block], np.float64))
    table = np.concatenate(numbers)
    return StoredUserResults(
        user_ids=np.concatenate(user_ids),
        n_train_ratings=table[:, 0].astype(np.int64),
        n_ratings=table[:, 1].astype(np.int64),
        values={name: _as_written(name, table[:, 2 + place]) for place, name in enumerate(names)},
    )


def stored_hits(engine: Engine, trial_id: int, split: str, dataset: Dataset) -> Hits:
    """The hits of one trial and part, as they were written; unknown ids are -1."""
    with transaction(engine) as connection:
        rows = connection.execute(_HITS, {"trial_id": trial_id, "split": split}).all()
    users = {user_id: place for place, user_id in enumerate(dataset.user_ids.tolist())}
    items = {item_id: place for place, item_id in enumerate(dataset.item_ids.tolist())}
    user_index = np.array([users.get(row.user_id, -1) for row in rows], np.int32)
    rank = np.array([row.rank for row in rows], np.int32)
    item_index = np.array([items.get(row.item_id, -1) for row in rows], np.int32)
    # Not by rank too: a list that is stored in another order is another list.
    order = np.argsort(user_index, kind="stable")
    return Hits(user_index[order], rank[order], item_index[order])


def _as_written(name: str, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The very number: of a real the server sends the shortest decimal that means it."""
    return values.astype(np.float32).astype(np.float64) if name in _RANKINGS else values.copy()


def parts_with_user_results(engine: Engine, trial_id: int) -> list[str]:
    """The parts of the split for which results of users were kept: none for trials of older versions."""
    with transaction(engine) as connection:
        found = set(connection.scalars(_PARTS, {"trial_id": trial_id}))
    return [split for split in _SPLITS if split in found]
