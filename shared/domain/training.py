"""How a family with epochs is trained."""

import math
from dataclasses import fields
from typing import Literal

from pydantic.dataclasses import dataclass

from shared.domain.rules import STRICT, PositiveFloat, PositiveInt, Seed

OptimizerName = Literal["adamax", "adam", "sgd"]
Schedule = Literal["constant", "cosine"]

# Short names of the fields in a label.
_PREFIXES = {
    "optimizer": "",
    "learning_rate": "lr",
    "batch_size": "batch",
    "max_epochs": "epochs",
    "patience": "patience",
    "random_seed": "seed",
    "schedule": "",
}


@dataclass(frozen=True, config=STRICT)
class TrainingConfig:
    """How one architecture is trained. The defaults are those of the 2020 reference run.

    `batch_size`: how many of what a family learns from make a step. These are ratings for a tower, and users
    or items, each with all its ratings, where a family learns in batches of users or items.
    `patience`: epochs in a row that bring nothing better before training ends.
    `schedule`: the learning rate "constant", or "cosine": falling from it to 0 over `max_epochs`.

    It recorded no random seed. Ours was chosen from six, 0 to 5, because its losses fit that log best: how
    well it fits says nothing of other seeds (docs/reference-2020.md). It stays: stored trials stay done.
    """

    optimizer: OptimizerName = "adamax"
    learning_rate: PositiveFloat = 0.001
    batch_size: PositiveInt = 32
    max_epochs: PositiveInt = 30
    patience: PositiveInt = 2
    random_seed: Seed = 4
    schedule: Schedule = "constant"

    def label_parts(self, default: "TrainingConfig") -> list[str]:
        """What differs from the default of the family, in short."""
        names = [one.name for one in fields(self) if getattr(self, one.name) != getattr(default, one.name)]
        return [f"{_PREFIXES[name]}{getattr(self, name)}" for name in names]

    def learning_rate_of(self, epoch: int) -> float:
        """The learning rate in this epoch, counted from 1: r (1 + cos(π (epoch - 1) / max_epochs)) / 2.

        SGDR without restarts, Loshchilov, Hutter 2017, eq. 5, by the epoch.
        """
        if self.schedule == "constant":
            return self.learning_rate
        return self.learning_rate * (1 + math.cos(math.pi * (epoch - 1) / self.max_epochs)) / 2
