"""The schema as migrations make it, and errors translated at the border."""

import socket
import threading

import pytest
from sqlalchemy import Engine, text

from shared.errors import StoreError, StoreUnavailable
from shared.store.database import SQL_FOLDER, create_engine, transaction
from shared.store.schema import VIEWS, upgrade_schema


def scalars(engine: Engine, statement: str) -> list[object]:
    with engine.begin() as connection:
        return list(connection.scalars(text(statement)))


def test_every_constraint_is_named_for_its_kind_and_table(engine):
    unnamed = r"""
        with constraints as (
            select
                pg_constraint.conname as name,
                case pg_constraint.contype
                    when 'c' then 'ck' when 'f' then 'fk' when 'p' then 'pk' when 'u' then 'uq'
                end || '\_' || pg_class.relname || '%' as pattern
            from pg_constraint
            join pg_class on pg_class.oid = pg_constraint.conrelid
            where pg_constraint.connamespace = 'public'::regnamespace and pg_constraint.contype <> 'n'
                and pg_class.relname <> 'alembic_version'
        )
        select name from constraints where pattern is null or name not like pattern
    """
    assert scalars(engine, unnamed) == []


def test_every_table_and_view_has_a_comment(engine):
    uncommented = """
        select pg_class.relname
        from pg_class
        where pg_class.relnamespace = 'public'::regnamespace and pg_class.relkind in ('r', 'p', 'v')
            and pg_class.relname <> 'alembic_version'
            and obj_description(pg_class.oid, 'pg_class') is null
    """
    assert scalars(engine, uncommented) == []


def test_every_column_of_a_table_has_a_comment(engine):
    uncommented = """
        select pg_class.relname || '.' || pg_attribute.attname
        from pg_class
        join pg_attribute on pg_attribute.attrelid = pg_class.oid and pg_attribute.attnum > 0
            and not pg_attribute.attisdropped
        where pg_class.relnamespace = 'public'::regnamespace and pg_class.relkind in ('r', 'p')
            and pg_class.relname <> 'alembic_version'
            and col_description(pg_class.oid, pg_attribute.attnum) is null
    """
    assert scalars(engine, uncommented) == []


def test_every_file_of_views_is_made(engine):
    views = scalars(engine, "select table_name from information_schema.views where table_schema = 'public'")
    assert (
        sorted(views) == sorted(VIEWS) == sorted(path.stem for path in (SQL_FOLDER / "views").glob("*.sql"))
    )


def test_upgrade_is_idempotent_and_leaves_unchanged_views_alone(engine):
    view_ids = (
        "select oid from pg_class where relkind = 'v' and relnamespace = 'public'::regnamespace order by 1"
    )
    before = scalars(engine, view_ids)
    upgrade_schema(engine)
    assert scalars(engine, view_ids) == before


def test_upgrade_makes_changed_views_anew_and_leaves_those_of_others(engine):
    with engine.begin() as connection:
        connection.execute(text("update installed_views set fingerprint = 'older'"))
        connection.execute(text("create view of_somebody_else as select 1 as number"))
    oids = "select oid from pg_class where relname = 'leaderboard'"
    before = scalars(engine, oids)
    upgrade_schema(engine)
    assert scalars(engine, oids) != before
    views = scalars(engine, "select table_name from information_schema.views where table_schema = 'public'")
    assert sorted(views) == sorted([*VIEWS, "of_somebody_else"])


def test_upgrade_refuses_to_drop_what_a_view_of_somebody_else_builds_on(engine):
    with engine.begin() as connection:
        connection.execute(text("update installed_views set fingerprint = 'older'"))
        connection.execute(text("create view mine as select label from leaderboard"))
    with pytest.raises(StoreError, match=r"cannot drop view leaderboard .* not ours"):
        upgrade_schema(engine)
    assert scalars(engine, "select count(*) from mine") == [0]


def test_two_upgrades_of_an_empty_database_at_once_take_turns(empty_database_url):
    engines = [create_engine(empty_database_url) for _ in range(2)]
    failures = []

    def upgrade(engine: Engine) -> None:
        try:
            upgrade_schema(engine)
        except StoreError as error:
            failures.append(error)

    threads = [threading.Thread(target=upgrade, args=(engine,)) for engine in engines]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert scalars(engines[0], "select version_num from alembic_version") == ["0010"]
    for engine in engines:
        engine.dispose()


def test_a_newer_schema_is_refused_with_the_remedy(engine):
    with engine.begin() as connection:
        connection.execute(text("update alembic_version set version_num = '9999'"))
    with pytest.raises(StoreError, match="use the newest code"):
        upgrade_schema(engine)


def test_an_unreachable_server_is_named_without_the_password():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        engine = create_engine(f"postgresql://someone:very-secret@127.0.0.1:{port}/results")
        with pytest.raises(StoreUnavailable) as raised, transaction(engine):
            pass
    assert f"127.0.0.1:{port}" in str(raised.value)
    assert "correct DATABASE_URL" in str(raised.value)
    assert "very-secret" not in str(raised.value)


def test_a_wrong_password_needs_a_person(engine):
    wrong = create_engine(engine.url.set(password="very-secret").render_as_string(hide_password=False))
    with pytest.raises(StoreError, match="refuses the connection") as raised, transaction(wrong):
        pass
    assert not isinstance(raised.value, StoreUnavailable)
    assert "very-secret" not in str(raised.value)


def test_a_lost_connection_is_told_apart_from_a_refused_statement(engine):
    with pytest.raises(StoreUnavailable), transaction(engine) as connection:
        connection.execute(text("select pg_terminate_backend(pg_backend_pid())"))
    with pytest.raises(StoreError) as raised, transaction(engine) as connection:
        connection.execute(text("select 1 / 0"))
    assert not isinstance(raised.value, StoreUnavailable)


def test_the_engine_works_again_after_a_lost_connection(engine):
    with pytest.raises(StoreUnavailable), transaction(engine) as connection:
        connection.execute(text("select pg_terminate_backend(pg_backend_pid())"))
    with transaction(engine) as connection:
        assert connection.scalar(text("select 1")) == 1


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("not a url with very-secret", "must have the form postgresql://"),
        ("mysql://someone:very-secret@host/results", "it starts with mysql://"),
        ("postgresql://someone:very-secret@host:port/results", "must have the form postgresql://"),
    ],
)
def test_a_url_of_another_form_is_refused_without_repeating_it(url, message):
    with pytest.raises(StoreError, match=message) as raised:
        create_engine(url)
    assert "very-secret" not in str(raised.value)


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg2"])
def test_every_way_to_write_a_postgres_url_is_understood(scheme):
    engine = create_engine(f"{scheme}://someone@host/results")
    assert engine.url.drivername == "postgresql+psycopg2"


def test_options_in_the_url_take_precedence(engine):
    url = engine.url.update_query_dict({"application_name": "mine", "options": "-c search_path=pg_catalog"})
    other = create_engine(url.render_as_string(hide_password=False))
    with transaction(other) as connection:
        assert connection.scalar(text("show application_name")) == "mine"
        assert connection.scalar(text("show search_path")) == "pg_catalog"
        assert connection.scalar(text("show idle_in_transaction_session_timeout")) == "1min"
    other.dispose()


def test_a_process_uses_at_most_two_connections(engine):
    assert engine.pool.size() + engine.pool._max_overflow == 2
