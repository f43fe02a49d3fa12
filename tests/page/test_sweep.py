"""One sweep, as a person sees it: what to ship, the leaderboard, its charts, what failed."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import Engine

from tests.page.conftest import settle, shoot, violations
from tests.page_samples import sample_dataset, store_ended_sweep


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_a_sweep_shows_its_verdict_first_and_draws_every_chart(
    address: str, open_page: Callable[..., Page], engine: Engine, width: int, scheme: str
) -> None:
    store_ended_sweep(engine, sample_dataset())
    page = open_page(f"{address}/sweeps/1", width=width, scheme=scheme)
    settle(page)
    expect(page.get_by_role("region", name="Verdict")).to_contain_text("Ship ")
    for title in ("ndcg@20 against training seconds", "ndcg@20 against coverage@20", "Learning curves"):
        expect(page.get_by_role("figure", name=title).locator("svg")).to_be_visible()
    expect(page.get_by_role("heading", name="Failures")).to_be_visible()
    assert page.evaluate("window.wasMarkup") is None
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert violations(page) == []
    shoot(page, f"sweep-{scheme}-{width}")
