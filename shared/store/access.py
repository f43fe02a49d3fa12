"""The role of analysts: reads results, writes nothing.

It gets rights of its own and takes none from others. So it keeps what Postgres gives every role: temporary
tables, and large objects once the session has switched the role's read-only default off.
"""

from typing import cast

import psycopg2.extensions
from psycopg2 import sql
from sqlalchemy import Connection, Engine, text

from shared.store.database import transaction
from shared.store.grants import ANALYST, execute_named, grant_reading
from shared.store.schema import RESULT_TABLES, VIEWS

__all__ = ["ANALYST", "grant_analyst"]

_EXISTS = text("select exists (select from pg_roles where rolname = :role)")
_ENTER = """
    grant connect on database {database} to {role};
    grant usage on schema {schema} to {role}
"""
# A wrong query of an analyst must not keep the workers waiting.
_LIMIT = """
    alter role {role} set default_transaction_read_only = on;
    alter role {role} set statement_timeout = '5min';
    alter role {role} set idle_in_transaction_session_timeout = '5min'
"""
_IS_WIDE = text("""
    select exists (
        select from pg_default_acl as defaults
        join pg_namespace as schemas on schemas.oid = defaults.defaclnamespace
        join pg_roles as owners on owners.oid = defaults.defaclrole
        cross join aclexplode(defaults.defaclacl) as granted
        join pg_roles as grantees on grantees.oid = granted.grantee
        where owners.rolname = current_user and schemas.nspname = current_schema()
            and defaults.defaclobjtype = 'r'
            and grantees.rolname = :role and granted.privilege_type = 'SELECT'
    )
""")
_TOO_MUCH = text("""
    select distinct classes.relname
    from pg_class as classes
    join pg_namespace as schemas on schemas.oid = classes.relnamespace
    cross join aclexplode(classes.relacl) as granted
    join pg_roles as grantees on grantees.oid = granted.grantee
    join pg_roles as granting on granting.rolname = current_user
    left join pg_inherits as parts on parts.inhrelid = classes.oid and classes.relispartition
    left join pg_class as parents on parents.oid = parts.inhparent
    where schemas.nspname = current_schema() and classes.relkind in ('r', 'p', 'v', 'm', 'f')
        and coalesce(parents.relname, classes.relname) <> all(:ours)
        and grantees.rolname = :role and granted.privilege_type = 'SELECT'
        and (granted.grantor = granting.oid or granting.rolsuper)
    order by classes.relname
""")


def grant_analyst(engine: Engine, password: str) -> None:
    """Make the role `recsweep_analyst`, or give it a new password, and let it read the results here.

    Raises StoreError when the role of DATABASE_URL may not create roles.
    """
    with transaction(engine) as connection:
        _set_password(connection, password)
        _take_back_wide_grants(connection)
        execute_named(connection, _ENTER)
        grant_reading(connection, (*RESULT_TABLES, *VIEWS))
        execute_named(connection, _LIMIT)


def _set_password(connection: Connection, password: str) -> None:
    raw_connection = cast(psycopg2.extensions.connection, connection.connection.driver_connection)
    # The server gets, and logs, a verifier instead of the password.
    verifier = psycopg2.extensions.encrypt_password(password, ANALYST, raw_connection, "scram-sha-256")
    verb = "alter" if connection.scalar(_EXISTS, {"role": ANALYST}) else "create"
    statement = sql.SQL(verb + " role {role} login password {verifier}").format(
        role=sql.Identifier(ANALYST), verifier=sql.Literal(verifier)
    )
    connection.exec_driver_sql(statement.as_string(raw_connection))


def _take_back_wide_grants(connection: Connection) -> None:
    """Take back what version 0.1 gave too much: every table of the schema, and every later one.

    Its mark is the default privilege of the role that granted. With the mark goes select on all that is not
    ours, as far as this role granted it or, where it is a superuser, the owners in whose names it did.
    Without the mark nothing is taken: what was granted by hand since is meant.
    """
    if not connection.scalar(_IS_WIDE, {"role": ANALYST}):
        return
    execute_named(
        connection, "alter default privileges in schema {schema} revoke select on tables from {role}"
    )
    ours = [*RESULT_TABLES, *VIEWS]
    for name in connection.scalars(_TOO_MUCH, {"role": ANALYST, "ours": ours}).all():
        execute_named(connection, "revoke select on {schema}.{relation} from {role}", relation=name)
