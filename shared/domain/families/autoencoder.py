"""Autoencoders: the ratings of a row go through a narrow code and come out for every column.

Rows are users with the items they rated (Liang et al. 2018, Variational autoencoders for collaborative
filtering), or items with the users who rated them (Sedhain et al. 2015, AutoRec).
"""

from dataclasses import fields
from typing import ClassVar, Literal

from pydantic.dataclasses import dataclass

from shared.domain.families.ease import Input
from shared.domain.families.label import label_by_differences
from shared.domain.families.memory import items_squared_bytes
from shared.domain.rules import STRICT, Count, NonNegativeFloat, PositiveFloat, PositiveInt, Share
from shared.domain.training import TrainingConfig

Kind = Literal["linear", "dae", "mult_vae", "autorec"]
RowLoss = Literal["squared_error", "softmax"]

_OF_USERS: tuple[Kind, ...] = ("linear", "dae", "mult_vae")
# Settings that mean something for these kinds alone.
_KINDS_OF: dict[str, tuple[Kind, ...]] = {
    "hidden_size": ("dae", "mult_vae"),
    "loss": _OF_USERS,
    "zero_weight": _OF_USERS,
    "input": _OF_USERS,
    "target": _OF_USERS,
    "kl_weight": ("mult_vae",),
    "kl_epochs": ("mult_vae",),
    "ease_weight": _OF_USERS,
    "ease_l2": _OF_USERS,
}


@dataclass(frozen=True, config=STRICT)
class Autoencoder:
    """Rows in, rows out, with a code of `size` numbers between.

    `kind`, of users: "linear"; "dae", with tanh; "mult_vae", whose code is drawn from a normal distribution
    that is kept near the standard one by `kl_weight`, growing to it over the first `kl_epochs`. They rank.
    Of items: "autorec", with a sigmoid code and a squared error on what is rated, beside the mean and the
    biases of user_item_bias. It predicts ratings.
    `hidden_size`: a layer with tanh before the code, 0 for none.

    For users `loss` says how outputs meet targets: "squared_error" on all items, those not rated with target
    0 and weight `zero_weight`; or "softmax" over all items. `input` and `target` are what a rating is worth
    on either side, as in EASE: "stars" as shares of the largest, "ones", or "from_threshold". `dropout` is
    the share of the inputs that is dropped in training. `l2` times the squared kernels is added to the loss.
    `ease_weight`: a score is the output plus this times that of an EASE with `ease_l2`, user weight 0.5 and
    item scaling 0.25, fitted beside; the network is trained as without, and judged with it. 0 for none.
    """

    family: ClassVar[str] = "autoencoder"
    has_epochs: ClassVar[bool] = True
    default_training: ClassVar[TrainingConfig] = TrainingConfig(
        optimizer="adam", learning_rate=0.002, batch_size=256, max_epochs=50, patience=3
    )

    kind: Kind = "dae"
    size: PositiveInt = 400
    hidden_size: Count = 0
    loss: RowLoss = "squared_error"
    zero_weight: PositiveFloat = 0.1
    input: Input = "stars"
    target: Input = "stars"
    dropout: Share = 0.5
    l2: NonNegativeFloat = 0.0
    kl_weight: NonNegativeFloat = 0.2
    kl_epochs: Count = 20
    ease_weight: NonNegativeFloat = 0.0
    ease_l2: PositiveFloat = 300.0

    def __post_init__(self) -> None:
        """What means nothing has its default: configurations that are the same function are one."""
        for field in fields(self):
            if self.kind not in _KINDS_OF.get(field.name, (self.kind,)):
                object.__setattr__(self, field.name, field.default)
        if self.loss == "softmax":
            object.__setattr__(self, "zero_weight", type(self).zero_weight)
        if not self.ease_weight:
            object.__setattr__(self, "ease_l2", type(self).ease_l2)

    @property
    def predicts_ratings(self) -> bool:
        """Only AutoRec is fitted to ratings."""
        return self.kind == "autorec"

    @property
    def scores_histories(self) -> bool:
        """A user has a code of users; AutoRec has outputs for those whom it was trained on."""
        return self.kind != "autorec"

    @property
    def label(self) -> str:
        """By what differs from the defaults."""
        return label_by_differences(self, self.family)

    def expected_cost(self, training: TrainingConfig | None) -> float:
        """Seconds; training of users mostly ends early."""
        training = training or self.default_training
        n_epochs = training.max_epochs / (1 if self.kind == "autorec" else 2)
        return n_epochs * (self.size + self.hidden_size) * 0.004

    def expected_memory_bytes(self, n_users: int, n_items: int, n_ratings: int) -> int:
        """That of the EASE beside it, where there is one."""
        del n_users, n_ratings
        return items_squared_bytes(n_items) if self.ease_weight else 0
