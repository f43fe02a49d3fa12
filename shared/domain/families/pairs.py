"""What families that learn from pairs of a user and an item have in common: their losses.

A pair loss sees the score of one rated pair, and of some unrated pairs of the same user that are drawn at
random for it.
"""

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator

from shared.domain.rules import PositiveInt

Activation = Literal["linear", "relu", "gelu", "tanh", "sigmoid", "elu", "selu", "silu", "softplus"]
Target = Literal["stars", "ones", "from_threshold"]


def _of_pairs(loss: object) -> object:
    if loss == "softmax":
        raise ValueError(
            "softmax compares all items of a user, and this family learns from pairs: take bpr or "
            "squared_error_with_zeros here, or a family that learns from whole users"
        )
    return loss


def _end_in_one(dense_layers: tuple[int, ...]) -> tuple[int, ...]:
    if not dense_layers or dense_layers[-1] != 1:
        raise ValueError(f"the last dense layer must be 1, the predicted rating; got {list(dense_layers)}")
    return dense_layers


# squared_error: of the rated pairs, (score - rating)². The others know the unrated, and their score is no
# rating; t is what a rating is worth (`Target`), w the setting zero_weight, n the setting n_negatives:
# squared_error_with_zeros: (score - t)² + w Σ unrated score²
# bce: softplus(score) - t score + w Σ unrated softplus(score), the cross entropy with the targets t and 0
# bpr: t/n Σ unrated softplus(score of the unrated - score), Rendle et al. 2009
PairLoss = Annotated[
    Literal["squared_error", "squared_error_with_zeros", "bce", "bpr"], BeforeValidator(_of_pairs)
]
DenseLayers = Annotated[tuple[PositiveInt, ...], AfterValidator(_end_in_one)]

# The settings that have a meaning with each loss.
_MEANINGFUL: dict[str, tuple[str, ...]] = {
    "squared_error": (),
    "squared_error_with_zeros": ("n_negatives", "zero_weight", "target"),
    "bce": ("n_negatives", "zero_weight", "target"),
    "bpr": ("n_negatives", "target"),
}

N_NEGATIVES = 8
ZERO_WEIGHT = 1.0
TARGET: Target = "stars"
_DEFAULTS = {"n_negatives": N_NEGATIVES, "zero_weight": ZERO_WEIGHT, "target": TARGET}


def forget_what_has_no_meaning(architecture: object, loss: str) -> None:
    """Set what the loss does not look at to its default: the same function is one architecture."""
    for name, default in _DEFAULTS.items():
        if name not in _MEANINGFUL[loss]:
            object.__setattr__(architecture, name, default)
