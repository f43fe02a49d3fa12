"""The live page over a real database, asked as a browser asks: what it answers, and what it refuses."""

import pytest
from sqlalchemy import Engine

from shared.store.page import view_sql
from tests.page_client import PageClient
from tests.page_samples import (
    sample_dataset,
    store_ended_sweep,
    store_failed_sweep,
    store_running_sweep,
)


@pytest.fixture
def client(engine: Engine) -> PageClient:
    return PageClient(engine)


def test_sweeps_without_any_say_how_to_start_one(client: PageClient) -> None:
    answer = client.get("/")
    assert answer.status_code == 200
    assert "Nothing has been trained yet" in answer.text


def test_sweeps_show_progress_and_what_is_served(client: PageClient, engine: Engine) -> None:
    dataset = sample_dataset()
    store_ended_sweep(engine, dataset)
    store_running_sweep(engine, dataset)
    text = client.get("/").text
    assert "11 succeeded, 1 failed" in text
    assert "1 succeeded, 1 running, 2 queued" in text
    assert "3 of at most 12" in text
    assert "The leader of the newest sweep that has ended, sweep 1" in text


def test_the_sql_of_a_view_can_be_run(client: PageClient, engine: Engine) -> None:
    text = client.get("/sql/sweeps").text
    assert "select" in text
    assert ":sweep_id" not in text


def test_a_view_is_not_sent_again_while_nothing_changes(client: PageClient, engine: Engine) -> None:
    dataset = sample_dataset()
    store_ended_sweep(engine, dataset)
    tag = client.get("/").headers["etag"]
    assert client.get("/", headers={"If-None-Match": tag}).status_code == 304
    store_running_sweep(engine, dataset)
    changed = client.get("/", headers={"If-None-Match": tag})
    assert changed.status_code == 200
    assert changed.headers["etag"] != tag


@pytest.mark.parametrize("path", ["/", "/sql/sweeps", "/static/charts.js", "/nowhere", "/healthz"])
def test_every_answer_forbids_what_the_page_does_not_need(client: PageClient, path: str) -> None:
    headers = client.get(path).headers
    policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == "'self'"
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example:80", ""])
def test_a_foreign_name_is_refused(client: PageClient, host: str) -> None:
    assert client.get("/", headers={"Host": host}).status_code == 421


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "LOCALHOST", "[::1]:8000"])
def test_names_of_this_machine_are_answered(client: PageClient, host: str) -> None:
    assert client.get("/", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_the_page_can_only_be_read(client: PageClient, method: str) -> None:
    answer = client.request(method, "/")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, HEAD"


def test_with_a_password_only_who_gives_it_is_answered(engine: Engine) -> None:
    client = PageClient(engine, "recsweep:geheim", host="any.name")
    refused = client.get("/")
    assert refused.status_code == 401
    assert refused.headers["www-authenticate"].startswith("Basic ")
    assert client.get("/", auth=("recsweep", "falsch")).status_code == 401
    assert client.get("/", auth=("recsweep", "geheim")).status_code == 200
    assert client.get("/healthz").text == "ok\n"


def test_an_unknown_address_and_a_wrong_number_are_told(client: PageClient) -> None:
    answer = client.get("/nowhere")
    assert answer.status_code == 404
    assert "Nothing has the address /nowhere" in answer.text


def test_a_sweep_shows_its_verdict_and_every_trial(client: PageClient, engine: Engine) -> None:
    store_ended_sweep(engine, sample_dataset())
    text = client.get("/sweeps/1").text
    assert "Ship dot_4_8_1_epochs12_seed0" in text
    assert text.count('<th scope="row">') == 12
    assert "the loss is not finite: &lt;b&gt;learning_rate&lt;/b&gt; 0.9 is too large" in text


def test_the_address_says_how_the_leaderboard_is_sorted(client: PageClient, engine: Engine) -> None:
    store_ended_sweep(engine, sample_dataset())
    answer = client.get("/sweeps/1?sort=coverage@20.descending")
    assert answer.status_code == 200
    assert 'data-sort="coverage@20" data-first="descending" aria-sort="descending"' in answer.text
    wrong = client.get("/sweeps/1?sort=magic.ascending")
    assert wrong.status_code == 404
    assert "sort must be one of place" in wrong.text


@pytest.mark.parametrize("path", ["/sweeps/99", "/sweeps/x", "/sweeps/-1", "/sweeps/99999999999"])
def test_a_sweep_that_is_not_there_is_told(client: PageClient, path: str) -> None:
    assert client.get(path).status_code == 404


def test_the_sql_of_a_sweep_has_its_number_and_runs(client: PageClient, engine: Engine) -> None:
    store_ended_sweep(engine, sample_dataset())
    assert "cast(1 as integer)" in client.get("/sql/sweep?sweep_id=1").text
    for statement in view_sql("sweep", {"sweep_id": 1}):
        with engine.begin() as connection:
            assert connection.exec_driver_sql(statement.sql.replace("%", "%%")).all()


def test_names_that_would_break_a_page_are_text(client: PageClient, engine: Engine) -> None:
    dataset = sample_dataset(name="مجموعة")
    store_failed_sweep(engine, dataset, name="<script>alert(1)</script>" + "x" * 300)
    for path in ("/", "/sweeps/1"):
        text = client.get(path).text
        assert "<script>alert" not in text
        assert "مجموعة" in text
