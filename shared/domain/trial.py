"""What one trial is asked to do: an architecture and, where it is trained in epochs, how."""

import json
from dataclasses import asdict, fields
from typing import Any, get_args

from pydantic import TypeAdapter, ValidationError, model_validator
from pydantic.dataclasses import dataclass

from shared.domain.families import BASELINES, FAMILIES, default_training_of
from shared.domain.identity import identity_hash
from shared.domain.rules import STRICT
from shared.domain.training import Schedule, TrainingConfig


@dataclass(frozen=True, config=STRICT)
class TrialConfig:
    """An architecture of any family, with its training where the family has epochs."""

    architecture: Any
    training: TrainingConfig | None = None

    @model_validator(mode="after")
    def _belongs_together(self) -> "TrialConfig":
        architecture = self.architecture
        if type(architecture) not in FAMILIES.values():
            raise ValueError(f"an architecture must be of one of {', '.join(FAMILIES)}; got {architecture!r}")
        if architecture.has_epochs != (self.training is not None):
            rule = "needs" if architecture.has_epochs else "has no epochs and takes no"
            raise ValueError(f"{architecture.family} {rule} training settings")
        if self.training is not None:
            known = getattr(architecture, "schedules", get_args(Schedule))
            if self.training.schedule not in known:
                raise ValueError(
                    f"schedule of {architecture.family} must be {' or '.join(known)}; "
                    f"got {self.training.schedule!r}"
                )
        return self

    @property
    def family(self) -> str:
        """The kind of model."""
        return str(self.architecture.family)

    @property
    def is_baseline(self) -> bool:
        """Whether it is one of the baselines of every sweep."""
        return type(self.architecture) in BASELINES

    @property
    def label(self) -> str:
        """Readable name, unique per configuration: `concatenate_50_64_32_1`, `dot_8_1_adam_seed3`."""
        parts = []
        if self.training is not None:
            parts = self.training.label_parts(default_training_of(self.architecture))
        return "_".join([self.architecture.label, *parts])

    @property
    def expected_cost(self) -> float:
        """About the seconds that a core needs on MovieLens 1M: the longest trials start first."""
        return float(self.architecture.expected_cost(self.training))

    @property
    def random_seed(self) -> int | None:
        """The seed of everything random in it; None where nothing is."""
        return getattr(self.training or self.architecture, "random_seed", None)

    @property
    def canonical(self) -> dict[str, Any]:
        """JSON form with every field: what is stored."""
        parts = {"family": self.family, "architecture": asdict(self.architecture)}
        if self.training is not None:
            parts["training"] = asdict(self.training)
        return dict(json.loads(json.dumps(parts)))

    @property
    def config_hash(self) -> str:
        """16 hex digits; configurations that are the same function, trained the same way, share it."""
        chosen = self.architecture if fields(self.architecture) else None
        return identity_hash(self.family, architecture=chosen, training=self.training)


def parse_trial_config(canonical: dict[str, Any]) -> TrialConfig:
    """Read back what `TrialConfig.canonical` wrote; ValueError, in a line, for what it cannot read."""
    family = str(canonical.get("family"))
    if family not in FAMILIES:
        raise ValueError(f"family must be one of {', '.join(FAMILIES)}; got {family!r}")
    unknown = sorted(canonical.keys() - {"family", "architecture", "training"})
    if unknown:
        raise ValueError(
            f"a configuration has a family, an architecture and training; got {', '.join(unknown)}"
        )
    try:
        architecture = TypeAdapter(FAMILIES[family]).validate_python(canonical.get("architecture", {}))
        return TypeAdapter(TrialConfig).validate_python(
            {"architecture": architecture, "training": canonical.get("training")}
        )
    except ValidationError as error:
        first = error.errors()[0]
        raise ValueError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from error
