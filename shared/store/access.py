"""The role of analysts, and that of the page, which is one of them: they read results and write nothing.

It gets rights of its own and takes none from others. So it keeps what Postgres gives every role: temporary
tables, and large objects once the session has switched the role's read-only default off.
"""

import hashlib
import hmac
import secrets
from typing import cast

import psycopg2.extensions
from psycopg2 import sql
from sqlalchemy import URL, Connection, Engine, text

from shared.store.database import transaction
from shared.store.grants import ANALYST, execute_named, grant_reading, held_grants
from shared.store.schema import RESULT_TABLES, VIEWS

__all__ = ["ANALYST", "PAGE_READER", "ensure_page_reader", "grant_analyst"]

# The page reads by a role of its own, so that a new password of the analysts does not shut it out.
PAGE_READER = "recsweep_page"
# Pages that start at once take turns. The number is our own choice, nothing else uses it.
_ROLES_LOCK = 7_032_021

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
_JOIN = """
    grant {role} to {reader};
    alter role {reader} set default_transaction_read_only = on;
    alter role {reader} set statement_timeout = '30s';
    alter role {reader} set idle_in_transaction_session_timeout = '1min'
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
        _let_read(connection)


def ensure_page_reader(engine: Engine) -> URL:
    """Make the role that the page reads by, a member of the analysts, and give how to connect as it.

    Its password follows from that of DATABASE_URL, so that nothing has to be kept, and several pages of one
    database agree; where that has none, it is a new one. A right that somebody took from the analysts stays
    taken. Raises StoreError when the role of DATABASE_URL may not create roles.
    """
    password = _page_password(engine.url)
    with transaction(engine) as connection:
        connection.execute(text("select pg_advisory_xact_lock(:lock)"), {"lock": _ROLES_LOCK})
        if not connection.scalar(_EXISTS, {"role": ANALYST}):
            execute_named(connection, "create role {role} nologin")
        if not any(held.is_readable for held in held_grants(connection, (*RESULT_TABLES, *VIEWS)).values()):
            _let_read(connection)
        _set_password(connection, password, PAGE_READER)
        execute_named(connection, _JOIN, reader=PAGE_READER)
    url = engine.url.difference_update_query(["user", "password"])
    return url.set(username=PAGE_READER, password=password)


def _page_password(url: URL) -> str:
    secret = str(url.password or url.query.get("password") or "")
    if not secret:
        return secrets.token_hex(32)
    return hmac.new(secret.encode(), PAGE_READER.encode(), hashlib.sha256).hexdigest()


def _let_read(connection: Connection) -> None:
    execute_named(connection, _ENTER)
    grant_reading(connection, (*RESULT_TABLES, *VIEWS))
    execute_named(connection, _LIMIT)


def _set_password(connection: Connection, password: str, role: str = ANALYST) -> None:
    raw_connection = cast(psycopg2.extensions.connection, connection.connection.driver_connection)
    # The server gets, and logs, a verifier instead of the password.
    verifier = psycopg2.extensions.encrypt_password(password, role, raw_connection, "scram-sha-256")
    verb = "alter" if connection.scalar(_EXISTS, {"role": role}) else "create"
    statement = sql.SQL(verb + " role {role} login password {verifier}").format(
        role=sql.Identifier(role), verifier=sql.Literal(verifier)
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
