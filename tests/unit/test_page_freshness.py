"""Many readers cost no more than one: what is rendered again, and when."""

from scheduler.page.freshness import RenderedViews


class Site:
    """A view that counts how often it is made, a database whose state is set, a clock turned by hand."""

    def __init__(self) -> None:
        self.now = 100.0
        self.state = "one"
        self.n_made = 0
        self.n_asked = 0
        self.views = RenderedViews(self._ask, lambda: self.now)

    def _ask(self) -> tuple[str, bool]:
        self.n_asked += 1
        return self.state, False

    def _make(self) -> str:
        self.n_made += 1
        self.now += 0.2
        return f"body {self.state}"

    def get(self, address: str = "/", *, is_refresh: bool = False) -> str:
        return self.views.get(address, self._make, is_refresh=is_refresh).body


def test_a_view_is_made_once_while_nothing_changes() -> None:
    site = Site()
    assert [site.get() for _ in range(10)] == ["body one"] * 10
    assert site.n_made == 1


def test_whoever_opens_a_view_sees_what_is_stored_now() -> None:
    site = Site()
    site.get()
    site.state = "two"
    assert site.get() == "body two"


def test_an_open_page_gets_news_only_after_as_long_as_the_view_is_worth() -> None:
    # It took 0.2 s: a refresh may be 10 s old.
    site = Site()
    site.get()
    site.state = "two"
    site.now += 9.0
    assert site.get(is_refresh=True) == "body one"
    site.now += 1.5
    assert site.get(is_refresh=True) == "body two"


def test_ten_views_that_are_open_cost_together_what_one_may_cost() -> None:
    # Each takes 0.2 s, all of them 2 s: a refresh may be 100 s old, and 4 s in 200 are a fiftieth.
    site = Site()
    addresses = [f"/{n}" for n in range(10)]
    for address in addresses:
        site.get(address)
    n_made = site.n_made
    for n in range(40):
        site.state = f"number {n}"
        site.now += 5.0
        for address in addresses:
            site.get(address, is_refresh=True)
    assert n_made < site.n_made <= n_made + 20


def test_a_view_that_nobody_looks_at_any_more_does_not_make_the_others_older() -> None:
    site = Site()
    site.get("/closed")
    site.get()
    for n in range(12):
        site.state = f"number {n}"
        site.now += 4.0
        site.get(is_refresh=True)
    # 48 s later nobody has asked for the other one: 10 s are enough again.
    site.state = "last"
    site.now += 10.5
    assert site.get(is_refresh=True) == "body last"


def test_ten_open_pages_ask_the_database_once_in_two_seconds() -> None:
    site = Site()
    site.get()
    site.now += 60.0
    before = site.n_asked
    for _ in range(10):
        site.get(is_refresh=True)
    assert site.n_asked == before + 1


def test_only_so_many_views_are_kept() -> None:
    site = Site()
    for n in range(200):
        site.views.get(f"/{n}", lambda: "x")
    assert len(site.views._kept) == 64
