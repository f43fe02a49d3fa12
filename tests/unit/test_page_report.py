"""A report: its name, what it may replace, and that nothing in it can be taken for something else."""

from pathlib import Path

import pytest

from scheduler.page.rendering import FOLDER
from scheduler.page.report import _inline, _with_ids, report_name
from scheduler.report_file import REPORT_MARK, write_report
from shared.errors import SpecError

REPORT = f"<!doctype html>\n<head>\n{REPORT_MARK}\n"


@pytest.mark.parametrize(
    ("sweep", "name"),
    [
        ("lists", "report-lists.html"),
        ("my sweep/../2", "report-my_sweep_.._2.html"),
        ("../../etc/passwd", "report-etc_passwd.html"),
        ("تجربة", "report-تجربة.html"),
        ("a\nb\0c", "report-a_b_c.html"),
        ("...", "report-sweep.html"),
        ("x" * 300, f"report-{'x' * 80}.html"),
    ],
)
def test_the_name_of_a_report_is_that_of_a_file(sweep: str, name: str) -> None:
    assert report_name(sweep) == name


def test_a_report_replaces_a_report_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "report-lists.html"
    write_report(path, REPORT + "old")
    write_report(path, REPORT + "new")
    assert path.read_text().endswith("new")
    assert path.stat().st_mode & 0o777 == 0o644
    path.write_text("the thesis of somebody")
    with pytest.raises(SpecError, match="is there and is no report of recsweep: move it"):
        write_report(path, REPORT)
    assert path.read_text() == "the thesis of somebody"


def test_a_folder_that_cannot_be_written_is_told_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"report-x\.html: No such file or directory"):
        write_report(tmp_path / "gone" / "report-x.html", REPORT)


def test_the_template_carries_the_mark() -> None:
    assert REPORT_MARK in (FOLDER / "templates" / "report.html").read_text(encoding="utf-8")


def test_ids_of_two_views_of_one_kind_differ() -> None:
    body = '<section id="verdict" aria-labelledby="title"><h2 id="title"></h2></section>'
    assert _with_ids(body, "sweep-1") == (
        '<section id="sweep-1-verdict" aria-labelledby="sweep-1-title"><h2 id="sweep-1-title"></h2></section>'
    )


def test_text_from_data_is_not_taken_for_an_id() -> None:
    escaped = "a title &#34; id=&#34;verdict&#34;"
    assert _with_ids(escaped, "sweep-1") == escaped


def test_no_script_or_style_can_end_its_element() -> None:
    for name in ("vendor/vega.min.js", "vendor/vega-lite.min.js", "vendor/vega-interpreter.js"):
        assert "</script" not in _inline(name).lower()
