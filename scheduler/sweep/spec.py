"""Sweep file (TOML) -> SweepSpec. Every key is known, every value checked, every error names its place."""

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from math import prod
from pathlib import Path
from types import GenericAlias
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    create_model,
    field_validator,
    model_validator,
)

from scheduler.sweep.sections import Blend, Repeats, Search
from shared.domain.families import BASELINES, FAMILIES
from shared.domain.families.tower import Tower
from shared.domain.protocol import Protocol
from shared.domain.stopping import Rule, Stopping
from shared.domain.training import TrainingConfig
from shared.errors import SpecError
from shared.mistakes import describe_mistake
from shared.plain_text import is_one_line, shortened
from shared.toml_file import read_toml

SWEEPS_DIR = Path(__file__).parents[1] / "sweeps"

_LONGEST_NAME = 100
_MAX_TRIALS = 10_000
_REQUIRED_AXES = ", ".join(field.name for field in fields(Tower) if field.default is MISSING)


@dataclass(frozen=True)
class FamilyTable:
    """One `[grid]` or `[[models]]` table: a family, and the values of each axis that it names.

    The axes are fields of the family's configuration and, where it has epochs, of TrainingConfig.
    `place`: the file and the table in it, for messages.
    """

    family: str
    axes: Mapping[str, tuple[Any, ...]]
    place: str


@dataclass(frozen=True)
class SweepSpec:
    """One sweep file.

    `training`: settings that the file names; they hold for every trial of a family with epochs unless an axis
    overrides them. What it does not name is as the family has it (`default_training_of`).
    `document`: the file as it was read. `baselines`: the families that its trials are compared with.
    `lists_kept`: how many best trials keep their lists, None: all.
    """

    name: str
    tables: tuple[FamilyTable, ...]
    training: Mapping[str, Any]
    protocol: Protocol
    document: Mapping[str, Any]
    baselines: tuple[type[Any], ...] = BASELINES
    lists_kept: int | None = None
    search: Search = field(default_factory=Search)
    stopping: Stopping = field(default_factory=Stopping)
    repeats: Repeats | None = None
    blends: tuple[Blend, ...] = ()

    @property
    def grows(self) -> bool:
        """Whether it asks for trials that are only known once others have ended."""
        return self.search.method != "grid" or self.repeats is not None or bool(self.blends)


class _Axes(BaseModel):
    """A grid: for each axis that it varies, the values, of which every one is checked."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="after")
    def _is_small_enough(self) -> "_Axes":
        size = prod(len(values) for values in self.axes().values())
        if size > _MAX_TRIALS:
            raise ValueError(f"at most {_MAX_TRIALS} trials; got {size}")
        return self

    def axes(self) -> dict[str, tuple[Any, ...]]:
        names = self.model_fields_set - {"family"}
        return {name: getattr(self, name) for name in names}


def _axes_model(family: type[Any]) -> type[_Axes]:
    """The model of a table of this family: where its configuration has a value, the table has a list."""
    records = (family, TrainingConfig) if family.has_epochs else (family,)
    axes: dict[str, Any] = {
        field.name: (
            GenericAlias(tuple, (types[field.name], ...)),
            Field(... if field.default is MISSING else (), min_length=1),
        )
        for record in records
        for types in [get_type_hints(record, include_extras=True)]
        for field in fields(record)
    }
    return create_model(f"_{family.__name__}Axes", __base__=_Axes, **axes)


def _model_table(family: type[Any]) -> Any:  # noqa: ANN401  A model made for the family.
    """The model of a `[[models]]` table: each field a value, or a list of values."""
    axes = _axes_model(family)
    types = get_type_hints(family, include_extras=True)
    listed = {field.name for field in fields(family) if get_origin(_bare(types[field.name])) is tuple}

    def as_axes(table: object) -> object:
        if not isinstance(table, dict):
            return table
        return {
            name: value if name == "family" else _as_axis(value, name in listed)
            for name, value in table.items()
        }

    validators: dict[str, Any] = {"as_axes": model_validator(mode="before")(staticmethod(as_axes))}
    name: Any = Literal[family.family]
    return create_model(
        f"_{family.__name__}Table", __base__=axes, __validators__=validators, family=(name, ...)
    )


def _as_axis(value: object, is_list: bool) -> object:
    """A value as an axis with one value; of a field that is itself a list, a list of lists is an axis."""
    is_axis = isinstance(value, list) and (not is_list or (value != [] and isinstance(value[0], list)))
    return value if is_axis else [value]


def _bare(annotation: Any) -> Any:  # noqa: ANN401  A type.
    return get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation


_CHOSEN = {name: family for name, family in FAMILIES.items() if family not in BASELINES}
_TABLES = {name: _model_table(family) for name, family in _CHOSEN.items()}

if TYPE_CHECKING:

    class _Grid(_Axes): ...

    class _ModelTable(_Axes):
        family: str
else:
    _Grid = _axes_model(Tower)
    _ModelTable = Annotated[Union[tuple(_TABLES.values())], Field(discriminator="family")]  # noqa: UP007  A list.


class _Lists(BaseModel):
    """`[lists]`: what is kept of the lists of recommendations and of rating predictions.

    It changes no result: neither the identity of a trial nor the protocol knows of it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    keep: int | Literal["all"] = "all"

    @field_validator("keep", mode="before")
    @classmethod
    def _is_all_or_a_number(cls, keep: object) -> object:
        is_number = isinstance(keep, int) and not isinstance(keep, bool) and 1 <= keep <= _MAX_TRIALS
        if keep != "all" and not is_number:
            raise ValueError(
                f'must be "all" or a whole number from 1 to {_MAX_TRIALS}, of trials that keep their lists; '
                f"got {shortened(repr(keep))}"
            )
        return keep


class _SweepFile(BaseModel):
    """All that a sweep file may hold; a table of another kind is a field more."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    grid: tuple[_Grid, ...] = ()
    models: tuple[_ModelTable, ...] = ()
    training: TrainingConfig = TrainingConfig()
    protocol: Protocol = Protocol()
    lists: _Lists = _Lists()
    search: Search = Search()
    stopping: Stopping = Stopping()
    repeats: Repeats | None = None
    blends: tuple[Blend, ...] = ()

    @field_validator("name", mode="before")
    @classmethod
    def _is_printable(cls, name: object) -> object:
        is_text = isinstance(name, str) and name.strip() and is_one_line(name)
        if not is_text or len(str(name)) > _LONGEST_NAME:
            raise ValueError(
                f"must be a non-empty text of at most {_LONGEST_NAME} characters, without line ends and "
                f'control characters; got {shortened(repr(name))}; write another `name = "…"` into the file'
            )
        return name

    @field_validator("grid", mode="before")
    @classmethod
    def _as_list(cls, tables: object) -> object:
        if not tables:
            raise ValueError(f"empty; a [grid] table has {_REQUIRED_AXES}")
        if isinstance(tables, dict):
            return [tables]
        if not isinstance(tables, list):
            raise ValueError(f"must be a table, [grid], or several, [[grid]]; got {shortened(repr(tables))}")  # noqa: TRY004  Pydantic wants it.
        return tables

    @model_validator(mode="after")
    def _asks_for_something(self) -> "_SweepFile":
        if not self.grid and not self.models:
            raise ValueError(
                f"grid: missing; add a [grid] table with {_REQUIRED_AXES}, "
                f"or [[models]] tables with family = one of {', '.join(_CHOSEN)}"
            )
        return self

    def tables(self, path: Path) -> tuple[FamilyTable, ...]:
        """All tables in the order of the file."""
        grids = [
            FamilyTable(Tower.family, grid.axes(), f"{path}: grid[{number}]")
            for number, grid in enumerate(self.grid)
        ]
        models = [
            FamilyTable(table.family, table.axes(), f"{path}: models[{number}]")
            for number, table in enumerate(self.models)
        ]
        return (*grids, *models)


_KNOWN_KEYS = {
    "": tuple(_SweepFile.model_fields),
    "grid": tuple(_Grid.model_fields),
    **{f"models.{name}": tuple(table.model_fields) for name, table in _TABLES.items()},
    "training": tuple(field.name for field in fields(TrainingConfig)),
    "protocol": tuple(field.name for field in fields(Protocol)),
    "lists": tuple(_Lists.model_fields),
    "search": tuple(Search.model_fields),
    "stopping": tuple(field.name for field in fields(Stopping)),
    "repeats": tuple(Repeats.model_fields),
    "blends": tuple(Blend.model_fields),
}


def find_sweep_file(name: str) -> Path:
    """The file for `SWEEP=name`: a sweep of `scheduler/sweeps/` or a path to a TOML file."""
    known = sorted(path.stem for path in SWEEPS_DIR.glob("*.toml"))
    if name in known:
        return SWEEPS_DIR / f"{name}.toml"
    if Path(name).suffix == ".toml" or "/" in name:
        return Path(name)
    raise SpecError(
        f"SWEEP must be one of {', '.join(known)}, or the path of a .toml file; got {shortened(repr(name))}"
    )


def read_spec(path: Path, stopping: str | None = None) -> SweepSpec:
    """Read and validate a sweep file; raises SpecError with file and line or key path.

    `stopping`: the rule that the command line names; it is as if the file did.
    """
    document = read_toml(path, "sweep file", SpecError)
    if stopping is None:
        return parse_spec(document, path)
    rules = get_args(Rule)
    if stopping not in rules:
        raise SpecError(f"STOPPING must be one of {', '.join(rules)}; got {shortened(repr(stopping))}")
    section = document.get("stopping", {})
    of_file = section if isinstance(section, dict) else {}
    # The file is checked as it is, too.
    parse_spec(document, path)
    return parse_spec({**document, "stopping": {**of_file, "rule": stopping}}, path)


def parse_spec(document: Mapping[str, Any], path: Path) -> SweepSpec:
    """Validate a sweep file as it was read, such as the one stored with a sweep; `path` for messages."""
    try:
        file = _SweepFile.model_validate({"name": path.stem, **document})
    except ValidationError as error:
        raise SpecError(f"{path}: {describe_mistake(error, document, _KNOWN_KEYS)}") from error
    return SweepSpec(
        name=file.name,
        tables=file.tables(path),
        training={name: getattr(file.training, name) for name in document.get("training", {})},
        protocol=file.protocol,
        document=document,
        lists_kept=None if file.lists.keep == "all" else file.lists.keep,
        search=file.search,
        stopping=file.stopping,
        repeats=file.repeats,
        blends=file.blends,
    )
