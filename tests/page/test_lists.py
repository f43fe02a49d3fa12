"""A trial, a user, an item and the data, as a person sees them."""

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import Engine

from scheduler.page.views import VIEWS
from tests.page.conftest import settle, shoot, violations
from tests.page_lists import ARABIC_ID, LONG_ID, ListSweep, store_lists
from tests.page_samples import ARABIC_TITLE, HOSTILE_TITLE, LONG_TITLE


@pytest.fixture
def lists(engine: Engine, tmp_path: Path) -> ListSweep:
    return store_lists(engine, tmp_path)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_each_view_fits_its_window_and_can_be_read_by_everybody(
    address: str, open_page: Callable[..., Page], lists: ListSweep, width: int, scheme: str
) -> None:
    views = {
        "trial": VIEWS["trial"].address({"trial_id": lists.trial_ids["tower"]}),
        "user": VIEWS["user"].address({"user_id": "12"}),
        "item": VIEWS["item"].address({"item_id": "40"}),
        "data": "/data",
    }
    for name, path in views.items():
        page = open_page(address + path, width=width, scheme=scheme)
        settle(page)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), name
        shoot(page, f"{name}-{scheme}-{width}")
        assert violations(page) == [], name


def test_from_a_sweep_to_a_trial_to_a_user_to_an_item(
    address: str, open_page: Callable[..., Page], lists: ListSweep
) -> None:
    page = open_page(f"{address}/sweeps/{lists.sweep_id}")
    page.get_by_role("region", name="Table of the leaderboard").get_by_role("link").first.click()
    expect(page.get_by_role("heading", name="Settings")).to_be_visible()
    page.get_by_role("link", name="Lists of its users").click()
    page.get_by_role("main").get_by_role("link", name="12", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("User 12")
    page.locator(".list li a").first.click()
    expect(page.get_by_role("heading", name="Who gets it")).to_be_visible()
    page.get_by_role("link", name="This view as SQL").click()
    expect(page.get_by_role("main")).to_contain_text("from recommendations")


def test_a_user_is_found_by_id_and_what_the_lists_agree_on_is_marked(
    address: str, open_page: Callable[..., Page], lists: ListSweep
) -> None:
    page = open_page(address + "/user")
    page.get_by_label("User id").fill("12")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("User 12")
    titles = [
        page.locator(f"article:nth-of-type({place}) .list li a").all_inner_texts() for place in (1, 2, 3, 4)
    ]
    for place, of_trial in enumerate(titles, start=1):
        for rank, title in enumerate(of_trial, start=1):
            line = page.locator(f"article:nth-of-type({place}) .list li:nth-of-type({rank})")
            n_lists = sum(title in one for one in titles)
            assert ("agreed" in (line.get_attribute("class") or "")) == (n_lists > 1)
            if n_lists > 1:
                expect(line).to_contain_text(f"in {n_lists} lists")


def test_a_user_who_is_not_there_is_told_and_another_can_be_searched(
    address: str, open_page: Callable[..., Page], lists: ListSweep
) -> None:
    page = open_page(f"{address}/user?user_id=nobody")
    expect(page.get_by_text("Nobody has the id nobody")).to_be_visible()
    page.get_by_label("User id").fill(ARABIC_ID)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text(ARABIC_ID)


def test_names_that_would_break_a_page_are_text_and_fit(
    address: str, open_page: Callable[..., Page], lists: ListSweep
) -> None:
    for path in ("/item?item_id=10", "/item?item_id=20", "/item?item_id=30", "/item?q=a"):
        page = open_page(address + path, width=390)
        settle(page)
        assert page.evaluate("window.wasMarkup") is None
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
    titles = (HOSTILE_TITLE, ARABIC_TITLE, LONG_TITLE)
    for number, title in enumerate(titles, start=1):
        page = open_page(f"{address}/item?item_id={10 * number}")
        expect(page.get_by_role("heading", level=1)).to_contain_text(title)
    page = open_page(address + VIEWS["user"].address({"user_id": LONG_ID}), width=390)
    settle(page)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    shoot(page, "user-long-id-390")


def test_without_data_each_view_says_so(address: str, open_page: Callable[..., Page], engine: Engine) -> None:
    del engine
    for path, said in (("/user", "no lists yet"), ("/item", "no lists yet"), ("/data", "No data are stored")):
        page = open_page(address + path)
        expect(page.get_by_text(said)).to_be_visible()
        assert violations(page) == []
