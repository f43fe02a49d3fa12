"""The role of analysts reads results and does nothing else."""

import contextlib
from collections.abc import Iterator

import psycopg2
import psycopg2.errors
import psycopg2.extensions
import pytest
from sqlalchemy import Engine, text

from scheduler.machine.postgres import ADMIN, PostgresServer
from shared.errors import StoreError
from shared.store import grant_analyst
from shared.store.access import ANALYST
from shared.store.database import create_engine, transaction
from shared.store.schema import RESULT_TABLES, VIEWS, upgrade_schema
from tests.factories import make_config, make_dataset, make_result, store_result, store_sweep

DATASET = make_dataset()


@contextlib.contextmanager
def connected(engine: Engine) -> Iterator[psycopg2.extensions.cursor]:
    """A session that has switched the role's read-only default off, and commits each statement."""
    url = engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    with contextlib.closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        cursor.execute("set default_transaction_read_only = off")
        yield cursor


@contextlib.contextmanager
def granted(engine: Engine) -> Iterator[Engine]:
    """The analyst, after a grant by the role of this engine."""
    grant_analyst(engine, "first-password")
    url = engine.url.set(username=ANALYST, password="first-password")
    analyst = create_engine(url.render_as_string(hide_password=False))
    yield analyst
    analyst.dispose()


@pytest.fixture
def analyst(engine: Engine) -> Iterator[Engine]:
    with granted(engine) as analyst:
        yield analyst


def superuser(engine: Engine, postgres_server: PostgresServer) -> Engine:
    url = engine.url.set(username=ADMIN, password=postgres_server.admin_password)
    return create_engine(url.render_as_string(hide_password=False))


def execute(engine: Engine, *statements: str) -> None:
    with engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def may_read(analyst: Engine, relation: str) -> bool:
    try:
        with transaction(analyst) as connection:
            connection.execute(text(f"select from {relation} limit 1"))
    except StoreError as error:
        assert "permission denied for" in str(error), error
        return False
    return True


def test_an_analyst_reads_all_results_and_those_of_later_sweeps(engine, analyst):
    assert all(may_read(analyst, relation) for relation in (*RESULT_TABLES, *VIEWS))
    sweep = store_sweep(engine, DATASET, [make_config()])
    store_result(engine, sweep.sweep_id, "concatenate_4_2_1", DATASET, make_result(DATASET))
    with transaction(analyst) as connection:
        # The partition of the sweep is newer than the grant: it is read by way of its table.
        for relation in ("recommendations", "rating_predictions", "best_recommendations"):
            assert connection.scalar(text(f"select count(*) from {relation}")) == 8
        assert connection.scalar(text("select count(*) from leaderboard")) == 1


def test_every_table_is_of_results_or_of_upgrades(engine):
    """A new table belongs into RESULT_TABLES, or into this list."""
    with engine.connect() as connection:
        tables = connection.scalars(text("select tablename from pg_tables where schemaname = 'public'")).all()
    others = {"installation", "installed_views", "alembic_version", "forgotten_users"}
    assert set(tables) == {*RESULT_TABLES, *others}


def test_an_analyst_reads_nothing_that_is_not_ours(engine):
    execute(engine, "create table wages (wage integer)", "create view of_wages as select wage from wages")
    with granted(engine) as analyst:
        execute(engine, "create table later (wage integer)")
        relations = ("wages", "of_wages", "later", "installed_views", "alembic_version")
        assert not any(may_read(analyst, relation) for relation in relations)


def rights_of_others(engine: Engine) -> list[object]:
    """Every right that is not the analyst's: on database, schemas, relations, functions, and by default."""
    statement = text("""
        with lists as (
            select 'database ' || datname as name, coalesce(datacl, acldefault('d', datdba)) as acl
            from pg_database where datname = current_database()
            union all select 'schema ' || oid, coalesce(nspacl, acldefault('n', nspowner)) from pg_namespace
            union all select 'relation ' || oid, coalesce(relacl, acldefault('r', relowner)) from pg_class
            union all select 'function ' || oid, coalesce(proacl, acldefault('f', proowner)) from pg_proc
            union all select 'default ' || oid, defaclacl from pg_default_acl
        )
        select name, granted.grantee, granted.privilege_type, granted.is_grantable
        from lists cross join aclexplode(acl) as granted
        where granted.grantee not in (select oid from pg_roles where rolname = 'recsweep_analyst')
        order by 1, 2, 3
    """)
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(statement)]


@pytest.mark.parametrize("as_superuser", [False, True])
def test_a_grant_changes_no_right_of_anybody_else(engine, postgres_server, as_superuser):
    execute(engine, "create table wages (wage integer)")
    before = rights_of_others(engine)
    granting = superuser(engine, postgres_server) if as_superuser else engine
    with granted(granting):
        assert rights_of_others(engine) == before


# What `make analyst` of version 0.1 ran.
WIDE = (
    "grant select on all tables in schema public to recsweep_analyst",
    "alter default privileges in schema public grant select on tables to recsweep_analyst",
)


@pytest.mark.parametrize("as_superuser", [False, True])
def test_the_wide_grants_of_version_0_1_are_taken_back_once(engine, analyst, postgres_server, as_superuser):
    granting = superuser(engine, postgres_server) if as_superuser else engine
    execute(engine, "create table wages (wage integer)", "create table rates (rate integer)")
    execute(granting, *WIDE, "create table later (wage integer)")
    not_ours = ("wages", "rates", "later", "installed_views", "alembic_version")
    assert all(may_read(analyst, relation) for relation in not_ours)
    store_sweep(engine, DATASET, [make_config()])
    with granted(granting):
        assert not any(may_read(analyst, relation) for relation in not_ours)
        execute(granting, "create table latest (wage integer)")
        assert not may_read(analyst, "latest")
        assert all(may_read(analyst, relation) for relation in (*RESULT_TABLES, *VIEWS))
    # What is granted by hand from now on is meant.
    execute(engine, "grant select on wages to recsweep_analyst")
    with granted(granting):
        assert may_read(analyst, "wages")


def test_what_another_role_granted_stays(engine, analyst, postgres_server):
    admin = superuser(engine, postgres_server)
    execute(admin, "create table theirs (number integer)", "grant select on theirs to recsweep_analyst")
    execute(engine, WIDE[1])
    with granted(engine):
        assert may_read(analyst, "theirs")


def test_an_upgrade_leaves_an_analyst_able_to_read(engine, analyst):
    execute(
        engine,
        "drop view best_recommendations",
        "revoke select on leaderboard, attempts from recsweep_analyst",
        "update installed_views set fingerprint = 'older'",
    )
    upgrade_schema(engine)
    # Made anew, and new to this database.
    assert may_read(analyst, "sweep_progress")
    assert may_read(analyst, "best_recommendations")
    # Taken away by hand.
    assert not may_read(analyst, "leaderboard")
    assert not may_read(analyst, "attempts")


def test_an_upgrade_grants_nothing_where_nobody_asked_for_an_analyst(engine, analyst, empty_database_url):
    elsewhere = create_engine(empty_database_url)
    upgrade_schema(elsewhere)
    url = elsewhere.url.set(username=ANALYST, password="first-password")
    other = create_engine(url.render_as_string(hide_password=False))
    assert not any(may_read(other, relation) for relation in (*RESULT_TABLES, *VIEWS))
    other.dispose()
    elsewhere.dispose()


@pytest.mark.parametrize(
    "statement",
    [
        "insert into metrics (trial_id, split, name, value) values (1, 'test', 'x', 1)",
        "update trials set status = 'queued'",
        "delete from sweeps",
        "truncate recommendations",
        "drop view leaderboard",
        "create table notes (note text)",
        "create schema notes",
        "create database notes",
        "create role somebody",
        "alter role recsweep_analyst superuser",
        "select pg_read_file('postgresql.conf')",
        "copy trials to '/tmp/trials.csv'",
        "copy trials to program 'cat'",
        "select rolpassword from pg_authid",
        "show hba_file",
        "alter system set work_mem = '1GB'",
        "select pg_terminate_backend(pid) from pg_stat_activity where usename <> current_user and pid <> 0",
        "select setval(pg_get_serial_sequence('trials', 'trial_id'), 1)",
    ],
)
def test_an_analyst_can_do_nothing_else(analyst, statement):
    with connected(analyst) as cursor, pytest.raises(psycopg2.errors.InsufficientPrivilege):
        cursor.execute(statement)


@pytest.mark.parametrize("statement", ["select lo_create(0)", "create temporary table notes (note text)"])
def test_an_analyst_makes_no_large_objects_or_temporary_tables_by_default(analyst, statement):
    with pytest.raises(StoreError, match="read-only transaction"), transaction(analyst) as connection:
        connection.execute(text(statement))


def test_the_server_never_sees_the_password(engine, analyst, postgres_server):
    with transaction(superuser(engine, postgres_server)) as connection:
        statement = text("select rolpassword from pg_authid where rolname = :role")
        assert str(connection.scalar(statement, {"role": ANALYST})).startswith("SCRAM-SHA-256$")


def test_transactions_of_an_analyst_are_read_only_by_default(analyst):
    with transaction(analyst) as connection:
        assert connection.scalar(text("show transaction_read_only")) == "on"


def test_settings_with_secrets_are_hidden(analyst):
    with transaction(analyst) as connection:
        hidden = connection.scalar(
            text(
                "select count(*) from pg_settings where name in ('hba_file', 'data_directory', 'config_file')"
            )
        )
    assert hidden == 0


def test_a_second_grant_changes_the_password(engine, analyst):
    grant_analyst(engine, "second-password")
    url = engine.url.set(username=ANALYST, password="second-password")
    changed = create_engine(url.render_as_string(hide_password=False))
    with transaction(changed) as connection:
        assert connection.scalar(text("select current_user")) == ANALYST
    changed.dispose()
