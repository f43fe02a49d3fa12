"""Charts as specifications of Vega-Lite, written with Altair; the browser draws them.

A colour is named by the variable of the style sheet that holds it, such as `--leader`, so that light and dark
follow the reader. Specifications have no data in them: they are made once, since Altair checks each.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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


def finished(chart: "altair.TopLevelMixin") -> dict[str, Any]:
    """The specification of a chart over `altair.NamedData("rows")`, as wide as its place."""
    made = chart.to_dict()
    for name in ("$schema", "config"):
        made.pop(name, None)
    return made
