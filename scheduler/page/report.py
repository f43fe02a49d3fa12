"""A report: the page of one sweep as one HTML file that needs no network and no server."""

import base64
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from itertools import groupby

from markupsafe import Markup
from sqlalchemy import Engine

from scheduler.page.rendering import FOLDER, render
from scheduler.page.view import Parameters, View
from scheduler.page.views import VIEWS
from shared.store.page.report import ReportPlan
from shared.version import code_version

_SCRIPTS = (
    *("vendor/vega.min.js", "vendor/vega-lite.min.js", "vendor/vega-interpreter.js"),
    *("charts.js", "tables.js", "report.js"),
)
_LONGEST_NAME = 80
# Values in attributes and texts have no bare quotation mark: only our own templates can match.
_IDS = re.compile(r' (id|aria-labelledby|for)="([\w-]+)"')


@dataclass(frozen=True)
class Part:
    """One view of a report; `anchor` is where it is."""

    anchor: str
    view: View
    parameters: Parameters
    title: str
    body: Markup


def report_of(engine: Engine, plan: ReportPlan, now: datetime | None = None) -> str:
    """The text of the file."""
    asked = [(view, parameters) for view in VIEWS.values() for parameters in view.of_report(plan)]
    anchors = {_key(view.name, one): f"{view.name}-{n}" for n, (view, one) in enumerate(asked, start=1)}

    def link(name: str, /, **parameters: object) -> str:
        anchor = anchors.get(_key(name, parameters))
        return f"#{anchor}" if anchor else ""

    parts = []
    for view, parameters in asked:
        anchor = anchors[_key(view.name, parameters)]
        context = view.build(view.read(engine, parameters))
        body = render(f"{view.name}.html", link, {"is_report": True, **context})
        parts.append(Part(anchor, view, parameters, context["title"], _with_ids(body, anchor)))
    scripts = [_inline(name) for name in _SCRIPTS]
    style = _inline("page.css")
    context = {
        "title": parts[0].title,
        "policy": _policy(scripts, style),
        "parts": parts,
        "groups": [list(group) for _, group in groupby(parts, key=lambda part: part.view.name)],
        "scripts_inline": [Markup(text) for text in scripts],  # noqa: S704  Our own files.
        "style": Markup(style),  # noqa: S704
        "made_at": now or datetime.now(UTC),
        "version": code_version(),
    }
    return render("report.html", link, context)


def report_name(sweep_name: str) -> str:
    """`report-<sweep>.html`, with an underscore for what does not belong into the name of a file."""
    safe = re.sub(r"[^\w.-]+", "_", sweep_name).strip("._")[:_LONGEST_NAME]
    return f"report-{safe or 'sweep'}.html"


def _key(name: str, parameters: Mapping[str, object]) -> tuple[str, str]:
    known = sorted((key, str(value)) for key, value in parameters.items() if value is not None)
    return name, repr(known)


def _with_ids(body: str, anchor: str) -> Markup:
    """Several views of one kind are in one document: each has ids of its own."""
    return Markup(_IDS.sub(rf' \1="{anchor}-\2"', body))  # noqa: S704  Rendered, and so escaped, before.


@cache
def _inline(name: str) -> str:
    """A file of ours or a library as the inside of an element; none may end it."""
    text = (FOLDER / "static" / name).read_text("utf-8")
    if re.search(r"</(script|style)|<!--", text, re.IGNORECASE):
        raise ValueError(f"scheduler/page/static/{name} cannot stand in a document")
    return f"\n{text}"


def _policy(scripts: list[str], style: str) -> str:
    """As that of the live page, by the hashes of what is in the file; it may ask nobody for anything."""
    hashes = " ".join(f"'{_hash(text)}'" for text in scripts)
    return (
        f"default-src 'none'; script-src {hashes}; style-src '{_hash(style)}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
