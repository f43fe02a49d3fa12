"""What makes the trials of one sweep comparable: the split, what wins, the ranking rules."""

import re
from dataclasses import asdict
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter
from pydantic.dataclasses import dataclass

from shared.domain.identity import identity_hash
from shared.domain.rules import STRICT, Count, PositiveInt, Seed, Share

# Metrics that may select, and whether more of it is better.
OBJECTIVES = {
    "rmse": False,
    "mae": False,
    **dict.fromkeys(("ndcg", "recall", "precision", "map", "hit_rate", "mrr"), True),
}
_RATING_METRICS = ("rmse", "mae")


@dataclass(frozen=True, config=STRICT)
class Protocol:
    """Equal for all trials of a sweep; a sweep file that changes it starts a new sweep.

    `split`: "random" by ratings; "temporal": the latest are held out; "leave_last_out": each user's last.
    `validation_fraction` chooses epochs, settings and the winner; `test_fraction` reports once, 0: no test.
    `objective`: the metric that selects, on validation: "rmse", "mae", or a ranking metric such as "ndcg@20",
    whose length is that of the lists, `k`.
    `embedding_rows`: "catalogue" gives the item embedding one row an item; "max_id" one row for every
    integer up to the largest item id, as the 2020 reference run did (rows without an item are never used).
    `relevance_threshold`: a held out item counts as relevant from this rating up; "none": every one does.
    """

    validation_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.1
    split_seed: Seed = 0
    k: PositiveInt = 20
    min_support: Count = 1
    relevance_threshold: Annotated[float, Field(allow_inf_nan=False)] | Literal["none"] = 4.0
    embedding_rows: Literal["catalogue", "max_id"] = "catalogue"
    split: Literal["random", "temporal", "leave_last_out"] = "random"
    test_fraction: Share = 0.0
    objective: str = "rmse"

    def __post_init__(self) -> None:
        if self.validation_fraction + self.test_fraction >= 1:
            raise ValueError(
                "validation_fraction and test_fraction together must leave something to learn from; "
                f"got {self.validation_fraction} and {self.test_fraction}"
            )
        name, length = self._parse_objective()
        known = [one if one in _RATING_METRICS else f"{one}@{self.k}" for one in OBJECTIVES]
        if name not in OBJECTIVES or length not in (None, self.k) or (name in _RATING_METRICS and length):
            raise ValueError(
                f"objective must be one of {', '.join(known)} (k is {self.k}); got {self.objective!r}"
            )
        # With and without the length it is one objective.
        object.__setattr__(self, "objective", name if name in _RATING_METRICS else f"{name}@{self.k}")

    def _parse_objective(self) -> tuple[str, int | None]:
        found = re.fullmatch(r"([a-z_]+)(?:@([1-9][0-9]*))?", self.objective)
        if not found:
            return "", None
        return found.group(1), int(found.group(2)) if found.group(2) else None

    @property
    def is_larger_better(self) -> bool:
        """Whether more of the objective is better."""
        return OBJECTIVES[self.objective.partition("@")[0]]

    @property
    def ranks(self) -> bool:
        """Whether the objective judges lists: else it judges predicted ratings."""
        return self.objective not in _RATING_METRICS

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
