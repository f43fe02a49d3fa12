"""Matrix factorisation by gradient steps, with losses for ratings and for lists.

Koren, Bell, Volinsky 2009, Matrix factorization techniques for recommender systems.
"""

from typing import ClassVar, Literal

from pydantic.dataclasses import dataclass

from shared.domain.families.label import label_by_differences
from shared.domain.families.memory import items_squared_bytes
from shared.domain.rules import STRICT, NonNegativeFloat, PositiveFloat, PositiveInt
from shared.domain.training import TrainingConfig

Loss = Literal["softmax", "squared_error", "squared_error_with_zeros", "bce", "bpr"]

# What penalties were best on MovieLens 1M for each loss, chosen on a tuning part: of users, of items, and the
# exponent. They are defaults as those of a field are: never changed once they were released.
_L2: dict[str, tuple[float, float, float]] = {
    "softmax": (0.5, 0.3, 0.5),
    "squared_error": (0.08, 0.05, 1.0),
    "squared_error_with_zeros": (0.4, 0.4, 0.5),
    "bce": (0.03, 0.03, 0.5),
    "bpr": (0.03, 0.03, 0.5),
}
# Settings that some losses have no use for.
_OWN_SETTINGS: dict[str, tuple[Loss, ...]] = {
    "target": ("softmax", "squared_error_with_zeros", "bce", "bpr"),
    "target_exponent": ("softmax", "squared_error_with_zeros", "bce", "bpr"),
    "zero_weight": ("squared_error_with_zeros", "bce"),
    "negatives": ("bpr",),
    "ease_weight": ("softmax", "squared_error_with_zeros", "bce", "bpr"),
    "ease_l2": ("softmax", "squared_error_with_zeros", "bce", "bpr"),
}


@dataclass(frozen=True, config=STRICT)
class MatrixFactorization:
    """Score: user vector · item vector of `size` numbers, and with `biases` one more number an item (a user).

    `loss`: "squared_error" of the rated pairs, which alone predicts ratings. Or one that knows the unrated
    pairs, against all items: "softmax" over them; "squared_error_with_zeros" and "bce" (cross-entropy), with
    `zero_weight` for every unrated pair; "bpr", each rated item against `negatives` unrated ones.
    `target`, what a rating is worth to these: "stars", (its share of the largest)^`target_exponent`; "ones";
    "from_threshold", where only ratings of `protocol.relevance_threshold` or more count.
    Penalties: user_l2 Σ n^l2_exponent |p|² + item_l2 Σ n^l2_exponent |q|², n ratings of a user or an item;
    of biases too. None: what was best on MovieLens 1M for the loss.
    `ease_weight`, of a loss that ranks: a score is the model's plus this times that of an EASE with
    `ease_l2`, user weight 0.5 and item scaling 0.25, fitted beside; the factors are trained as without, and
    judged with it. 0 for none.
    `training.batch_size` counts ratings for "squared_error", else users with all their ratings.

    A setting that the loss has no use for is at its default, whatever was asked for: the same function is one
    architecture.
    """

    family: ClassVar[str] = "matrix_factorization"
    has_epochs: ClassVar[bool] = True
    scores_histories: ClassVar[bool] = False

    loss: Loss = "softmax"
    size: PositiveInt = 128
    biases: bool = True
    user_l2: NonNegativeFloat | None = None
    item_l2: NonNegativeFloat | None = None
    l2_exponent: NonNegativeFloat | None = None
    target: Literal["stars", "ones", "from_threshold"] = "stars"
    target_exponent: PositiveFloat = 2.0
    zero_weight: PositiveFloat = 0.1
    negatives: PositiveInt = 4
    ease_weight: NonNegativeFloat = 0.0
    ease_l2: PositiveFloat = 300.0

    def __post_init__(self) -> None:
        defaults = type(self).__dataclass_fields__
        idle = {name for name, losses in _OWN_SETTINGS.items() if self.loss not in losses}
        if self.target != "stars":
            idle.add("target_exponent")
        if not self.ease_weight:
            idle.add("ease_l2")
        # What is best for the loss is one architecture, said or not.
        for name, best in zip(("user_l2", "item_l2", "l2_exponent"), _L2[self.loss], strict=True):
            if getattr(self, name) == best:
                idle.add(name)
        for name in idle:
            object.__setattr__(self, name, defaults[name].default)

    @property
    def predicts_ratings(self) -> bool:
        """Only from ratings alone; scores of the others rank."""
        return self.loss == "squared_error"

    @property
    def default_training(self) -> TrainingConfig:
        """Adam with a falling learning rate, in batches of ratings or of users."""
        if self.loss == "squared_error":
            return TrainingConfig(
                "adam", 0.005, batch_size=4096, max_epochs=12, patience=5, schedule="cosine"
            )
        return TrainingConfig("adam", 0.02, batch_size=256, max_epochs=20, patience=5, schedule="cosine")

    @property
    def penalties(self) -> tuple[float, float, float]:
        """user_l2, item_l2 and l2_exponent as they are used."""
        best = _L2[self.loss]
        asked = (self.user_l2, self.item_l2, self.l2_exponent)
        user, item, exponent = (b if a is None else a for a, b in zip(asked, best, strict=True))
        return user, item, exponent

    @property
    def label(self) -> str:
        """By what differs from the defaults."""
        return label_by_differences(self, self.family)

    def expected_cost(self, training: TrainingConfig | None) -> float:
        """Seconds, as measured."""
        training = training or self.default_training
        own = self.size * (0.009 if self.loss == "bpr" else 0.004)
        return training.max_epochs * (0.15 + own)

    def expected_memory_bytes(self, n_users: int, n_items: int, n_ratings: int) -> int:
        """That of the EASE beside it, where there is one."""
        del n_users, n_ratings
        return items_squared_bytes(n_items) if self.ease_weight else 0
