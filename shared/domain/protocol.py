"""What makes the trials of one sweep comparable: the split, the ranking rules, the size of the tables."""

from dataclasses import asdict
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, TypeAdapter
from pydantic.dataclasses import dataclass

from shared.domain.identity import identity_hash


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Protocol:
    """Equal for all trials of a sweep; a sweep file that changes it starts a new sweep.

    `embedding_rows`: "catalogue" gives the item embedding one row an item; "max_id" one row for every
    integer up to the largest item id, as the 2020 reference run did (rows without an item are never used).
    `relevance_threshold`: a validation item counts as relevant from this rating up.
    """

    validation_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.1
    split_seed: Annotated[int, Field(ge=0, strict=True)] = 0
    k: Annotated[int, Field(ge=1, strict=True)] = 20
    min_support: Annotated[int, Field(ge=0, strict=True)] = 1
    relevance_threshold: Annotated[float, Field(allow_inf_nan=False)] = 4.0
    embedding_rows: Literal["catalogue", "max_id"] = "catalogue"

    @property
    def canonical(self) -> dict[str, Any]:
        """JSON form with every field: what is stored with the sweep."""
        return asdict(self)

    @property
    def protocol_hash(self) -> str:
        """16 hex digits; sweeps of one name and data set with the same hash are the same sweep."""
        return identity_hash("protocol", protocol=self)


def parse_protocol(canonical: dict[str, Any]) -> Protocol:
    """Read back what `Protocol.canonical` wrote."""
    return TypeAdapter(Protocol).validate_python(canonical)
