"""What a view of the page is: an address, its parameters, what it reads, what its template is given."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol
from urllib.parse import quote, urlencode

from sqlalchemy import Engine

from shared.errors import SpecError
from shared.plain_text import shortened
from shared.store.page.report import ReportPlan

Parameters = Mapping[str, Any]
_LARGEST_INTEGER = 2**31 - 1
_LONGEST_TEXT = 400


class Links(Protocol):
    """Gives the address of a view: of the live page, or within a report; empty where it is not there."""

    def __call__(self, view: str, /, **parameters: object) -> str:
        """The address of the view of this name with these parameters."""
        ...


def _in_no_report(plan: ReportPlan) -> Sequence[Parameters]:
    del plan
    return ()


@dataclass(frozen=True)
class View:
    """One view; `name` is also that of its template and of its file of SQL.

    `path` is its address. A number may be a part of it, `{sweep_id}`; texts come after `?`, where a slash or
    two dots mean themselves. `read` asks the database, and raises SpecError where there is nothing of that
    name. `build` is pure: it turns the records into what the template is given, live and in a report.
    `of_report` says with which parameters it is in a report.
    """

    name: str
    path: str
    read: Callable[[Engine, Parameters], Any]
    build: Callable[[Any], Mapping[str, Any]]
    parameters: Mapping[str, Literal["integer", "text", "integers"]] = field(default_factory=dict)
    of_report: Callable[[ReportPlan], Sequence[Parameters]] = _in_no_report

    def parse(self, given: Mapping[str, str]) -> dict[str, Any]:
        """The parameters of an address with their types, None where it has none; others are left out.

        Raises SpecError for a value that its type does not allow.
        """
        return {name: _parse(name, kind, given.get(name)) for name, kind in self.parameters.items()}

    def address(self, parameters: Mapping[str, object]) -> str:
        """Its address with these parameters."""
        known = {name: _text(value) for name, value in parameters.items() if value is not None}
        names = [name for name in known if f"{{{name}}}" in self.path]
        in_path = {name: quote(known.pop(name), safe="") for name in names}
        rest = urlencode(known)
        return self.path.format(**in_path) + (f"?{rest}" if rest else "")

    def sql_address(self, parameters: Mapping[str, object]) -> str:
        """Where the statements behind it are shown."""
        return replace(self, path=f"/sql/{self.name}").address(parameters)


def _text(value: object) -> str:
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ",".join(str(one) for one in value)
    return str(value)


def _parse(name: str, kind: str, value: str | None) -> Any:  # noqa: ANN401
    if value is None or not value.strip():
        return None
    if kind == "integers":
        return [_integer(name, one) for one in value.split(",") if one.strip()]
    if kind == "integer":
        return _integer(name, value)
    if "\0" in value or len(value) > _LONGEST_TEXT:
        raise SpecError(
            f"{name} must be a text of at most {_LONGEST_TEXT} characters without NUL; "
            f"got {shortened(repr(value))}"
        )
    return value


def _integer(name: str, value: str) -> int:
    digits = value.strip()
    if not (digits.isascii() and digits.isdigit()) or len(digits) > 10 or int(digits) > _LARGEST_INTEGER:
        raise SpecError(
            f"{name} must be a whole number from 0 to {_LARGEST_INTEGER}; got {shortened(repr(value))}"
        )
    return int(digits)
