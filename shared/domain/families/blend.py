"""Blends: the weighted sum of the standardised scores of trained models of several families."""

import dataclasses
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator
from pydantic.dataclasses import dataclass

from shared.domain.identity import canonical_hash
from shared.domain.rules import STRICT
from shared.domain.training import TrainingConfig

if TYPE_CHECKING:
    from shared.domain.trial import TrialConfig

BlendWeights = Literal["equal", "validation"]


@dataclass(frozen=True, config=STRICT)
class BlendPart:
    """A trial of the same sweep; `config_hash`, by which it is known there, is all of its identity.

    `label` is for the reader, `config` the configuration as it is stored with the trial.
    """

    config_hash: str
    label: Annotated[str, Field(exclude=True)]
    config: Annotated[dict[str, Any], Field(exclude=True)] = dataclasses.field(hash=False)

    @property
    def family(self) -> str:
        """The kind of model."""
        return str(self.config.get("family"))


@dataclass(frozen=True, config=STRICT)
class Blend:
    """Score of a user and an item: Σ over parts of weight · (score - mean) / deviation.

    Mean and deviation are those of the user's scores over all items. `parts` stand in the order of their
    families' names, one of each. `weights`: "equal", or chosen on "validation" by the sweep's objective.
    """

    family: ClassVar[str] = "blend"
    predicts_ratings: ClassVar[bool] = False
    has_epochs: ClassVar[bool] = False

    parts: tuple[BlendPart, ...]
    weights: BlendWeights = "equal"

    @field_validator("parts")
    @classmethod
    def _differ(cls, parts: tuple[BlendPart, ...]) -> tuple[BlendPart, ...]:
        families = [part.family for part in parts]
        if len(parts) < 2 or len(set(families)) < len(parts) or cls.family in families:
            raise ValueError(f"a blend is of two families or more, each once; got {', '.join(families)}")
        return tuple(sorted(parts, key=lambda part: part.family))

    @property
    def configs(self) -> "tuple[TrialConfig, ...]":
        """The configurations of the parts; ValueError where this version cannot read one."""
        from shared.domain.trial import parse_trial_config  # noqa: PLC0415  It knows every family, this one too.

        return tuple(parse_trial_config(part.config) for part in self.parts)

    @property
    def scores_histories(self) -> bool:
        """Whether all parts do."""
        return all(config.architecture.scores_histories for config in self.configs)

    @property
    def label(self) -> str:
        """The families, then the first digits of a hash of the parts: `blend_ease_item_knn_1f2e3d4c`."""
        rule = [] if self.weights == "equal" else [self.weights]
        parts = canonical_hash([part.config_hash for part in self.parts])[:8]
        return "_".join([self.family, *(part.family for part in self.parts), *rule, parts])

    def expected_cost(self, training: TrainingConfig | None) -> float:
        """Seconds, as measured: each ranking of all users takes about one."""
        del training
        return 2.0 if self.weights == "equal" else 30.0

    def expected_memory_bytes(self, n_users: int, n_items: int, n_ratings: int) -> int:
        """The models of the parts, together."""
        from shared.domain.families import expected_memory_of  # noqa: PLC0415  It knows every family.

        sizes = (n_users, n_items, n_ratings)
        return sum(expected_memory_of(config.architecture, *sizes) for config in self.configs)
