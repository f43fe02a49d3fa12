"""What the role of analysts may read: some relations by name, in the schema that the connection uses."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import psycopg2.extensions
from psycopg2 import sql
from sqlalchemy import Connection, text

ANALYST = "recsweep_analyst"

_HELD = text("""
    select
        classes.relname,
        classes.oid,
        exists (
            select from aclexplode(classes.relacl) as granted
            where granted.grantee = roles.oid and granted.privilege_type = 'SELECT'
        )
    from pg_class as classes
    join pg_namespace as schemas on schemas.oid = classes.relnamespace
    join pg_roles as roles on roles.rolname = :role
    where schemas.nspname = current_schema() and classes.relname = any(:relations)
""")


@dataclass(frozen=True)
class Held:
    """One relation as it is now: dropped and made anew under its name, it has another `oid`."""

    oid: int
    is_readable: bool


def held_grants(connection: Connection, relations: Collection[str]) -> dict[str, Held]:
    """Those of the relations that are there, by name; empty when there is no role of analysts."""
    rows = connection.execute(_HELD, {"role": ANALYST, "relations": list(relations)})
    return {name: Held(oid, is_readable) for name, oid, is_readable in rows}


def grant_reading(connection: Connection, relations: Collection[str]) -> None:
    """Let analysts select from those of the relations that are there."""
    for name in sorted(held_grants(connection, relations)):
        execute_named(connection, "grant select on {schema}.{relation} to {role}", relation=name)


def renew_reading(connection: Connection, before: Mapping[str, Held], relations: Sequence[str]) -> None:
    """After an upgrade: a relation that was made anew is as readable as before, a new one as the others.

    What is still the same is left alone, so that a right that somebody took away stays away.
    """
    is_granted_here = any(held.is_readable for held in before.values())
    for name, held in held_grants(connection, relations).items():
        was_readable = before[name].is_readable if name in before else is_granted_here
        if was_readable and (name not in before or before[name].oid != held.oid):
            grant_reading(connection, [name])


def execute_named(connection: Connection, statement: str, **names: str) -> None:
    """Run a statement with {role}, {database}, {schema} and further names, each quoted."""
    raw_connection = cast(psycopg2.extensions.connection, connection.connection.driver_connection)
    database, schema = connection.execute(text("select current_database(), current_schema()")).one()
    names |= {"role": ANALYST, "database": database, "schema": schema}
    quoted = {key: sql.Identifier(name) for key, name in names.items()}
    connection.exec_driver_sql(sql.SQL(statement).format(**quoted).as_string(raw_connection))
