"""What a `[grid]` or `[[models]]` table may hold: models made of the configurations of families."""

from dataclasses import MISSING, fields
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, create_model, model_validator

from scheduler.sweep.search.axes import Axis, RangeTable, axis_type
from shared.domain.families import BASELINES, FAMILIES
from shared.domain.families.blend import Blend
from shared.domain.families.tower import Tower
from shared.domain.training import TrainingConfig


class Axes(BaseModel):
    """A table: for each axis that it names, the values or the range, every one checked."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def axes(self) -> dict[str, Axis]:
        """The axes that it names."""
        named = {name: getattr(self, name) for name in self.model_fields_set - {"family"}}
        return {name: axis.axis() if isinstance(axis, RangeTable) else axis for name, axis in named.items()}


def _axes_model(family: type[Any]) -> type[Axes]:
    """The model of a table of this family: where its configuration has a value, the table has a list."""
    records = (family, TrainingConfig) if family.has_epochs else (family,)
    axes: dict[str, Any] = {
        field.name: (
            axis_type(types[field.name]),
            Field(... if field.default is MISSING else ()),
        )
        for record in records
        for types in [get_type_hints(record, include_extras=True)]
        for field in fields(record)
    }
    return create_model(f"_{family.__name__}Axes", __base__=Axes, **axes)


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
    if isinstance(value, dict):
        return value
    is_axis = isinstance(value, list) and (not is_list or (value != [] and isinstance(value[0], list)))
    return value if is_axis else [value]


def _bare(annotation: Any) -> Any:  # noqa: ANN401  A type.
    return get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation


# A blend is of trials, so no table can hold it.
CHOSEN = {
    name: family for name, family in FAMILIES.items() if family not in BASELINES and family is not Blend
}
TABLES = {name: _model_table(family) for name, family in CHOSEN.items()}

if TYPE_CHECKING:

    class Grid(Axes):
        """A [grid] table."""

    class ModelTable(Axes):
        """A [[models]] table."""

        family: str
else:
    Grid = _axes_model(Tower)
    ModelTable = Annotated[Union[tuple(TABLES.values())], Field(discriminator="family")]  # noqa: UP007  A list.
