"""What the pages say of files, commands and settings is there, and what is there is on a page."""

import re
from pathlib import Path

import pytest

from scheduler.sweep.expand import expand
from scheduler.sweep.spec import read_spec
from shared.settings import Settings
from shared.store import list_queries
from tests.documents import ROOT, Page, all_pages

README, ARCHITECTURE, OPERATIONS, SQL = (
    Page(ROOT / name) for name in ("README.md", "docs/architecture.md", "docs/operations.md", "docs/sql.md")
)
PACKAGES = ("shared", "scheduler", "worker")
_PATH = re.compile(r"(?:shared|scheduler|worker|sql|tests|docs|deploy)/[\w./*-]*")
each_page = pytest.mark.parametrize("page", all_pages(), ids=lambda page: page.name)


def targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))


def named_targets(page: Page) -> set[str]:
    code = [*page.spans, *page.fences("sh"), *page.fences("toml")]
    return {target for text in code for target in re.findall(r"(?:^|\s)make ([a-z][a-z-]*)", text)}


def test_readme_has_at_most_150_lines():
    assert len(README.text.splitlines()) <= 150


@each_page
def test_every_link_of_a_page_leads_somewhere(page):
    broken = []
    for link in page.links:
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = Page((page.path.parent / path).resolve() if path else page.path)
        if not target.path.exists() or (anchor and anchor not in target.anchors):
            broken.append(link)
    assert broken == []


@each_page
def test_every_make_target_of_a_page_is_in_the_makefile(page):
    assert named_targets(page) - targets() == set()


def test_every_make_target_is_on_a_page():
    assert targets() - set().union(*(named_targets(page) for page in all_pages())) - {"help"} == set()


@each_page
def test_every_path_of_a_page_exists(page):
    paths = [span.partition("::")[0] for span in page.spans if _PATH.fullmatch(span.partition("::")[0])]
    assert [path for path in paths if not list(ROOT.glob(path))] == []


def test_architecture_names_every_folder_of_the_product():
    named = {Path(span) for span in ARCHITECTURE.spans if _PATH.fullmatch(span)}
    named |= {parent for path in named for parent in path.parents}
    folders = {path.parent.relative_to(ROOT) for name in PACKAGES for path in (ROOT / name).rglob("*.py")}
    assert {str(folder) for folder in folders - named} == set()


def test_every_page_of_docs_is_listed_in_the_readme():
    listed = {(ROOT / link).resolve() for link in README.links if "://" not in link}
    assert {page.name for page in all_pages() if page.path not in listed} == {"README.md"}


def test_every_setting_is_on_the_page_of_operations():
    settings = {name.upper() for name in Settings.model_fields}
    assert settings - set(OPERATIONS.spans) == set()


def test_every_view_and_stored_query_is_on_the_page_of_sql():
    views = {path.stem for path in (ROOT / "sql" / "views").glob("*.sql")}
    assert views - set(SQL.spans) == set()
    rows = {f"| `{query.name}` | {query.question} |" for query in list_queries()}
    assert rows - set(SQL.text.splitlines()) == set()


def test_the_sweep_file_of_the_readme_makes_the_trials_it_says(tmp_path):
    (example,) = README.fences("toml")
    path = tmp_path / "mine.toml"
    path.write_text(example, encoding="utf-8")
    trials = expand(read_spec(path))
    labels = {trial.label for trial in trials}
    # 2 merges · 2 sizes · 3 seeds with [1], where the activation means nothing; twice that with [64, 32, 1];
    # and 3 of the other family.
    assert len([trial for trial in trials if not trial.is_baseline]) == 12 + 12 * 2 + 3
    assert "so the grid above makes 36 trials and not 48" in README.text
    assert {span for span in README.spans if span.startswith("dot_16_")} <= labels


def test_the_picture_of_the_screen_loads_nothing_from_elsewhere():
    picture = (ROOT / "docs" / "screen.svg").read_text(encoding="utf-8")
    assert re.findall(r"(?:url\(|href=)[\"']?(?:https?:)?//", picture) == []
