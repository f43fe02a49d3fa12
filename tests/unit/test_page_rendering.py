"""Text from data is text; what the templates may not hold; the libraries are those that were chosen."""

import hashlib
import json
import re
from pathlib import Path

import pytest

from scheduler.page.charts import Chart
from scheduler.page.rendering import FOLDER, environment, script_json

ROOT = Path(__file__).parents[2]
TEMPLATES = sorted((FOLDER / "templates").glob("*.html"))
HOSTILE = "</script><script>alert(1)</script><!-- & \u2028 ' \""


def test_a_value_is_never_markup() -> None:
    text = environment().from_string("<p title='{{ value }}'>{{ value }}</p>").render(value=HOSTILE)
    assert "<script" not in text
    assert text.count("<") == 2


def test_json_in_a_script_cannot_end_it_and_means_the_same() -> None:
    text = str(script_json({"title": HOSTILE}))
    assert not set("<>&\u2028") & set(text)
    assert json.loads(text) == {"title": HOSTILE}


def test_json_that_a_browser_cannot_read_is_refused() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        script_json([float("nan")])


def test_a_chart_carries_its_rows_as_data() -> None:
    chart = Chart("title", HOSTILE, {"mark": "point"}, ("a",), [[HOSTILE]])
    template = environment().from_string('{% import "parts.html" as parts %}{{ parts.chart(one) }}')
    text = template.render(one=chart, link=None)
    assert text.count("<script") == 1
    assert 'type="application/json"' in text


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_no_template_holds_what_the_policy_forbids(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"\son\w+=|\sstyle=|javascript:|\|\s*safe\b|https?://|autoescape", text)
    if path.name != "report.html":
        assert "<style" not in text
        assert not re.search(r"<script(?! type=\"application/json\"| src=)", text)


@pytest.mark.parametrize("folder", ["scheduler/page/static/vendor", "tests/page/vendor"])
def test_libraries_are_the_files_that_their_page_names(folder: str) -> None:
    text = (ROOT / folder / "README.md").read_text(encoding="utf-8")
    named = dict(re.findall(r"^\| `([^`]+)` .* `([0-9a-f]{64})` \|$", text, re.MULTILINE))
    assert set(named) == {path.name for path in (ROOT / folder).glob("*.js")}
    for name, digest in named.items():
        assert hashlib.sha256((ROOT / folder / name).read_bytes()).hexdigest() == digest
    for licence in re.findall(r"[\w-]+\.LICENSE[\w-]*", text):
        assert (ROOT / folder / licence).is_file()
