"""Sweeps: create, find, list, note their end."""

from typing import Any

from sqlalchemy import Connection, Engine, Row, bindparam, text
from sqlalchemy.dialects.postgresql import JSONB

from shared.domain.identity import canonical_hash
from shared.domain.protocol import Protocol, parse_protocol
from shared.domain.records import Sweep
from shared.errors import StoreError
from shared.store.database import transaction
from shared.store.partitions import add_partitions

_SELECT = """
    select
        sweeps.sweep_id, sweeps.name, sweeps.dataset_id, sweeps.protocol, sweeps.code_version,
        sweeps.created_at, sweeps.is_refresh, sweeps.lists_kept, sweeps.spec, sweeps.growing_since,
        datasets.name as dataset_name, datasets.fingerprint, datasets.is_synthetic
    from sweeps
    join datasets using (dataset_id)
"""
_ALL = text(_SELECT + "order by sweeps.sweep_id desc")
_OF_NAME = text(_SELECT + "where sweeps.name = :name order by sweeps.sweep_id desc")
_OF_ID = text(_SELECT + "where sweeps.sweep_id = :sweep_id")
_NEWEST = text(
    _SELECT
    + """
    where sweeps.name = :name and sweeps.dataset_id = :dataset_id and sweeps.protocol_hash = :protocol_hash
        and not sweeps.is_refresh
    order by sweeps.sweep_id desc
    limit 1
"""
)
_INSERT = text("""
    insert into sweeps (
        name, dataset_id, spec, spec_hash, protocol, protocol_hash, code_version, lists_kept, is_refresh
    )
    values (
        :name, :dataset_id, :spec, :spec_hash, :protocol, :protocol_hash, :code_version, :lists_kept,
        :is_refresh
    )
    returning sweep_id
""").bindparams(bindparam("spec", type_=JSONB), bindparam("protocol", type_=JSONB))
_ASK_AGAIN = text("""
    update sweeps set lists_kept = :lists_kept, spec = :spec, spec_hash = :spec_hash
    where sweep_id = :sweep_id
        and (lists_kept is distinct from :lists_kept or spec_hash is distinct from :spec_hash)
""").bindparams(bindparam("spec", type_=JSONB))
# A cancelled trial waits for `make sweep`: its sweep has not ended. A refit changes nothing of that.
_MARK_ENDED = text("""
    update sweeps set ended_at = now()
    where ended_at is null and growing_since is null
        and exists (
            select from trials where trials.sweep_id = sweeps.sweep_id and trials.refit_of is null
        )
        and not exists (
            select from trials
            where trials.sweep_id = sweeps.sweep_id and trials.refit_of is null
                and trials.status not in ('succeeded', 'failed', 'stopped')
        )
""")


def create_sweep(  # noqa: PLR0917  The columns of a sweep; each is required.
    engine: Engine,
    name: str,
    dataset_id: int,
    spec: dict[str, Any],
    protocol: Protocol,
    code_version: str,
    lists_kept: int | None = None,
) -> Sweep:
    """Store a new sweep beside older ones of its name, with room for its lists.

    `lists_kept`: of how many of its best trials they are kept; None: of all.
    """
    with transaction(engine) as connection:
        return add_sweep(
            connection,
            name,
            dataset_id,
            spec=spec,
            protocol=protocol,
            code_version=code_version,
            lists_kept=lists_kept,
        )


def ensure_sweep(  # noqa: PLR0917  The columns of a sweep; each is required.
    engine: Engine,
    name: str,
    dataset_id: int,
    spec: dict[str, Any],
    protocol: Protocol,
    code_version: str,
    lists_kept: int | None = None,
) -> Sweep:
    """The newest sweep of this name, data set and protocol, created if there is none.

    Two schedulers that ask at the same time get the same sweep. It keeps as many lists, and
    grows by what, the last one said.
    """
    with transaction(engine) as connection:
        key = f"{name}/{dataset_id}/{protocol.protocol_hash}"
        connection.execute(text("select pg_advisory_xact_lock(hashtextextended(:key, 0))"), {"key": key})
        row = _newest(connection, name, dataset_id, protocol.protocol_hash)
        if row is not None:
            again = {
                "sweep_id": row.sweep_id,
                "lists_kept": lists_kept,
                "spec": spec,
                "spec_hash": canonical_hash(spec),
            }
            connection.execute(_ASK_AGAIN, again)
            return _sweep(connection.execute(_OF_ID, again).one())
        return add_sweep(
            connection,
            name,
            dataset_id,
            spec=spec,
            protocol=protocol,
            code_version=code_version,
            lists_kept=lists_kept,
        )


def find_sweep(engine: Engine, name: str, dataset_id: int, protocol_hash: str) -> Sweep | None:
    """The newest sweep of this name, data set and protocol."""
    with transaction(engine) as connection:
        row = _newest(connection, name, dataset_id, protocol_hash)
    return None if row is None else _sweep(row)


def get_sweep(engine: Engine, sweep_id: int) -> Sweep:
    """The sweep of this id; raises StoreError when there is none."""
    with transaction(engine) as connection:
        row = connection.execute(_OF_ID, {"sweep_id": sweep_id}).first()
    if row is None:
        raise StoreError(f"there is no sweep {sweep_id} in the database: see `make status`")
    return _sweep(row)


def latest_sweep(engine: Engine, name: str | None = None) -> Sweep | None:
    """The newest sweep of a sweep file, of any name if none is given: a refresh is none."""
    return next((one for one in list_sweeps(engine, name) if not one.is_refresh), None)


def list_sweeps(engine: Engine, name: str | None = None) -> list[Sweep]:
    """All sweeps, refreshes too, newest first, of any name if none is given."""
    with transaction(engine) as connection:
        rows = connection.execute(_ALL if name is None else _OF_NAME, {"name": name})
        return [_sweep(row) for row in rows]


def mark_ended_sweeps(engine: Engine) -> None:
    """Note which sweeps have ended for the first time; the leader of such a sweep may be served."""
    with transaction(engine) as connection:
        connection.execute(_MARK_ENDED)


def _newest(connection: Connection, name: str, dataset_id: int, protocol_hash: str) -> Row[Any] | None:
    key = {"name": name, "dataset_id": dataset_id, "protocol_hash": protocol_hash}
    return connection.execute(_NEWEST, key).first()


def read_sweep(connection: Connection, sweep_id: int) -> Sweep:
    """The sweep of this id, which exists, within the transaction of the caller."""
    return _sweep(connection.execute(_OF_ID, {"sweep_id": sweep_id}).one())


def _sweep(row: Row[Any]) -> Sweep:
    return Sweep(
        sweep_id=row.sweep_id,
        name=row.name,
        dataset_id=row.dataset_id,
        dataset_name=row.dataset_name,
        fingerprint=row.fingerprint,
        is_synthetic=row.is_synthetic,
        protocol=parse_protocol(row.protocol),
        code_version=row.code_version,
        created_at=row.created_at,
        spec=row.spec,
        growing_since=row.growing_since,
        lists_kept=row.lists_kept,
        is_refresh=row.is_refresh,
    )


def add_sweep(
    connection: Connection,
    name: str,
    dataset_id: int,
    *,
    spec: dict[str, Any],
    protocol: Protocol,
    code_version: str,
    lists_kept: int | None = None,
    is_refresh: bool = False,
) -> Sweep:
    """Store a sweep with its partitions, within the transaction of the caller."""
    row = {
        "name": name,
        "dataset_id": dataset_id,
        "spec": spec,
        "spec_hash": canonical_hash(spec),
        "protocol": protocol.canonical,
        "protocol_hash": protocol.protocol_hash,
        "code_version": code_version,
        "lists_kept": lists_kept,
        "is_refresh": is_refresh,
    }
    sweep_id = connection.execute(_INSERT, row).scalar_one()
    add_partitions(connection, sweep_id, lists_kept)
    return _sweep(connection.execute(_OF_ID, {"sweep_id": sweep_id}).one())
