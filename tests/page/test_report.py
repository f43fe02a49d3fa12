"""A report, opened from a disk as a person opens it."""

from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, expect
from sqlalchemy import Engine

from scheduler.page.report import report_of
from scheduler.report_file import write_report
from shared.store.page.report import plan_report
from tests.page.conftest import settle, shoot, violations
from tests.page_samples import sample_dataset, store_ended_sweep


def test_a_report_opens_from_a_disk_and_draws_its_charts(
    open_page: Callable[..., Page], engine: Engine, tmp_path: Path
) -> None:
    sweep = store_ended_sweep(engine, sample_dataset())
    path = tmp_path / "report-lists.html"
    write_report(path, report_of(engine, plan_report(engine, sweep.sweep_id, sweep.dataset_name)))
    page = open_page(path.as_uri())
    settle(page)
    expect(page.get_by_role("region", name="Verdict")).to_contain_text("Ship ")
    expect(page.get_by_role("figure", name="Learning curves").locator("svg")).to_be_visible()
    page.get_by_role("button", name="recall@20", exact=True).click()
    first = page.get_by_role("table").first.locator("tbody tr").first
    expect(first).to_contain_text("dot_4_8_1")
    page.get_by_role("button", name="recall@20", exact=True).click()
    expect(first).to_contain_text("baseline_user_item_bias")
    assert page.evaluate("window.wasMarkup") is None
    assert violations(page) == []
    shoot(page, "report")
