"""The page in a real browser: Debian's Chromium, driven by Playwright, over a made-up database."""

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
import uvicorn
from playwright.sync_api import Browser, Page, sync_playwright
from sqlalchemy import Engine

from scheduler.page.application import create_application
from tests.real_data import find_browser

AXE = Path(__file__).parent / "vendor" / "axe.min.js"
# Screenshots to look at are kept where this says.
SHOTS = os.environ.get("SCREENSHOTS")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    executable = find_browser()
    assert executable
    with sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=executable, args=["--no-sandbox"] if os.geteuid() == 0 else []
        )
        yield browser
        browser.close()


@pytest.fixture
def address(engine: Engine) -> Iterator[str]:
    """Where the page over this test's database is served."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        application = create_application(engine)
        server = uvicorn.Server(
            uvicorn.Config(application, log_level="warning", lifespan="off", ws="none", loop="asyncio")
        )
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.should_exit = True
        thread.join()


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Opens an address in a window of its own; at the end no script may have complained."""
    complaints: list[str] = []
    contexts = []

    def open_at(address: str, *, width: int = 1440, scheme: str = "light", height: int = 900) -> Page:
        context = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=scheme, reduced_motion="reduce"
        )
        contexts.append(context)
        page = context.new_page()
        page.on(
            "console", lambda one: complaints.append(one.text) if one.type in ("error", "warning") else None
        )
        page.on("pageerror", lambda error: complaints.append(str(error)))
        # A page that is left asks for nothing any more.
        page.on(
            "requestfailed",
            lambda one: (
                None if one.failure == "net::ERR_ABORTED" else complaints.append(f"{one.url}: {one.failure}")
            ),
        )
        page.goto(address)
        return page

    yield open_at
    for context in contexts:
        context.close()
    assert complaints == []


def violations(page: Page) -> list[str]:
    """What axe finds wrong for people who use a screen reader or see little contrast."""
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{one['id']}: {node['html'][:200]} {node['failureSummary']}"
        for one in found["violations"]
        for node in one["nodes"]
    ]


def settle(page: Page) -> None:
    """Every chart that is shown is drawn, also those far down; a report hides those of its other views."""
    for plot in page.query_selector_all(".plot"):
        if plot.is_visible():
            plot.scroll_into_view_if_needed()
    page.wait_for_function(
        "[...document.querySelectorAll('.plot')].every("
        "(one) => one.closest('[hidden]') !== null || 'drawn' in one.dataset)"
    )
    page.evaluate("scrollTo(0, 0)")


def shoot(page: Page, name: str) -> None:
    """A picture of the whole page, where SCREENSHOTS names a folder."""
    if SHOTS:
        page.screenshot(path=Path(SHOTS) / f"{name}.png", full_page=True)
