"""Sweep file (TOML) -> SweepSpec. Every key is known, every value checked, every error names its place."""

import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from math import prod
from pathlib import Path
from types import GenericAlias
from typing import Annotated, Any, get_type_hints

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    create_model,
    field_validator,
    model_validator,
)

from scheduler.sweep.mistakes import describe_mistake
from shared.domain.architecture import Architecture, TrainingConfig
from shared.domain.protocol import Protocol
from shared.errors import SpecError
from shared.plain_text import is_one_line, shortened

SWEEPS_DIR = Path(__file__).parents[1] / "sweeps"

_LONGEST_NAME = 100
_MAX_TRIALS = 10_000
_REQUIRED_AXES = ", ".join(field.name for field in fields(Architecture) if field.default is MISSING)


@dataclass(frozen=True)
class SweepSpec:
    """One sweep file.

    `grids`: a mapping of axis name to its values each; the axes are the fields of Architecture and
    TrainingConfig. `training`: settings that hold for every trial unless an axis overrides them.
    `document`: the file as it was read.
    """

    name: str
    grids: tuple[Mapping[str, tuple[Any, ...]], ...]
    training: TrainingConfig
    protocol: Protocol
    document: Mapping[str, Any]


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
        return {name: getattr(self, name) for name in self.model_fields_set}


def _axis_fields() -> dict[str, Any]:
    """The fields of a grid: where a record has a value, the grid has a list of such values."""
    return {
        field.name: (
            GenericAlias(tuple, (types[field.name], ...)),
            Field(... if field.default is MISSING else (), min_length=1),
        )
        for record in (Architecture, TrainingConfig)
        for types in [get_type_hints(record, include_extras=True)]
        for field in fields(record)
    }


_Grid: type[_Axes] = create_model("_Grid", __base__=_Axes, **_axis_fields())


class _SweepFile(BaseModel):
    """All that a sweep file may hold; a table of another kind is a field more."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    grid: Annotated[tuple[_Grid, ...], Field(validate_default=True)] = ()
    training: TrainingConfig = TrainingConfig()
    protocol: Protocol = Protocol()

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
            raise ValueError(f"missing or empty; add a [grid] table with {_REQUIRED_AXES}")
        if isinstance(tables, dict):
            return [tables]
        if not isinstance(tables, list):
            raise ValueError(f"must be a table, [grid], or several, [[grid]]; got {shortened(repr(tables))}")  # noqa: TRY004  Pydantic wants it.
        return tables


_KNOWN_KEYS = {
    "": tuple(_SweepFile.model_fields),
    "grid": tuple(_Grid.model_fields),
    "training": tuple(field.name for field in fields(TrainingConfig)),
    "protocol": tuple(field.name for field in fields(Protocol)),
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


def read_spec(path: Path) -> SweepSpec:
    """Read and validate a sweep file; raises SpecError with file and line or key path."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise SpecError(f"{path}: no such sweep file") from error
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(f"{path}: cannot be read: {error}") from error
    try:
        document = tomllib.loads(text)
    except RecursionError as error:
        raise SpecError(f"{path}: not valid TOML: it is nested too deeply") from error
    except ValueError as error:
        raise SpecError(f"{path}: not valid TOML: {error}") from error
    try:
        file = _SweepFile.model_validate({"name": path.stem, **document})
    except ValidationError as error:
        raise SpecError(f"{path}: {describe_mistake(error, document, _KNOWN_KEYS)}") from error
    return SweepSpec(
        name=file.name,
        grids=tuple(grid.axes() for grid in file.grid),
        training=file.training,
        protocol=file.protocol,
        document=document,
    )
