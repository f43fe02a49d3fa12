"""The views of a trial, a user, an item and the data over a real database, asked as a browser asks."""

import re
from pathlib import Path
from urllib.parse import quote, urlencode

import pytest
from sqlalchemy import Engine, text

from scheduler.page.views import VIEWS
from shared.datasets import split_ratings
from shared.domain.families.ease import Ease
from shared.domain.protocol import Protocol
from shared.domain.trial import TrialConfig
from shared.store import add_trials, stored_hits
from shared.store.page import view_sql
from shared.store.page.trial import read_trial
from shared.store.schema import upgrade_schema
from tests.factories import make_hits, make_result, make_user_results, store_result
from tests.page_client import PageClient
from tests.page_lists import ARABIC_ID, LONG_ID, ODD_ID, ListSweep, remove_lists_of, store_lists
from tests.page_samples import HOSTILE_TITLE, K, sample_dataset, store_failed_sweep, store_running_sweep

VIEW_NAMES = ("user", "item", "data")


@pytest.fixture
def client(engine: Engine) -> PageClient:
    return PageClient(engine)


@pytest.fixture
def lists(engine: Engine, tmp_path: Path) -> ListSweep:
    return store_lists(engine, tmp_path)


def test_without_anything_stored_each_view_says_what_to_do(client: PageClient) -> None:
    for path in ("/user", "/user?user_id=1", "/item", "/item?q=x", "/data"):
        answer = client.get(path)
        assert answer.status_code == 200
        assert "make sweep" in answer.text


def test_a_trial_shows_its_place_settings_and_files(client: PageClient, lists: ListSweep) -> None:
    page = client.get(f"/trials/{lists.trial_ids['ease']}").text
    assert "Place 2 of 6 by ndcg@20" in page
    assert "l2" in page
    assert "attempt-1/" in page
    assert "End of its log" in page
    assert "Items in most of its lists" in page
    assert "For whom it is better" in page


def test_open_and_failed_trials_are_shown_as_far_as_they_are(client: PageClient, engine: Engine) -> None:
    dataset = sample_dataset()
    running, failed = store_running_sweep(engine, dataset), store_failed_sweep(engine, dataset)
    with engine.connect() as connection:
        found = connection.execute(text("select status, trial_id from trials order by trial_id")).all()
    pages = {status: client.get(f"/trials/{trial_id}") for status, trial_id in found}
    assert {answer.status_code for answer in pages.values()} == {200}
    assert "It is running" in pages["running"].text
    assert "It is queued" in pages["queued"].text
    assert "It failed: out_of_memory" in pages["failed"].text
    assert running.sweep_id != failed.sweep_id


@pytest.mark.parametrize(
    "path", ["/trials/999", "/user?trials=999", "/item?trials=999", "/data?dataset_id=9"]
)
def test_what_is_not_there_is_told_with_404(client: PageClient, lists: ListSweep, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 404
    assert "there is no" in answer.text


def test_more_than_four_trials_are_refused(client: PageClient, lists: ListSweep) -> None:
    named = ",".join(str(one) for one in lists.trial_ids.values())
    answer = client.get(f"/user?user_id=5&trials={named}")
    assert answer.status_code == 404
    assert "at most 4 trials" in answer.text


def test_the_served_trial_comes_first_and_other_families_after_it(
    client: PageClient, lists: ListSweep
) -> None:
    page = client.get("/user?user_id=5").text
    labels = [
        page.index(f"/trials/{lists.trial_ids[one]}") for one in ("weighted_als", "ease", "item_knn", "tower")
    ]
    assert labels == sorted(labels)
    assert f"/trials/{lists.trial_ids['item_popularity']}" not in page


@pytest.mark.parametrize("user_id", [ARABIC_ID, LONG_ID, ODD_ID])
def test_ids_of_any_text_are_found_by_the_links_to_them(
    client: PageClient, lists: ListSweep, user_id: str
) -> None:
    answer = client.get(VIEWS["user"].address({"user_id": user_id}))
    assert answer.status_code == 200
    assert "Held out items that it found" in answer.text
    assert "Nobody has the id" not in answer.text


@pytest.mark.parametrize(
    "user_id", ["nobody", "../../etc", "x'; drop table trials; --", HOSTILE_TITLE, 300 * "ب"]
)
def test_a_user_who_does_not_exist_is_told_and_others_are_named(
    client: PageClient, lists: ListSweep, user_id: str
) -> None:
    page = client.get(f"/user?user_id={quote(user_id, safe='')}").text
    assert "Nobody has the id" in page
    assert "Some users" in page
    assert HOSTILE_TITLE not in page


def test_held_out_items_are_those_of_the_split(client: PageClient, lists: ListSweep) -> None:
    dataset = lists.dataset
    split = split_ratings(dataset, Protocol(k=K, objective=f"ndcg@{K}", test_fraction=0.1))
    users = dataset.user_index
    user = next(
        u for u in range(5, 60) if {u} <= set(users[split.test]) and {u} <= set(users[split.validation])
    )
    n_held_out = sum((users[part] == user).sum() for part in (split.validation, split.test))
    page = client.get(f"/user?user_id={dataset.user_ids[user]}").text
    assert f"12 items, of which {n_held_out} were held out" in page
    assert page.count(">held out</span>") == n_held_out


# By trial, user and item.
_FOUND = text("""
    select user_results.trial_id, user_results.user_id, hits.item_id, user_results.split, hits.rank
    from user_results
    cross join unnest(user_results.hit_items, user_results.hit_ranks) as hits (item_id, rank)
    order by user_results.user_id, hits.item_id
""")


def test_what_each_list_found_is_in_its_card_and_in_the_table(
    client: PageClient, engine: Engine, lists: ListSweep
) -> None:
    named = [lists.trial_ids[one] for one in ("weighted_als", "ease", "item_knn", "tower")]
    with engine.begin() as connection:
        found = {row[:3]: row for row in connection.execute(_FOUND)}
    # A user with an item that some of the lists found and others did not.
    user_id, item_id = next(
        (user_id, item_id)
        for _, user_id, item_id in found
        if user_id.isdigit() and 0 < sum((one, user_id, item_id) in found for one in named) < 4
    )
    page = client.get(f"/user?user_id={user_id}&trials={','.join(map(str, named))}").text
    cards = page.split("<article")[1:]
    (line,) = [
        one for one in page.split("<tr>") if one.startswith("<th scope") and f"item_id={item_id}&" in one
    ]
    for place, (card, trial_id) in enumerate(zip(cards, named, strict=True), start=1):
        assert card.count(">hit</span>") == sum(key[:2] == (trial_id, user_id) for key in found)
        hit = found.get((trial_id, user_id, item_id))
        if hit is None:
            assert f">list {place}: not found" in line
        else:
            assert re.search(rf"item_id={item_id}&.*?{hit.split}, rated [1-5], at rank {hit.rank}<", card)
            assert re.search(rf">list {place}: at rank {hit.rank}[,<]", line)


def test_after_an_upgrade_what_older_trials_found_is_counted_and_not_guessed(
    client: PageClient, engine: Engine, lists: ListSweep
) -> None:
    before = client.get("/user?user_id=12").text
    # As 0009 left the tables.
    with engine.begin() as connection:
        n_rows = connection.scalar(text("select count(*) from user_results"))
        connection.execute(text("alter table user_results drop column hit_items, drop column hit_ranks"))
        connection.execute(text("update alembic_version set version_num = '0009'"))
    upgrade_schema(engine)
    with engine.begin() as connection:
        kept = connection.execute(text("select count(*), count(hit_items) from user_results")).one()
    assert tuple(kept) == (n_rows, 0)
    page = PageClient(engine).get("/user?user_id=12").text
    assert ">hit</span>" in before
    assert ">hit</span>" not in page
    counted = re.findall(r"(?:validation|test): \d+ of \d+ held out items found", before)
    assert counted
    assert re.findall(r"(?:validation|test): \d+ of \d+ held out items found", page) == counted
    assert "Which ones is not stored" in page
    assert "Which ones is not stored" not in before
    assert "list 1: not known" in page
    # Into a partition of the older version.
    add_trials(engine, lists.sweep_id, [TrialConfig(Ease(l2=7.0))])
    results = {"test": make_user_results(lists.dataset, hits=make_hits([(5, 3, 8)]))}
    trial_id = store_result(
        engine,
        lists.sweep_id,
        TrialConfig(Ease(l2=7.0)).label,
        lists.dataset,
        make_result(lists.dataset, user_results=results),
    )
    assert stored_hits(engine, trial_id, "test", lists.dataset).rank.tolist() == [3]


def test_where_the_ratings_cannot_be_read_the_page_says_so(client: PageClient, engine: Engine) -> None:
    store_lists(engine)
    page = client.get("/user?user_id=5").text
    assert "The prepared ratings cannot be read here" in page
    assert "as the database has them" in page
    # The database has which of them were found.
    assert ">hit</span>" in page
    assert "list 1: at rank" in page
    assert "cannot be read" in client.get("/data").text


def test_after_somebody_was_forgotten_nobody_says_what_was_held_out(
    client: PageClient, engine: Engine, lists: ListSweep
) -> None:
    with engine.begin() as connection:
        connection.execute(
            text("insert into forgotten_users (dataset_id, user_hash) values (1, :hash)"), {"hash": "0" * 64}
        )
    page = client.get("/user?user_id=5").text
    assert "Users were forgotten" in page
    assert "held out</span>" not in page
    assert "1 user was forgotten" in client.get("/data").text


def test_removed_lists_are_told(client: PageClient, engine: Engine, lists: ListSweep) -> None:
    trial_id = lists.trial_ids["ease"]
    remove_lists_of(engine, trial_id)
    for path in (
        f"/trials/{trial_id}",
        f"/user?user_id=nobody&trials={trial_id}",
        f"/item?item_id=10&trials={trial_id}",
    ):
        assert client.get(path).status_code == 200
    assert "Its lists were removed" in client.get(f"/trials/{trial_id}").text
    assert "Its lists were removed" in client.get(f"/item?item_id=10&trials={trial_id}").text


def test_an_item_shows_who_gets_it_as_the_table_has_it(
    client: PageClient, engine: Engine, lists: ListSweep
) -> None:
    trial_id = lists.trial_ids["ease"]
    with engine.connect() as connection:
        n_lists, best, mean = connection.execute(
            text("""
                select count(*), min(rank), round(avg(rank), 1)
                from recommendations where trial_id = :trial_id and item_id = '100'
            """),
            {"trial_id": trial_id},
        ).one()
    page = client.get(f"/item?item_id=100&trials={trial_id}").text
    cells = [str(n_lists), "60", f"{100 * n_lists / 60:.2f} %", str(best), str(mean)]
    assert "".join(f'<td class="n">{one}</td>' for one in cells) in "".join(page.split("\n")).replace(
        "  ", ""
    )


def test_similar_items_come_from_vectors_matrix_and_neighbours(client: PageClient, lists: ListSweep) -> None:
    page = client.get("/item?item_id=40").text
    for measure in ("cosine of the vectors", "weight for whoever has the item", "By similarity"):
        assert measure in page
    # Item 4 is next to item 3, whose id is 40.
    assert page.count("Item 4</bdi>") >= 3
    assert "towers keep their vectors in a Keras file" in page


def test_items_are_found_by_title_and_id_and_a_percent_sign_means_itself(
    client: PageClient, lists: ListSweep
) -> None:
    assert "Item 17" in client.get("/item?q=iTEM+17").text
    assert "Item 6" in client.get("/item?q=70").text
    assert "No item has" in client.get("/item?q=%25").text
    assert "ألف ليلة" in client.get(f"/item?{urlencode({'q': 'ليلة'})}").text


def test_a_title_that_is_markup_is_text(client: PageClient, lists: ListSweep) -> None:
    for path in ("/item?item_id=10", "/item?q=script", "/user?user_id=30", "/user?user_id=20"):
        page = client.get(path).text
        assert "<script>window" not in page
    assert "&lt;script&gt;window" in client.get("/item?item_id=10").text


def test_the_data_are_described_as_make_data_does(client: PageClient, lists: ListSweep) -> None:
    page = client.get("/data").text
    assert "720 ratings from 1 to 5" in page
    assert "Rated from 2001-09-09" in page
    assert "leave last out" in page
    assert lists.dataset.fingerprint[:8] in page


@pytest.mark.parametrize("name", ["trial", *VIEW_NAMES])
def test_the_statements_of_a_view_can_be_run_as_they_are_shown(
    client: PageClient, engine: Engine, lists: ListSweep, name: str
) -> None:
    parameters = {
        "trial_id": lists.trial_ids["ease"],
        "trials": list(lists.trial_ids.values())[:3],
        "user_id": "o'clock",
        "item_id": "10",
        "q": "it's",
        "dataset_id": 1,
    }
    with engine.connect() as connection:
        for statement in view_sql(name, parameters):
            connection.exec_driver_sql(statement.sql.replace("%", "%%"))
    assert client.get(f"/sql/{name}?trial_id=1").status_code == 200


def test_the_spread_of_lists_is_that_of_the_table(engine: Engine, lists: ListSweep) -> None:
    trial_id = lists.trial_ids["ease"]
    records = read_trial(engine, trial_id)
    with engine.connect() as connection:
        n_places, n_items = connection.execute(
            text("select count(*), count(distinct item_id) from recommendations where trial_id = :trial_id"),
            {"trial_id": trial_id},
        ).one()
        n_lists = connection.scalars(
            text("""
                select count(*) from recommendations where trial_id = :trial_id
                group by item_id order by count(*) desc, item_id limit 10
            """),
            {"trial_id": trial_id},
        ).all()
    assert sum(one.n_lists for one in records.tenths) == n_places
    assert sum(one.n_listed for one in records.tenths) == n_items
    assert sum(one.n_items for one in records.tenths) == 45
    assert sum(one.n_users for one in records.tenths) == 60
    assert [one.n_lists for one in records.most_listed] == n_lists

    assert records.tenths[0].tenth == 1
