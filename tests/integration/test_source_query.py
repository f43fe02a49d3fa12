"""Ratings from a query on a real Postgres that is not ours: read by a cursor, never written."""

import psycopg2
import pytest
import sqlalchemy

from shared.datasets.sources import query as query_module
from shared.errors import DatasetError
from tests.sources import read_source, read_with_notices, rows_of

N_RATINGS = 10_000


@pytest.fixture
def shop(empty_database_url, monkeypatch):
    """The URL of a shop's database, in SHOP_URL too."""
    # A person has no reason to name the driver.
    url = empty_database_url.replace("+psycopg2", "")
    with psycopg2.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute(
            "create table sales"
            " (client uuid, sku numeric(20), stars numeric(3, 1), at timestamptz, note text);"
            "insert into sales"
            " select md5((n % 500)::text)::uuid, n, n % 10 / 2.0 + 0.5,"
            f"  timestamptz '2024-01-31 12:00:00Z' + n * interval '1 second', '50 %: ' || n"
            f"  from generate_series(1, {N_RATINGS}) as n;"
            "create sequence bills;"
            "create table goods (sku numeric(20), name text, brand text);"
            "insert into goods select n, 'Good ' || n, 'B' from generate_series(1, 10) as n;"
        )
    connection.close()
    monkeypatch.setenv("SHOP_URL", url)
    return url


def source(query, more=""):
    return f"[ratings]\ndatabase_url_env = \"SHOP_URL\"\nquery = '''{query}'''\n{more}"


ALL = (
    "select client as user_id, sku, stars, at as time from sales"
    " where note like '50 %: %' and sku::int > 0 order by sku"
)


def test_a_query_gives_ratings_items_and_users_of_any_type(shop, tmp_path):
    items = (
        '[items]\ndatabase_url_env = "SHOP_URL"\nquery = "select sku as id, name, brand from goods"\n'
        'features = ["brand"]\n'
    )
    dataset, notices = read_with_notices(tmp_path / "shop.toml", source(ALL, items))
    assert (dataset.name, dataset.n_ratings, dataset.n_users) == ("shop", N_RATINGS, 500)
    # Row 1: user md5('1') rated item 1 with 1 / 2 + 0.5 stars, a second after noon of 2024-01-31.
    assert rows_of(dataset)[0] == ("c4ca4238-a0b9-2382-0dcc-509a6f75849b", "1", 1.0)
    assert dataset.timestamps[0] == 19_753 * 86_400 + 43_200 + 1
    assert (dataset.titles[0], dataset.genres[0], dataset.titles[10]) == ("Good 1", "brand B", "")
    assert notices == ("9,990 of 10,000 rated items are not in the item file and have no title, such as 100",)


def test_rows_come_by_a_cursor_of_the_server(shop, tmp_path, monkeypatch):
    monkeypatch.setattr(query_module, "_BATCH_ROWS", 1_000)
    cursors = []

    class Cursor(psycopg2.extensions.cursor):
        def __init__(self, *args, **options):
            super().__init__(*args, **options)
            cursors.append(self.name)

    create = sqlalchemy.create_engine
    monkeypatch.setattr(
        query_module,
        "create_engine",
        lambda url, connect_args: create(url, connect_args={**connect_args, "cursor_factory": Cursor}),
    )
    assert read_source(tmp_path / "shop.toml", source(ALL)).n_ratings == N_RATINGS
    assert any(cursors), "no cursor has a name"


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("select nothing from sales", 'query on SHOP_URL ended: column "nothing" does not exist'),
        ("delete from sales returning client as user, sku, stars", 'syntax error at or near "delete"'),
        (
            "select client as user, nextval('bills') as sku, 1 as stars from sales",
            "in a read-only transaction",
        ),
        ("select client as user, sku, stars / 0 as stars from sales", "ended: division by zero"),
        ("select client as user, sku, stars from sales limit 1", "query of ratings: at least 2 ratings"),
        ("select client as user, sku, null as stars from sales", "query of ratings, row 1: a rating is a"),
        ("select client as kunde, sku, stars from sales", "which column of .* is the user"),
    ],
)
def test_a_query_that_cannot_be_is_told_and_changes_nothing(shop, tmp_path, query, message):
    with pytest.raises(DatasetError, match=message) as error:
        read_source(tmp_path / "shop.toml", source(query))
    assert str(error.value).startswith(f"{tmp_path}/shop.toml")
    assert "\n" not in str(error.value)
    assert read_source(tmp_path / "all.toml", source(ALL)).n_ratings == N_RATINGS


def test_a_database_that_goes_away_meanwhile_is_told(shop, tmp_path, monkeypatch):
    monkeypatch.setattr(query_module, "_BATCH_ROWS", 1_000)
    column, n_columns = query_module._column, []

    def end_after_two_batches(values):
        n_columns.append(None)
        if len(n_columns) == 8:
            with psycopg2.connect(shop) as killer, killer.cursor() as cursor:
                cursor.execute(
                    "select pg_terminate_backend(pid) from pg_stat_activity"
                    " where datname = current_database() and pid <> pg_backend_pid()"
                )
            killer.close()
        return column(values)

    monkeypatch.setattr(query_module, "_column", end_after_two_batches)
    with pytest.raises(DatasetError, match=r"query on SHOP_URL ended after 2,000 rows: .*nothing was stored"):
        read_source(tmp_path / "shop.toml", source(ALL))


@pytest.mark.parametrize(
    ("url", "message"),
    [
        (None, "SHOP_URL, which is not set. Set it: SHOP_URL=postgresql://"),
        ("secret", "SHOP_URL must be a SQLAlchemy URL, .*; not a URL of a database"),
        ("nosuch://u:secret@host/d", "SHOP_URL must be a SQLAlchemy URL, .*; its driver is not installed"),
        ("mysql+mysqldb://u:secret@host/d", "its driver is not installed"),
        ("postgresql://u:secret@127.0.0.1:1/d", "query on SHOP_URL ended: .*refused"),
    ],
)
def test_a_url_that_leads_nowhere_is_told_without_it(tmp_path, monkeypatch, url, message):
    monkeypatch.delenv("SHOP_URL", raising=False)
    if url:
        monkeypatch.setenv("SHOP_URL", url)
    with pytest.raises(DatasetError, match=message) as error:
        read_source(tmp_path / "shop.toml", source(ALL))
    assert "secret" not in str(error.value)


def test_another_kind_of_database_is_read_by_its_driver(tmp_path, monkeypatch):
    url = f"sqlite:///{tmp_path}/shop.db"
    with sqlalchemy.create_engine(url).begin() as connection:
        connection.exec_driver_sql("create table sales (user_id text, item_id integer, rating real)")
        connection.exec_driver_sql("insert into sales values ('a', 1, 4.5), ('b', 2, 3)")
    monkeypatch.setenv("SHOP_URL", url)
    dataset = read_source(tmp_path / "shop.toml", source("select * from sales order by item_id"))
    assert rows_of(dataset) == [("a", "1", 4.5), ("b", "2", 3.0)]
