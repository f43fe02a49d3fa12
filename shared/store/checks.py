"""Checks of the contract of recommendations, by SQL over a whole sweep (`sql/checks`, one rule a file)."""

from collections.abc import Collection, Sequence

import numpy as np
from sqlalchemy import Connection, Engine, text

from shared.datasets.dataset import Dataset
from shared.datasets.splits import Split
from shared.domain.protocol import parse_protocol
from shared.domain.records import Difference
from shared.errors import StoreError
from shared.store.copying import Ids, Numbers, copy_rows
from shared.store.database import SQL_FOLDER, transaction

_FOLDER = SQL_FOLDER / "checks"

# What the checks compare with; gone at the end of the transaction.
_TEMPORARY = """
    create temporary table checked_ratings (
        user_id text collate "C" not null, item_id text collate "C" not null, rating real not null
    ) on commit drop;
    create temporary table checked_candidates (item_id text collate "C" primary key) on commit drop;
    create temporary table checked_trials (trial_id integer primary key) on commit drop
"""
_SWEEP = text("""
    select sweeps.protocol, datasets.fingerprint
    from sweeps
    join datasets using (dataset_id)
    where sweeps.sweep_id = :sweep_id
""")
_LABELS = text("select trial_id, label from trials where trial_id = any(:trial_ids) order by trial_id")
_CHECK = text("insert into checked_trials (trial_id) select unnest(cast(:trial_ids as integer[]))")


def list_checks() -> list[tuple[str, str]]:
    """Name and rule of every check."""
    return [(path.stem, _rule(path.read_text("utf-8"))) for path in sorted(_FOLDER.glob("*.sql"))]


def verify_recommendations(
    engine: Engine,
    sweep_id: int,
    dataset: Dataset,
    split: Split,
    trial_ids: Sequence[int],
    *,
    rules: Collection[str] | None = None,
) -> list[Difference]:
    """What in the stored lists of some trials of a sweep breaks the contract; empty when nothing does.

    `split` is the one that these trials learned by: that of refits is another. `rules`: these alone, of data
    that were others when the trials learned. Raises StoreError when the sweep was run on other data.
    """
    differences = []
    with transaction(engine) as connection:
        sweep = connection.execute(_SWEEP, {"sweep_id": sweep_id}).first()
        if sweep is None or (rules is None and sweep.fingerprint != dataset.fingerprint):
            found = "there is no such sweep" if sweep is None else f"it was run on {sweep.fingerprint}"
            raise StoreError(f"sweep {sweep_id} cannot be verified with data {dataset.fingerprint}: {found}")
        min_support = parse_protocol(sweep.protocol).min_support
        _copy_expectations(connection, dataset, split, min_support)
        connection.execute(_CHECK, {"trial_ids": list(trial_ids)})
        trials = connection.execute(_LABELS, {"trial_ids": list(trial_ids)}).all()
        labels: dict[int, str] = {row.trial_id: row.label for row in trials}
        for name in [one for one, _ in list_checks() if rules is None or one in rules]:
            check = text((_FOLDER / f"{name}.sql").read_text("utf-8"))
            for row in connection.execute(check, {"sweep_id": sweep_id}):
                label = labels.get(row.trial_id, f"unknown trial {row.trial_id}")
                differences.append(Difference(name, label, row.n_rows, row.example))
    return sorted(differences, key=lambda difference: (difference.label, difference.check))


def _copy_expectations(connection: Connection, dataset: Dataset, split: Split, min_support: int) -> None:
    connection.exec_driver_sql(_TEMPORARY)
    ratings: dict[str, Numbers | Ids] = {
        "user_id": Ids(dataset.user_ids, dataset.user_index),
        "item_id": Ids(dataset.item_ids, dataset.item_index),
        "rating": dataset.ratings,
    }
    copy_rows(connection, "checked_ratings", ratings)
    support = np.bincount(dataset.item_index[split.train], minlength=dataset.n_items)
    candidates = np.flatnonzero(support >= min_support).astype(np.int32)
    copy_rows(connection, "checked_candidates", {"item_id": Ids(dataset.item_ids, candidates)})
    connection.exec_driver_sql("analyze checked_ratings, checked_candidates")


def _rule(source: str) -> str:
    return source.partition("\n")[0].removeprefix("-- ")
