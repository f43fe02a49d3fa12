"""The role of analysts reads results and does nothing else."""

import contextlib
from collections.abc import Iterator

import psycopg2
import psycopg2.errors
import psycopg2.extensions
import pytest
from sqlalchemy import Engine, text

from shared.errors import StoreError
from shared.store import grant_analyst
from shared.store.access import ANALYST
from shared.store.database import create_engine, transaction
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


@pytest.fixture
def analyst(engine: Engine) -> Iterator[Engine]:
    grant_analyst(engine, "first-password")
    url = engine.url.set(username=ANALYST, password="first-password")
    analyst = create_engine(url.render_as_string(hide_password=False))
    yield analyst
    analyst.dispose()


def test_an_analyst_reads_tables_views_and_later_partitions(engine, analyst):
    sweep = store_sweep(engine, DATASET, [make_config()])
    store_result(engine, sweep.sweep_id, "concatenate_4_2_1", DATASET, make_result(DATASET))
    with transaction(analyst) as connection:
        for relation in (
            "best_recommendations",
            "recommendations",
            f"recommendations_sweep_{sweep.sweep_id}",
        ):
            assert connection.scalar(text(f"select count(*) from {relation}")) == 8
        assert connection.scalar(text("select count(*) from leaderboard")) == 1


@pytest.mark.parametrize(
    "statement",
    [
        "insert into metrics (trial_id, split, name, value) values (1, 'test', 'x', 1)",
        "update trials set status = 'queued'",
        "delete from sweeps",
        "truncate recommendations",
        "drop view leaderboard",
        "create table notes (note text)",
        "create temporary table notes (note text)",
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


def test_an_analyst_makes_no_large_objects_by_default(analyst):
    with pytest.raises(StoreError, match="read-only transaction"), transaction(analyst) as connection:
        connection.execute(text("select lo_create(0)"))


def test_an_analyst_makes_no_large_objects_at_all_when_a_superuser_granted(engine, analyst, postgres_server):
    url = engine.url.set(username="postgres", password=postgres_server.admin_password)
    admin = create_engine(url.render_as_string(hide_password=False))
    grant_analyst(admin, "first-password")
    with transaction(admin) as connection:
        stored = connection.scalar(
            text("select rolpassword from pg_authid where rolname = :role"), {"role": ANALYST}
        )
    admin.dispose()
    # The server never sees the password itself.
    assert str(stored).startswith("SCRAM-SHA-256$")
    with connected(analyst) as cursor, pytest.raises(psycopg2.errors.InsufficientPrivilege):
        cursor.execute("select lo_create(0)")


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
