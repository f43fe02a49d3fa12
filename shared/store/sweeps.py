"""Sweeps, and the partitions that hold their recommendations."""

from typing import Any, cast

import psycopg2.extensions
from psycopg2 import sql
from sqlalchemy import Connection, Engine, Row, Select, insert, select, text

from shared.domain.architecture import canonical_hash
from shared.domain.protocol import Protocol, parse_protocol
from shared.domain.records import Sweep
from shared.errors import StoreError
from shared.store.database import transaction
from shared.tables import datasets, sweeps

PARTITIONED_TABLES = ("recommendations", "rating_predictions")


def create_sweep(  # noqa: PLR0917  The columns of a sweep; each is required.
    engine: Engine,
    name: str,
    dataset_id: int,
    spec: dict[str, Any],
    protocol: Protocol,
    code_version: str,
) -> Sweep:
    """Store a new sweep beside older ones of its name, with a partition for its recommendations."""
    with transaction(engine) as connection:
        return _create(connection, name, dataset_id, spec=spec, protocol=protocol, code_version=code_version)


def ensure_sweep(  # noqa: PLR0917  The columns of a sweep; each is required.
    engine: Engine,
    name: str,
    dataset_id: int,
    spec: dict[str, Any],
    protocol: Protocol,
    code_version: str,
) -> Sweep:
    """The newest sweep of this name, data set and protocol, created if there is none.

    Two schedulers that ask at the same time get the same sweep.
    """
    with transaction(engine) as connection:
        key = f"{name}/{dataset_id}/{protocol.protocol_hash}"
        connection.execute(text("select pg_advisory_xact_lock(hashtextextended(:key, 0))"), {"key": key})
        row = connection.execute(_newest(name, dataset_id, protocol.protocol_hash)).first()
        if row is not None:
            return _sweep(row)
        return _create(connection, name, dataset_id, spec=spec, protocol=protocol, code_version=code_version)


def find_sweep(engine: Engine, name: str, dataset_id: int, protocol_hash: str) -> Sweep | None:
    """The newest sweep of this name, data set and protocol."""
    with transaction(engine) as connection:
        row = connection.execute(_newest(name, dataset_id, protocol_hash)).first()
    return None if row is None else _sweep(row)


def get_sweep(engine: Engine, sweep_id: int) -> Sweep:
    """The sweep of this id; raises StoreError when there is none."""
    with transaction(engine) as connection:
        row = connection.execute(_sweeps().where(sweeps.c.sweep_id == sweep_id)).first()
    if row is None:
        raise StoreError(f"there is no sweep {sweep_id} in the database: see `make status`")
    return _sweep(row)


def latest_sweep(engine: Engine, name: str | None = None) -> Sweep | None:
    """The newest sweep, of any name if none is given."""
    stored = list_sweeps(engine, name)
    return stored[0] if stored else None


def list_sweeps(engine: Engine, name: str | None = None) -> list[Sweep]:
    """All sweeps, newest first, of any name if none is given."""
    query = _sweeps().where(sweeps.c.name == name) if name is not None else _sweeps()
    with transaction(engine) as connection:
        return [_sweep(row) for row in connection.execute(query)]


def prune_sweeps(engine: Engine, sweep_ids: list[int]) -> None:
    """Remove sweeps with all that belongs to them; instant, because partitions are dropped whole.

    Raises StoreError, and removes nothing, when one of them holds the promoted trial of a data set.
    """
    with transaction(engine) as connection:
        # Waiting for a long query, it makes every reader and writer wait behind it: not for long.
        connection.execute(text("set local lock_timeout = '10s'"))
        _refuse_promoted(connection, sweep_ids)
        for sweep_id in sweep_ids:
            for table in PARTITIONED_TABLES:
                _execute(connection, sql.SQL("drop table if exists {}").format(_partition(table, sweep_id)))
        connection.execute(sweeps.delete().where(sweeps.c.sweep_id.in_(sweep_ids)))


def _refuse_promoted(connection: Connection, sweep_ids: list[int]) -> None:
    query = text("""
        with in_force as (
            select distinct on (dataset_id) trial_id
            from promotions
            order by dataset_id, promotion_id desc
        )
        select trials.label, trials.sweep_id
        from in_force
        join trials using (trial_id)
        where trials.sweep_id = any(:sweep_ids)
        order by trials.trial_id
    """)
    row = connection.execute(query, {"sweep_ids": sweep_ids}).first()
    if row is not None:
        raise StoreError(
            f"sweep {row.sweep_id} cannot be pruned: its trial {row.label} is promoted;"
            " roll the promotion back or keep the sweep"
        )


def _newest(name: str, dataset_id: int, protocol_hash: str) -> Select[Any]:
    return (
        _sweeps()
        .where(
            sweeps.c.name == name, sweeps.c.dataset_id == dataset_id, sweeps.c.protocol_hash == protocol_hash
        )
        .limit(1)
    )


def _sweeps() -> Select[Any]:
    columns = (
        *(sweeps, datasets.c.name.label("dataset_name")),
        *(datasets.c.fingerprint, datasets.c.is_synthetic),
    )
    return select(*columns).join(datasets).order_by(sweeps.c.sweep_id.desc())


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
    )


def _create(
    connection: Connection,
    name: str,
    dataset_id: int,
    *,
    spec: dict[str, Any],
    protocol: Protocol,
    code_version: str,
) -> Sweep:
    row = {
        "name": name,
        "dataset_id": dataset_id,
        "spec": spec,
        "spec_hash": canonical_hash(spec),
        "protocol": protocol.canonical,
        "protocol_hash": protocol.protocol_hash,
        "code_version": code_version,
    }
    sweep_id = connection.execute(insert(sweeps).values(row).returning(sweeps.c.sweep_id)).scalar_one()
    for table in PARTITIONED_TABLES:
        _add_partition(connection, table, sweep_id)
    return _sweep(connection.execute(_sweeps().where(sweeps.c.sweep_id == sweep_id)).one())


def _add_partition(connection: Connection, table: str, sweep_id: int) -> None:
    # Made first and attached then: `create table … partition of` would wait for every running COPY.
    names = {"parent": sql.Identifier(table), "partition": _partition(table, sweep_id)}
    make = sql.SQL("create table {partition} (like {parent} including all)")
    attach = sql.SQL("alter table {parent} attach partition {partition} for values in ({sweep_id})")
    _execute(connection, make.format(**names))
    _execute(connection, attach.format(**names, sweep_id=sql.Literal(sweep_id)))


def _partition(table: str, sweep_id: int) -> sql.Identifier:
    return sql.Identifier(f"{table}_sweep_{int(sweep_id)}")


def _execute(connection: Connection, statement: sql.Composable) -> None:
    raw_connection = cast(psycopg2.extensions.connection, connection.connection.driver_connection)
    connection.exec_driver_sql(statement.as_string(raw_connection))
