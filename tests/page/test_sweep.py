"""One sweep, as a person sees it: what to ship, the leaderboard, its charts, what failed."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import Engine

from shared.store import EpochRecord, record_epoch
from tests.page.conftest import settle, shoot, violations
from tests.page_samples import (
    sample_dataset,
    store_ended_sweep,
    store_failed_sweep,
    store_running_sweep,
)


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


def test_a_failed_sweep_says_so_first(address: str, open_page: Callable[..., Page], engine: Engine) -> None:
    store_failed_sweep(engine, sample_dataset(), name="ألف ليلة" + "x" * 300)
    page = open_page(f"{address}/sweeps/1", width=390)
    expect(page.get_by_role("region", name="Verdict")).to_contain_text("There is nothing to ship")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert violations(page) == []
    shoot(page, "failed")


def test_a_press_on_a_heading_sorts_and_the_address_remembers_it(
    address: str, open_page: Callable[..., Page], engine: Engine
) -> None:
    store_ended_sweep(engine, sample_dataset())
    page = open_page(f"{address}/sweeps/1")
    page.get_by_role("button", name="coverage@20", exact=True).focus()
    page.keyboard.press("Enter")
    rows = page.locator(".board tbody tr")
    expect(rows.first).to_contain_text("dot_64_8_1")
    expect(rows.last).to_contain_text("not_finite_loss")
    page.reload()
    expect(rows.first).to_contain_text("dot_64_8_1")
    expect(page.get_by_role("columnheader", name="coverage@20").first).to_have_attribute(
        "aria-sort", "descending"
    )


def test_a_running_sweep_changes_while_somebody_looks(
    address: str, open_page: Callable[..., Page], engine: Engine
) -> None:
    dataset = sample_dataset()
    store_running_sweep(engine, dataset)
    page = open_page(address)
    expect(page.get_by_role("table", name="Who works on what")).to_contain_text("3 of at most 12")
    page.evaluate("window.isSamePage = true")
    (claim,) = engine.connect().exec_driver_sql(
        "select trial_id, attempt from trials where status = 'running'"
    )
    record = EpochRecord(epoch=4, loss=0.2, val_loss=1.0, val_rmse=0.9, seconds=0.1, objective=0.2)
    record_epoch(engine, claim.trial_id, claim.attempt, record)
    table = page.get_by_role("table", name="Who works on what")
    expect(table).to_contain_text("4 of at most 12", timeout=30_000)
    assert page.evaluate("window.isSamePage")
