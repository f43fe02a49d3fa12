"""What a person says about their ratings: a TOML source, or the name of a file and nothing else."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from shared.datasets.sources.input_file import is_url
from shared.datasets.sources.left_out import DEFAULT_MAX_SKIPPED, OnError
from shared.datasets.thinning import Duplicates
from shared.domain.rules import Count
from shared.errors import DatasetError
from shared.mistakes import describe_mistake
from shared.plain_text import is_one_line, shortened
from shared.toml_file import read_toml

_LONGEST_NAME = 100
_Name = Annotated[str, Field(min_length=1)]
_Finite = Annotated[float, Field(allow_inf_nan=False)]


class _Table(BaseModel):
    """Where rows come from, and how they are written: what ratings, items and users have in common."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    file: _Name | None = None
    query: _Name | None = None
    database_url_env: _Name | None = None
    columns: tuple[_Name, ...] = ()
    separator: Annotated[str, Field(min_length=1, max_length=1)] | None = None
    encoding: _Name | None = None

    @model_validator(mode="after")
    def _has_one_place(self) -> "_Table":
        places = [name for name in self._places() if getattr(self, name) is not None]
        if len(places) != 1:
            raise ValueError(f"exactly one of {', '.join(self._places())} is wanted; got {places or 'none'}")
        if (self.query is None) != (self.database_url_env is None):
            raise ValueError(
                "query and database_url_env, the name of the environment variable with the database's URL, "
                "belong together; got one without the other"
            )
        return self

    def _places(self) -> tuple[str, ...]:
        return ("file", "query")


class RatingsTable(_Table):
    """`[ratings]`: `user`, `item`, `rating`, `weight`, `time` name columns; what is not named is looked for.

    `known`: the name of a known set in place of a file. `scale`: smallest and largest rating. `implicit`:
    nobody rated; what was viewed or bought counts 1, or by its `weight` w > 0, which is log(1 + w) unless
    `weight_scale` is "linear": a hundred views are not a hundred times one. The others are rules for
    `thinning`.
    """

    known: _Name | None = None
    user: _Name | None = None
    item: _Name | None = None
    rating: _Name | None = None
    weight: _Name | None = None
    weight_scale: Literal["log", "linear"] = "log"
    time: _Name | None = None
    time_format: _Name | None = None
    decimal: Annotated[str, Field(pattern=r"^[.,]$")] | None = None
    scale: tuple[_Finite, _Finite] | None = None
    implicit: bool | None = None
    duplicates: Duplicates | None = None
    min_ratings_per_user: Count = 0
    min_ratings_per_item: Count = 0

    @model_validator(mode="after")
    def _go_together(self) -> "RatingsTable":
        if self.scale is not None and self.scale[0] >= self.scale[1]:
            raise ValueError(f"scale is [smallest, largest]; got {list(self.scale)}")
        if self.implicit and (self.rating is not None or self.scale is not None):
            raise ValueError("implicit = true says that nobody rated: rating and scale do not go with it")
        if self.weight is not None and not self.implicit:
            raise ValueError("weight is of observations that are no ratings; write implicit = true beside it")
        if self.known is not None:
            foreign = self.model_fields_set - {
                *("known", "implicit", "duplicates", "min_ratings_per_user", "min_ratings_per_item")
            }
            if foreign:
                raise ValueError(f"a known set has its own columns; leave out {', '.join(sorted(foreign))}")
        return self

    def _places(self) -> tuple[str, ...]:
        return ("file", "query", "known")


class FeaturesTable(_Table):
    """`[items]` or `[users]`: `id`, for items `title` and `genres`, and `features`, name columns.

    A value of several is divided by "|". A genre is kept as it is, another feature with its column's name.
    """

    id: _Name | None = None
    title: _Name | None = None
    genres: _Name | None = None
    features: tuple[_Name, ...] = ()


class SourceFile(BaseModel):
    """All that a TOML source may hold. `on_error` and `max_skipped` hold for all its files."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    ratings: RatingsTable
    name: str | None = None
    items: FeaturesTable | None = None
    users: FeaturesTable | None = None
    on_error: OnError = "refuse"
    max_skipped: Count = DEFAULT_MAX_SKIPPED

    @field_validator("users")
    @classmethod
    def _have_no_title(cls, users: FeaturesTable | None) -> FeaturesTable | None:
        if users is not None and (users.title or users.genres):
            raise ValueError("users have an id and features; title and genres are of items")
        return users


_KNOWN_KEYS: Mapping[str, Sequence[str]] = {
    "": tuple(SourceFile.model_fields),
    "ratings": tuple(RatingsTable.model_fields),
    "items": tuple(FeaturesTable.model_fields),
    "users": tuple(name for name in FeaturesTable.model_fields if name not in ("title", "genres")),
}


def read_source_file(path: Path) -> SourceFile:
    """Read and validate a TOML source; raises DatasetError with file and line or key path."""
    document = read_toml(path, "TOML source", DatasetError)
    try:
        source = SourceFile.model_validate(document)
    except ValidationError as error:
        raise DatasetError(f"{path}: {describe_mistake(error, document, _KNOWN_KEYS)}") from error
    return source


def beside(folder: Path, file: str) -> str:
    """A file that a TOML source names, as seen from here: paths are from the folder of the source."""
    return file if is_url(file) else str(folder / Path(file).expanduser())


def check_name(name: str, reserved: Sequence[str]) -> str:
    """The name of a data set; raises DatasetError unless it is short, one line and not a known set's."""
    if not name.strip() or len(name) > _LONGEST_NAME or not is_one_line(name):
        raise DatasetError(
            f"the name of a data set is a text of 1 to {_LONGEST_NAME} characters on one line; got "
            f"{shortened(repr(name))}. Give it another: NAME=ratings."
        )
    if name in reserved:
        raise DatasetError(
            f"{name} is the name of a known data set, and these are your own ratings. Give them another: "
            "NAME=ratings."
        )
    return name


def suggest(file: str, columns: Sequence[str], keys: Mapping[str, Any]) -> str:
    """A TOML source that a person can write to say what is meant. `keys`: of `[ratings]`, beside the file."""
    lines = [
        "[ratings]",
        f"file = {_toml(file)}",
        *(f"{name} = {_toml(value)}" for name, value in keys.items()),
        f"# columns of the file: {', '.join(columns)}",
    ]
    return "\n".join(lines)


def _toml(value: object) -> str:
    """JSON writes texts, numbers and lists as TOML does."""
    return json.dumps(value, ensure_ascii=False)
