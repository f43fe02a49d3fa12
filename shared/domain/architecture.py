"""What a trial is asked to do: frozen, validated configurations with a canonical form and a label."""

import json
from dataclasses import asdict, fields
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter, ValidationError, model_validator
from pydantic.dataclasses import dataclass

from shared.domain.identity import identity_hash

Merge = Literal["concatenate", "multiply", "average", "dot"]
Activation = Literal["linear", "relu", "gelu", "tanh", "sigmoid", "elu", "selu", "silu", "softplus"]
OptimizerName = Literal["adamax", "adam", "sgd"]
Baseline = Literal["item_popularity", "user_item_bias"]

_STRICT = ConfigDict(extra="forbid", strict=False)
_PositiveInt = Annotated[int, Field(ge=1, strict=True)]


def _end_in_one(dense_layers: tuple[int, ...]) -> tuple[int, ...]:
    if not dense_layers or dense_layers[-1] != 1:
        raise ValueError(f"the last dense layer must be 1, the predicted rating; got {list(dense_layers)}")
    return dense_layers


@dataclass(frozen=True, config=_STRICT)
class Architecture:
    """One model: two embeddings, how they merge, and the dense layers above.

    `activation` follows every dense layer but the last, which is always linear. So it has no meaning with a
    single dense layer, and is "linear" there whatever was asked for: the same function is one architecture.
    """

    merge: Merge
    embedding_size: _PositiveInt
    dense_layers: Annotated[tuple[_PositiveInt, ...], AfterValidator(_end_in_one)]
    activation: Activation = "linear"

    def __post_init__(self) -> None:
        if len(self.dense_layers) == 1:
            object.__setattr__(self, "activation", "linear")

    @property
    def is_linear(self) -> bool:
        """Whether the head is one affine map of the merged vector."""
        return self.activation == "linear"


@dataclass(frozen=True, config=_STRICT)
class TrainingConfig:
    """How one architecture is trained. The defaults are those of the 2020 reference run.

    It recorded no random seed. Ours was chosen from six, 0 to 5, because its losses fit that log best: how
    well it fits says nothing of other seeds (docs/reference-2020.md). It stays: stored trials stay done.
    """

    optimizer: OptimizerName = "adamax"
    learning_rate: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 0.001
    batch_size: _PositiveInt = 32
    max_epochs: _PositiveInt = 30
    patience: _PositiveInt = 2
    random_seed: Annotated[int, Field(ge=0, strict=True)] = 4


# Short names of the fields that a label lists only when they differ from their default.
_LABEL_PREFIXES = {
    "activation": "",
    "optimizer": "",
    "learning_rate": "lr",
    "batch_size": "batch",
    "max_epochs": "epochs",
    "patience": "patience",
    "random_seed": "seed",
}


@dataclass(frozen=True, config=_STRICT)
class TrialConfig:
    """Either an architecture with its training, or one of the two baselines."""

    architecture: Architecture | None = None
    training: TrainingConfig | None = None
    baseline: Baseline | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> "TrialConfig":
        if (self.baseline is None) == (self.architecture is None) or (self.architecture is None) != (
            self.training is None
        ):
            raise ValueError("a trial is an architecture with its training, or a baseline")
        return self

    @property
    def label(self) -> str:
        """Readable name, unique per configuration: `concatenate_50_64_32_1`, `dot_8_1_relu_adam_seed3`."""
        if self.architecture is None or self.training is None:
            return f"baseline_{self.baseline}"
        architecture = self.architecture
        parts = [architecture.merge, str(architecture.embedding_size), *map(str, architecture.dense_layers)]
        for record in (architecture, self.training):
            for field in fields(record):
                value = getattr(record, field.name)
                if field.name in _LABEL_PREFIXES and value != field.default:
                    parts.append(f"{_LABEL_PREFIXES[field.name]}{value}")
        return "_".join(parts)

    @property
    def family(self) -> str:
        """The kind of model: `tower`, or the name of the baseline."""
        return self.baseline or "tower"

    @property
    def canonical(self) -> dict[str, Any]:
        """JSON form with every field, without empty parts: what is stored."""
        parts = {"architecture": self.architecture, "training": self.training}
        present = {name: asdict(part) for name, part in parts.items() if part is not None}
        return dict(json.loads(json.dumps({"family": self.family, **present})))

    @property
    def config_hash(self) -> str:
        """16 hex digits; configurations that are the same function, trained the same way, share it."""
        return identity_hash(self.family, architecture=self.architecture, training=self.training)


def parse_trial_config(canonical: dict[str, Any]) -> TrialConfig:
    """Read back what `TrialConfig.canonical` wrote; ValueError, in a line, for what it cannot read."""
    parts = dict(canonical)
    family = parts.pop("family", None)
    if family in get_args(Baseline):
        parts["baseline"] = family
    elif family != "tower":
        raise ValueError(f"family must be tower, {' or '.join(get_args(Baseline))}; got {family!r}")
    try:
        return TypeAdapter(TrialConfig).validate_python(parts)
    except ValidationError as error:
        first = error.errors()[0]
        raise ValueError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from error
