"""Users who were forgotten: removed from every list, and known from then on by a salted hash alone."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Engine, text

from shared.domain.records import ShapedModels
from shared.errors import StoreError
from shared.store.database import transaction
from shared.store.partitions import PARTITIONED_TABLES
from shared.store.serving import lock_datasets

_SALT = text("select cast(user_salt as text) from installation")
_HASHES = text("""
    select distinct forgotten_users.user_hash
    from forgotten_users
    join datasets using (dataset_id)
    where datasets.name = :name
""")
_ADD = text("""
    insert into forgotten_users (dataset_id, user_hash)
    select unnest(cast(:dataset_ids as integer[])), :user_hash
    on conflict do nothing
""")
_SWEEPS = text("""
    select sweeps.sweep_id, array_agg(trials.trial_id) as trial_ids
    from sweeps
    join datasets using (dataset_id)
    join trials using (sweep_id)
    where datasets.name = :name
    group by sweeps.sweep_id
    order by sweeps.sweep_id
""")
_OPEN = text("""
    select count(*)
    from trials
    join sweeps using (sweep_id)
    join datasets using (dataset_id)
    where datasets.name = :name and trials.status in ('queued', 'running')
""")
_LISTED = text("""
    select distinct sweeps.dataset_id
    from sweeps
    join trials using (sweep_id)
    join datasets using (dataset_id)
    where datasets.name = :name
        and (
            exists (
                select from recommendations
                where recommendations.sweep_id = sweeps.sweep_id
                    and recommendations.trial_id = trials.trial_id and recommendations.user_id = :user_id
            )
            or exists (
                select from rating_predictions
                where rating_predictions.sweep_id = sweeps.sweep_id
                    and rating_predictions.trial_id = trials.trial_id
                    and rating_predictions.user_id = :user_id
            )
        )
    order by sweeps.dataset_id
""")
_SHAPED = text("""
    select
        sweeps.sweep_id, sweeps.name as sweep_name,
        array_agg(trials.label order by trials.trial_id) as labels,
        array_remove(array_agg(serving_trials.label), null) as served
    from trials
    join sweeps using (sweep_id)
    left join serving_trials using (trial_id)
    where sweeps.dataset_id = any(:dataset_ids) and trials.status = 'succeeded'
    group by sweeps.sweep_id, sweeps.name
    order by sweeps.sweep_id
""")
_WHEN = text("""
    select datasets.fingerprint, max(forgotten_users.forgotten_at) as forgotten_at
    from forgotten_users
    join datasets using (dataset_id)
    group by datasets.fingerprint
    order by datasets.fingerprint
""")
_COUNT = text("select count(*) from forgotten_users where dataset_id = :dataset_id")


@dataclass(frozen=True)
class ForgottenUsers:
    """Whom a read of one data set leaves out: hashes of ids, and what they are salted with."""

    salt: str
    hashes: frozenset[str]

    def hold(self, user_id: str) -> bool:
        """Whether this user was forgotten."""
        return hash_user(self.salt, user_id) in self.hashes


def hash_user(salt: str, user_id: str) -> str:
    """64 hex digits; who has the salt can try all ids, who has not can tell nothing."""
    return hashlib.sha256(f"{salt}/{user_id}".encode()).hexdigest()


def forgotten_users(engine: Engine, dataset_name: str) -> ForgottenUsers:
    """The users of all versions of a data set who were forgotten."""
    with transaction(engine) as connection:
        hashes = frozenset(connection.scalars(_HASHES, {"name": dataset_name}))
        return ForgottenUsers(connection.execute(_SALT).scalar_one(), hashes)


def count_forgotten(engine: Engine, dataset_id: int) -> int:
    """How many users of one version of a data set were forgotten."""
    with transaction(engine) as connection:
        return int(connection.execute(_COUNT, {"dataset_id": dataset_id}).scalar_one())


def forgotten_at(engine: Engine) -> dict[str, datetime]:
    """When somebody of a version was last forgotten, by its fingerprint; older copies of it hold too much."""
    with transaction(engine) as connection:
        return {row.fingerprint: row.forgotten_at for row in connection.execute(_WHEN)}


def versions_with_lists(engine: Engine, dataset_name: str, user_id: str) -> list[int]:
    """The `dataset_id` of every version of which some trial has a list or predictions of this user."""
    with transaction(engine) as connection:
        return list(connection.scalars(_LISTED, {"name": dataset_name, "user_id": user_id}))


def check_nothing_open(engine: Engine, dataset_name: str) -> None:
    """Raise StoreError while trials of a data set are queued or running: they would write new lists."""
    with transaction(engine) as connection:
        _check_nothing_open(connection, dataset_name)


def forget_user(engine: Engine, dataset_name: str, user_id: str, dataset_ids: Sequence[int]) -> int:
    """Remove every list and result of a user, and note it for the versions that had the user; gives the rows.

    One transaction. Raises StoreError while trials of this data set are open.
    """
    with transaction(engine) as connection:
        lock_datasets(connection, [dataset_name])
        _check_nothing_open(connection, dataset_name)
        salt = connection.execute(_SALT).scalar_one()
        connection.execute(_ADD, {"dataset_ids": list(dataset_ids), "user_hash": hash_user(salt, user_id)})
        n_rows = 0
        for sweep in connection.execute(_SWEEPS, {"name": dataset_name}).all():
            key = {"sweep_id": sweep.sweep_id, "trial_ids": sweep.trial_ids, "user_id": user_id}
            for table in PARTITIONED_TABLES:
                delete = text(f"""
                    delete from {table}
                    where sweep_id = :sweep_id and trial_id = any(:trial_ids) and user_id = :user_id
                """)  # noqa: S608  Our own names of tables.
                n_rows += connection.execute(delete, key).rowcount
        return n_rows


def shaped_models(engine: Engine, dataset_ids: Sequence[int]) -> list[ShapedModels]:
    """The succeeded trials and refits of some versions, by sweep: what they learned stays in their models."""
    with transaction(engine) as connection:
        rows = connection.execute(_SHAPED, {"dataset_ids": list(dataset_ids)})
        return [
            ShapedModels(row.sweep_id, row.sweep_name, tuple(row.labels), tuple(row.served)) for row in rows
        ]


def _check_nothing_open(connection: Connection, dataset_name: str) -> None:
    n_open = connection.execute(_OPEN, {"name": dataset_name}).scalar_one()
    if n_open:
        raise StoreError(
            f"{n_open} trials on {dataset_name} are queued or running, and would write new lists: "
            "wait for them, or stop them with `make cancel`, then run this again"
        )
