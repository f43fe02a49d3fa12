"""The role of analysts: reads results, writes nothing.

Only a superuser can take the making of large objects from a role; where DATABASE_URL names none, an analyst
who switches off the role's read-only default can still make some.
"""

from typing import cast

import psycopg2.extensions
from psycopg2 import sql
from sqlalchemy import Engine, text

from shared.store.database import transaction

ANALYST = "recsweep_analyst"

_EXISTS = text("select exists (select from pg_roles where rolname = :role)")
_PLACE = text("""
    select current_database(), current_schema(), rolsuper from pg_roles where rolname = current_user
""")
_CREATE = "create role {role} login password {verifier}"
_ALTER = "alter role {role} login password {verifier}"
# What every role may do by default and an analyst may not: make tables, temporary ones included, and large
# objects. Owners and superusers keep these rights.
_WITHDRAW = """
    revoke create on schema {schema} from public;
    revoke temporary on database {database} from public
"""
_WITHDRAW_LARGE_OBJECTS = """
    revoke execute on function
        pg_catalog.lo_creat(integer), pg_catalog.lo_create(oid), pg_catalog.lo_from_bytea(oid, bytea)
    from public
"""
# New partitions and views are readable as they are made, because the same owner makes them.
_GRANT = """
    grant connect on database {database} to {role};
    grant usage on schema {schema} to {role};
    grant select on all tables in schema {schema} to {role};
    alter default privileges in schema {schema} grant select on tables to {role}
"""
# A wrong query of an analyst must not keep the workers waiting.
_LIMIT = """
    alter role {role} set default_transaction_read_only = on;
    alter role {role} set statement_timeout = '5min';
    alter role {role} set idle_in_transaction_session_timeout = '5min'
"""


def grant_analyst(engine: Engine, password: str) -> None:
    """Make the role `recsweep_analyst`, or give it a new password, and let it read this database.

    Raises StoreError when the role of DATABASE_URL may not create roles.
    """
    with transaction(engine) as connection:
        raw_connection = cast(psycopg2.extensions.connection, connection.connection.driver_connection)
        # The server gets, and logs, a verifier instead of the password.
        verifier = psycopg2.extensions.encrypt_password(password, ANALYST, raw_connection, "scram-sha-256")
        exists = connection.scalar(_EXISTS, {"role": ANALYST})
        database, schema, is_superuser = connection.execute(_PLACE).one()
        names = {
            "role": sql.Identifier(ANALYST),
            "database": sql.Identifier(database),
            "schema": sql.Identifier(schema),
            "verifier": sql.Literal(verifier),
        }
        statements = [_ALTER if exists else _CREATE, _WITHDRAW, _GRANT, _LIMIT]
        if is_superuser:
            statements.append(_WITHDRAW_LARGE_OBJECTS)
        for statement in statements:
            connection.exec_driver_sql(sql.SQL(statement).format(**names).as_string(raw_connection))
