"""Sweep file (TOML) -> SweepSpec. Every key is known, every value checked, every error names its place."""

import tomllib
from collections.abc import Mapping
from dataclasses import fields
from math import prod
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from shared.domain.architecture import Architecture, TrainingConfig
from shared.domain.protocol import Protocol
from shared.errors import SpecError

SWEEPS_DIR = Path(__file__).parents[1] / "sweeps"

_ARCHITECTURE_KEYS = tuple(field.name for field in fields(Architecture))
_TRAINING_KEYS = tuple(field.name for field in fields(TrainingConfig))
_PROTOCOL_KEYS = tuple(field.name for field in fields(Protocol))
_REQUIRED_AXES = ("merge", "embedding_size", "dense_layers")
_MAX_TRIALS = 10_000


@dataclass(frozen=True)
class SweepSpec:
    """One sweep file.

    `grids`: a mapping of axis name to its values each; the axes are the fields of Architecture and
    TrainingConfig. `training`: settings that hold for every trial unless an axis overrides them.
    """

    name: str
    grids: tuple[Mapping[str, tuple[Any, ...]], ...]
    training: Mapping[str, Any]
    protocol: Protocol
    source: Mapping[str, Any]


def find_sweep_file(name: str) -> Path:
    """The file for `SWEEP=name`: a sweep of `scheduler/sweeps/` or a path to a TOML file."""
    known = sorted(path.stem for path in SWEEPS_DIR.glob("*.toml"))
    if name in known:
        return SWEEPS_DIR / f"{name}.toml"
    if Path(name).suffix == ".toml" or "/" in name:
        return Path(name)
    raise SpecError(f"SWEEP must be one of {', '.join(known)}, or the path of a .toml file; got {name!r}")


def read_spec(path: Path) -> SweepSpec:
    """Read and validate a sweep file; raises SpecError with file and line or key path."""
    try:
        text = path.read_text(encoding="utf-8")
        source = tomllib.loads(text)
    except FileNotFoundError as error:
        raise SpecError(f"{path}: no such sweep file") from error
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(f"{path}: cannot be read: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise SpecError(f"{path}: not valid TOML: {error}") from error
    return _parse(source, path)


def _parse(source: dict[str, Any], path: Path) -> SweepSpec:
    file = f"{path}: "
    _refuse_unknown(source, ("name", "grid", "training", "protocol"), file)
    name = source.get("name", path.stem)
    if not isinstance(name, str) or not name.strip():
        raise SpecError(f"{file}name: must be a non-empty text; got {name!r}")
    training = _table(source.get("training", {}), f"{file}training")
    _refuse_unknown(training, _TRAINING_KEYS, f"{file}training.")
    _check(TrainingConfig, training, f"{file}training")
    protocol_table = _table(source.get("protocol", {}), f"{file}protocol")
    _refuse_unknown(protocol_table, _PROTOCOL_KEYS, f"{file}protocol.")
    protocol: Protocol = _check(Protocol, protocol_table, f"{file}protocol")
    tables = source.get("grid")
    if not tables:
        raise SpecError(f"{file}grid: missing or empty; add a [grid] table with {', '.join(_REQUIRED_AXES)}")
    if isinstance(tables, list):
        grids = [_read_grid(table, training, f"{file}grid[{n}]") for n, table in enumerate(tables)]
    else:
        grids = [_read_grid(tables, training, f"{file}grid")]
    return SweepSpec(name=name, grids=tuple(grids), training=training, protocol=protocol, source=source)


def _read_grid(table: object, training: dict[str, Any], place: str) -> dict[str, tuple[Any, ...]]:
    axes = _table(table, place)
    _refuse_unknown(axes, _ARCHITECTURE_KEYS + _TRAINING_KEYS, f"{place}.")
    missing = [axis for axis in _REQUIRED_AXES if axis not in axes]
    if missing:
        raise SpecError(f"{place}.{missing[0]}: missing; a grid needs {', '.join(_REQUIRED_AXES)}")
    for axis, values in axes.items():
        if not isinstance(values, list) or not values:
            raise SpecError(f"{place}.{axis}: must be a list with at least one value; got {values!r}")
    size = prod(len(values) for values in axes.values())
    if size > _MAX_TRIALS:
        raise SpecError(f"{place}: at most {_MAX_TRIALS} trials; got {size}")
    # Each value is checked beside the first value of the other axes, so that the message names its place.
    required = {axis: axes[axis][0] for axis in _REQUIRED_AXES}
    for axis, values in axes.items():
        record, base = (Architecture, required) if axis in _ARCHITECTURE_KEYS else (TrainingConfig, training)
        for position, value in enumerate(values):
            _check(record, {**base, axis: value}, place, axis=axis, position=position)
    return {axis: tuple(values) for axis, values in axes.items()}


def _table(value: object, place: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise SpecError(f"{place}: must be a table; got {value!r}")
    return value


def _refuse_unknown(table: Mapping[str, Any], known: tuple[str, ...], prefix: str) -> None:
    for key in table:
        if key not in known:
            raise SpecError(f"{prefix}{key}: unknown key; known are {', '.join(known)}")


def _check(
    record: type,
    values: Mapping[str, Any],
    place: str,
    *,
    axis: str | None = None,
    position: int = 0,
) -> Any:  # noqa: ANN401  It returns an instance of `record`.
    try:
        return TypeAdapter(record).validate_python(dict(values))
    except ValidationError as error:
        # An error of another axis is reported where that axis is checked.
        problems = [one for one in error.errors() if axis is None or one["loc"][:1] == (axis,)]
        if not problems:
            return None
        first = problems[0]
        steps = [f"[{part}]" if isinstance(part, int) else f".{part}" for part in first["loc"]]
        if axis is not None:
            steps.insert(1, f"[{position}]")
        message = first["msg"].removeprefix("Value error, ")
        shown = "" if first["type"] == "value_error" else f"; got {first['input']!r}"
        raise SpecError(f"{place}{''.join(steps)}: {message}{shown}") from error
