"""What the page costs a sweep that runs while ten people look at ten views of it.

Ten clients ask as the script of an open page does: every five seconds, with the tag of what they have. Each
looks at another view. The same sweep is run without them, in turns, on the same machine.
"""

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

import httpx
import psutil

from scheduler.machine import find_endpoints, services_status
from shared.errors import ServiceError
from shared.settings import Settings
from tests.benchmarks.prepared import movielens_1m
from tests.benchmarks.report import (
    judge,
    parse_options,
    print_heading,
    print_note,
    print_table,
    seconds,
)
from tests.benchmarks.sampled_sweep import installed_copy, run_sweep

BAR = 0.02
N_WORKERS = 2
_PERIOD_SECONDS = 5.0
_TABS = (
    *("/", "/sweeps/1", "/sweeps/1?sort=train_seconds.ascending"),
    *("/trials/1", "/trials/2", "/trials/3", "/user?user_id=2000", "/user?user_id=1", "/item?item_id=260"),
    "/data",
)


@dataclass
class Cost:
    """CPU seconds of the page's process and of its sessions in Postgres, and what the clients were told."""

    page_seconds: float = 0.0
    postgres_seconds: float = 0.0
    n_answers: int = 0
    n_news: int = 0


def rows(copy: Path, sweep: str, n_runs: int) -> Iterator[tuple[object, ...]]:
    """Runs with tabs and without, in turns."""
    walls: dict[bool, list[float]] = {False: [], True: []}
    parts = []
    for number in range(2 * n_runs):
        # As often first as last, so that a machine that slows down favours neither.
        has_tabs = number % 4 in (1, 2)
        with looking(Settings.model_validate({"state_dir": copy.parent / "state"}), has_tabs) as cost:
            swept = run_sweep(copy, sweep, N_WORKERS)
        walls[has_tabs].append(swept.trials_seconds)
        spent = cost.page_seconds + cost.postgres_seconds
        part = spent / (N_WORKERS * swept.trials_seconds)
        if has_tabs:
            parts.append(part)
        yield (
            "ten" if has_tabs else "none",
            seconds(swept.trials_seconds),
            f"{cost.n_news:,} of {cost.n_answers:,}",
            f"{cost.page_seconds:.1f}",
            f"{cost.postgres_seconds:.1f}",
            f"{100 * part:.2f} %",
        )
    ratio = mean(walls[True]) / mean(walls[False])
    yield ("mean with tabs, times that without", f"{ratio:.3f}", "", "", "", "")
    bar = f"≤ {100 * BAR:.0f} %: {judge(is_met=max(parts) <= BAR)}"
    yield ("most", "", "", "", "", f"{100 * max(parts):.2f} % ({bar})")


@contextlib.contextmanager
def looking(settings: Settings, has_tabs: bool) -> Iterator[Cost]:
    """Ten tabs as soon as the page is there, until the end; the cost is that of the time between."""
    cost = Cost()
    ended = threading.Event()
    threads = [threading.Thread(target=_watch, args=(settings, cost, ended))]
    threads += [threading.Thread(target=_tab, args=(settings, one, cost, ended)) for one in _TABS if has_tabs]
    for thread in threads:
        thread.start()
    try:
        yield cost
    finally:
        ended.set()
        for thread in threads:
            thread.join()


def _tab(settings: Settings, path: str, cost: Cost, ended: threading.Event) -> None:
    """Opens the view when it is there, then asks for news of it."""
    url = None
    while url is None and not ended.wait(2.0):
        url = _page_url(settings)
    with httpx.Client(timeout=30, trust_env=False) as client:
        tag = None
        while not ended.is_set():
            headers: dict[str, str] = {"X-Refresh": "1", "If-None-Match": tag} if tag else {}
            with contextlib.suppress(httpx.HTTPError):
                answer = client.get(f"{url}{path}", headers=headers)
                cost.n_answers += 1
                cost.n_news += answer.status_code == 200
                tag = answer.headers.get("ETag", tag)
            ended.wait(_PERIOD_SECONDS)


def _watch(settings: Settings, cost: Cost, ended: threading.Event) -> None:
    """The page's process and the sessions of its role, from the time when they are seen first."""
    page: psutil.Process | None = None
    first: dict[int, float] = {}
    last: dict[int, float] = {}
    while not ended.wait(1.0):
        with contextlib.suppress(psutil.Error):
            page = page or _page_process(settings)
            if page is None:
                continue
            for process in (page, *_sessions(settings)):
                times = process.cpu_times()
                last[process.pid] = times.user + times.system
                # A session begins with nothing; the page has loaded its modules before anybody looks.
                first.setdefault(process.pid, last[process.pid] if process.pid == page.pid else 0.0)
    if page is not None:
        spent = {pid: value - first[pid] for pid, value in last.items()}
        cost.page_seconds = spent.pop(page.pid)
        cost.postgres_seconds = sum(spent.values())


def _page_url(settings: Settings) -> str | None:
    # Of services that are coming up nothing can be asked yet.
    with contextlib.suppress(ServiceError, httpx.HTTPError):
        url = find_endpoints(settings).dashboard_url
        if url and httpx.get(f"{url}/healthz", trust_env=False).status_code == 200:
            return url
    return None


def _page_process(settings: Settings) -> psutil.Process | None:
    if _page_url(settings) is None:
        return None
    pid = next((one.pid for one in services_status(settings) if one.name == "dashboard"), None)
    return psutil.Process(pid) if pid else None


def _sessions(settings: Settings) -> Iterator[psutil.Process]:
    """Postgres names its sessions by their role in the title of their process."""
    postmaster = next((one.pid for one in services_status(settings) if one.name == "postgres"), None)
    for process in psutil.Process(postmaster).children() if postmaster else ():
        with contextlib.suppress(psutil.Error):
            if "recsweep_page" in " ".join(process.cmdline()):
                yield process


def main() -> None:
    quick = parse_options(__doc__).quick
    movielens_1m()
    print_heading("The page open in ten tabs while a sweep runs", "bench_tabs")
    print_note(
        f"`make sweep DATASET=ml-1m FRESH=1 WORKERS={N_WORKERS}` with and without ten clients of the page. "
        f"The part is that of the {N_WORKERS} cores from the first trial's start to the last one's end."
    )
    columns = ("tabs", "trials, s", "news", "page, CPU s", "its Postgres, CPU s", "part of the cores")
    with installed_copy() as copy:
        print_table(columns, rows(copy, "quick" if quick else "reference", 1 if quick else 2))


if __name__ == "__main__":
    main()
