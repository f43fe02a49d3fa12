"""All sweeps, as a person sees them."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import Engine

from tests.page.conftest import settle, shoot, violations
from tests.page_samples import sample_dataset, store_ended_sweep, store_failed_sweep, store_running_sweep


def test_without_a_sweep_the_page_says_how_to_start_one(
    address: str, open_page: Callable[..., Page], engine: Engine
) -> None:
    del engine
    page = open_page(address)
    expect(page.get_by_role("heading", level=1)).to_have_text("Sweeps")
    expect(page.get_by_text("make sweep SWEEP=lists")).to_be_visible()
    assert violations(page) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_sweeps_show_what_is_served_who_works_and_how_far_each_is(
    address: str, open_page: Callable[..., Page], engine: Engine, width: int, scheme: str
) -> None:
    dataset = sample_dataset()
    store_ended_sweep(engine, dataset)
    store_failed_sweep(engine, dataset)
    store_running_sweep(engine, dataset)
    page = open_page(address, width=width, scheme=scheme)
    settle(page)
    expect(page.get_by_role("progressbar", name="Progress of sweep 3")).to_be_visible()
    expect(page.get_by_role("table", name="Who works on what")).to_contain_text("worker-1")
    expect(page.get_by_role("region", name="Table of all sweeps")).to_contain_text("failed")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert violations(page) == []
    shoot(page, f"sweeps-{scheme}-{width}")
