"""Templates: every value is escaped, a missing one is an error, and data in a script cannot end it."""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from scheduler.page import words
from scheduler.page.view import Links

FOLDER = Path(__file__).parent
# In the order in which they are loaded.
SCRIPTS = (
    *("vendor/vega.min.js", "vendor/vega-lite.min.js", "vendor/vega-interpreter.js"),
    *("refresh.js", "charts.js", "tables.js"),
)
# As characters they could end the element; as escapes they mean the same to JSON.
_ESCAPES = str.maketrans(
    {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}
)


@cache
def environment() -> Environment:
    """All templates share it."""
    made = Environment(
        loader=FileSystemLoader(FOLDER / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    for name in ("number", "count", "duration", "size", "moment", "plural"):
        made.filters[name] = getattr(words, name)
    made.filters["script_json"] = script_json
    return made


def load_templates() -> None:
    """Read all of them now: a service goes on with its own while newer code is put beside it."""
    for name in environment().list_templates():
        environment().get_template(name)


def render(template: str, links: Links, context: Mapping[str, Any]) -> str:
    """The text of a template; `links` is called `link` there."""
    return environment().get_template(template).render({**context, "link": links, "scripts": SCRIPTS})


def script_json(value: object) -> Markup:
    """JSON for the inside of `<script type="application/json">`."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return Markup(text.translate(_ESCAPES))  # noqa: S704
