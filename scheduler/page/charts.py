"""Charts as specifications of Vega-Lite, written with Altair; the browser draws them.

A colour is named by the variable of the style sheet that holds it, such as `--leader`, so that light and dark
follow the reader. Specifications have no data in them: they are made once, since Altair checks each.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import altair


@dataclass(frozen=True)
class Chart:
    """One chart; `description` says in words what it shows, for those who do not see it.

    `rows` are of `columns`; the specification takes them from the data set `rows`.
    """

    title: str
    description: str
    spec: Mapping[str, Any]
    columns: tuple[str, ...]
    rows: Sequence[Sequence[object]]
    note: str = ""

    @property
    def payload(self) -> dict[str, object]:
        """What the script in the browser is given."""
        return {"spec": self.spec, "columns": self.columns, "rows": self.rows}


# How a trial stands beside the others, and the colour of that; one for all charts.
KINDS = {
    "leader": "--leader",
    "better": "--accent",
    "tie": "--tie",
    "baseline": "--baseline",
    "other": "--faint",
}


def colour_by(column: str, colours: Mapping[str, str], present: Sequence[str]) -> "altair.Color":
    """A column of kinds by the colour of each, with a legend of those present where they are several."""
    import altair  # noqa: PLC0415  Slow to load, and the commands do not need it.

    shown = [name for name in colours if name in present]
    legend = altair.Legend(title=None) if len(shown) > 1 else None
    scale = altair.Scale(domain=shown, range=[colours[name] for name in shown])
    return altair.Color(f"{column}:N", scale=scale, legend=legend)


@cache
def load_grammar() -> None:
    """Load what makes specifications, with its schema, so that nobody waits for it at a first look."""
    import altair  # noqa: PLC0415  Slow to load, and the commands do not need it.

    finished(
        altair.Chart(altair.NamedData("rows")).mark_point().encode(x="x:Q", color=colour_by("kind", {}, ()))
    )


def finished(chart: "altair.TopLevelMixin") -> dict[str, Any]:
    """The specification of a chart over `altair.NamedData("rows")`, as wide as its place."""
    made = chart.to_dict()
    for name in ("$schema", "config"):
        made.pop(name, None)
    return made
