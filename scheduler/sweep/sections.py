"""Sections of a sweep file: by what a sweep grows, and which lists are kept."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from scheduler.sweep.search.axes import MOST_VALUES
from shared.domain.rules import PositiveFloat, PositiveInt, Seed
from shared.plain_text import shortened

SearchMethod = Literal["grid", "random", "tpe"]

_MOST_SEEDS = 100


class Search(BaseModel):
    """`[search]`: how trials are chosen from the tables of the file.

    `method`: "grid": every combination; "random"; "tpe", tree-structured Parzen estimators (Bergstra et al.
    2011). It ends after `n_trials` or `budget_minutes`, whichever is first.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    method: SearchMethod = "grid"
    n_trials: Annotated[PositiveInt, Field(le=MOST_VALUES)] | None = None
    seed: Seed = 0
    budget_minutes: PositiveFloat | None = None


class Repeats(BaseModel):
    """`[repeats]`, or `repeats = 3`: the best configurations are trained with so many random seeds each."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    seeds: Annotated[int, Field(ge=2, le=_MOST_SEEDS)]
    of_best: PositiveInt | Literal["all"] = "all"

    @model_validator(mode="before")
    @classmethod
    def _number_is_seeds(cls, value: object) -> object:
        is_number = isinstance(value, int) and not isinstance(value, bool)
        return {"seeds": value} if is_number else value


class Blend(BaseModel):
    """`[[blends]]`: the weighted sum of the scores of the best trials of different families.

    `of_best`: of so many families; `families` names them instead. `weights`: "equal", or chosen on
    "validation".
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    of_best: Annotated[int, Field(ge=2, strict=True)] = 3
    families: Annotated[tuple[str, ...], Field(min_length=2)] | tuple[()] = ()
    weights: Literal["equal", "validation"] = "equal"

    @model_validator(mode="after")
    def _names_or_counts(self) -> "Blend":
        if self.families and "of_best" in self.model_fields_set:
            raise ValueError("a blend has of_best or families, not both")
        if len(set(self.families)) < len(self.families):
            raise ValueError(f"families: each once; got {', '.join(self.families)}")
        return self

    @property
    def n_families(self) -> int:
        """Of how many families it is."""
        return len(self.families) or self.of_best


class KeptLists(BaseModel):
    """`[lists]`: what is kept of the lists of recommendations and of rating predictions.

    It changes no result: neither the identity of a trial nor the protocol knows of it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    keep: int | Literal["all"] = "all"

    @field_validator("keep", mode="before")
    @classmethod
    def _is_all_or_a_number(cls, keep: object) -> object:
        is_number = isinstance(keep, int) and not isinstance(keep, bool) and 1 <= keep <= MOST_VALUES
        if keep != "all" and not is_number:
            raise ValueError(
                f'must be "all" or a whole number from 1 to {MOST_VALUES}, of trials that keep their lists; '
                f"got {shortened(repr(keep))}"
            )
        return keep
