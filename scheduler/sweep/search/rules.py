"""What a search needs of its sweep file, and what the command line sets of it."""

from collections.abc import Mapping, Sequence
from math import prod
from typing import TYPE_CHECKING, Any

from scheduler.sweep.search.axes import MOST_VALUES, Range
from shared.errors import SpecError

if TYPE_CHECKING:
    from scheduler.sweep.sections import Search
    from scheduler.sweep.spec import FamilyTable


def with_search(document: Mapping[str, Any], asked: Mapping[str, Any]) -> Mapping[str, Any]:
    """The sweep file with what the command line sets under [search]; None: as the file has it.

    A search that becomes a grid has no end of its own: what the file says of it is left out.
    """
    given = {name: value for name, value in asked.items() if value is not None}
    section = document.get("search", {})
    if not given or not isinstance(section, dict):
        return document
    if given.get("method") == "grid":
        section = {}
    return {**document, "search": {**section, **given}}


def require_searchable(search: "Search", tables: Sequence["FamilyTable"], path: object) -> None:
    """Raise SpecError, in a line, where the search and the tables do not go together."""
    if search.method == "grid":
        _require_grid(search, tables, path)
        return
    if search.n_trials is None and search.budget_minutes is None:
        raise SpecError(
            f'{path}: search: method = "{search.method}" needs an end; write n_trials = … or '
            "budget_minutes = … under [search], or set N=40 or BUDGET=10"
        )
    if len(tables) == 1 and all(_n_values(axis) == 1 for axis in tables[0].axes.values()):
        raise SpecError(
            f"{tables[0].place}: a search needs an axis to choose from, and every axis here has one value; "
            "write a list or a range, { from = …, to = … }, for one of them"
        )


def _require_grid(search: "Search", tables: Sequence["FamilyTable"], path: object) -> None:
    for name, variable in (("n_trials", "N"), ("budget_minutes", "BUDGET")):
        if getattr(search, name) is not None:
            raise SpecError(
                f"{path}: search.{name}: a grid runs all its trials; leave {name} ({variable}=…) out, or "
                'write method = "random" or "tpe" under [search] (SEARCH=tpe)'
            )
    for table in tables:
        for name, axis in table.axes.items():
            if isinstance(axis, Range):
                raise SpecError(
                    f"{table.place}.{name}: a grid needs every value of a range; write step = … into it, or "
                    'method = "random" or "tpe" under [search] (SEARCH=tpe N=40)'
                )
        size = prod(_n_values(axis) or 1 for axis in table.axes.values())
        if size > MOST_VALUES:
            raise SpecError(
                f"{table.place}: at most {MOST_VALUES} trials; got {size}; write fewer values, or search "
                "among them (SEARCH=tpe N=40)"
            )


def _n_values(axis: object) -> int | None:
    return axis.size if isinstance(axis, Range) else len(axis)  # type: ignore[arg-type]  # A list of values.
