"""Sweep file (TOML) -> SweepSpec. Every key is known, every value checked, every error names its place."""

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    ValidationError,
    field_validator,
    model_validator,
)

from scheduler.sweep.family_tables import CHOSEN, TABLES, Grid, ModelTable
from scheduler.sweep.search.axes import Axis
from scheduler.sweep.search.rules import require_searchable, with_search
from scheduler.sweep.sections import Blend, KeptLists, Repeats, Search
from shared.domain.families import BASELINES
from shared.domain.families.blend import Blend as BlendFamily
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
_REQUIRED_AXES = ", ".join(field.name for field in fields(Tower) if field.default is MISSING)


@dataclass(frozen=True)
class FamilyTable:
    """One `[grid]` or `[[models]]` table: a family, and the values or the range of each axis that it names.

    The axes are fields of the family's configuration and, where it has epochs, of TrainingConfig.
    `place`: the file and the table in it, for messages.
    """

    family: str
    axes: Mapping[str, Axis]
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


class _SweepFile(BaseModel):
    """All that a sweep file may hold; a table of another kind is a field more."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    grid: tuple[Grid, ...] = ()
    models: tuple[ModelTable, ...] = ()
    training: TrainingConfig = TrainingConfig()
    protocol: Protocol = Protocol()
    lists: KeptLists = KeptLists()
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

    @field_validator("models", mode="before")
    @classmethod
    def _has_no_blends(cls, tables: object) -> object:
        for number, table in enumerate(tables if isinstance(tables, list) else []):
            if isinstance(table, dict) and table.get("family") == BlendFamily.family:
                raise ValueError(
                    f"[{number}]: a blend is of trials of the sweep, so it is no [[models]] table; write "
                    '[[blends]] with of_best = 3, or families = ["…", "…"]'
                )
        return tables

    @model_validator(mode="after")
    def _has_parts_of_blends(self) -> "_SweepFile":
        families = {*([Tower.family] if self.grid else []), *(table.family for table in self.models)}
        for number, blend in enumerate(self.blends):
            if not self.protocol.ranks:
                raise ValueError(
                    f"blends[{number}]: a blend ranks and predicts no ratings, and the objective "
                    f"{self.protocol.objective} judges ratings; write another under [protocol], such as ndcg"
                )
            unknown = [name for name in blend.families if name not in families]
            if unknown or blend.n_families > len(families):
                asked = f"{', '.join(unknown)}" if unknown else f"of_best = {blend.n_families}"
                raise ValueError(
                    f"blends[{number}]: a blend is of different families that the file has trials of: "
                    f"{', '.join(sorted(families))}; got {asked}"
                )
        return self

    @model_validator(mode="after")
    def _asks_for_something(self) -> "_SweepFile":
        if not self.grid and not self.models:
            raise ValueError(
                f"grid: missing; add a [grid] table with {_REQUIRED_AXES}, "
                f"or [[models]] tables with family = one of {', '.join(CHOSEN)}"
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
    "grid": tuple(Grid.model_fields),
    **{f"models.{name}": tuple(table.model_fields) for name, table in TABLES.items()},
    "training": tuple(field.name for field in fields(TrainingConfig)),
    "protocol": tuple(field.name for field in fields(Protocol)),
    "lists": tuple(KeptLists.model_fields),
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


def read_spec(path: Path, search: Mapping[str, Any] | None = None, stopping: str | None = None) -> SweepSpec:
    """Read and validate a sweep file; raises SpecError with file and line or key path.

    `search`, `stopping`: what the command line sets under [search], and the rule under [stopping]; they
    become part of the document.
    """
    document = read_toml(path, "sweep file", SpecError)
    if stopping is not None:
        document = _with_stopping(document, stopping, path)
    return parse_spec(with_search(document, search or {}), path)


def _with_stopping(document: Mapping[str, Any], rule: str, path: Path) -> dict[str, Any]:
    rules = get_args(Rule)
    if rule not in rules:
        raise SpecError(f"STOPPING must be one of {', '.join(rules)}; got {shortened(repr(rule))}")
    section = document.get("stopping", {})
    of_file = section if isinstance(section, dict) else {}
    # The file is checked as it is, too.
    parse_spec(document, path)
    return {**document, "stopping": {**of_file, "rule": rule}}


def parse_spec(document: Mapping[str, Any], path: Path) -> SweepSpec:
    """Validate a sweep file as it was read, such as the one stored with a sweep; `path` for messages."""
    try:
        file = _SweepFile.model_validate({"name": path.stem, **document})
    except ValidationError as error:
        raise SpecError(f"{path}: {describe_mistake(error, document, _KNOWN_KEYS)}") from error
    tables = file.tables(path)
    require_searchable(file.search, tables, path)
    return SweepSpec(
        name=file.name,
        tables=tables,
        training={name: getattr(file.training, name) for name in document.get("training", {})},
        protocol=file.protocol,
        document=document,
        lists_kept=None if file.lists.keep == "all" else file.lists.keep,
        search=file.search,
        stopping=file.stopping,
        repeats=file.repeats,
        blends=file.blends,
    )
