"""What the engine must know of a model that scores pairs, whatever its family."""

import typing
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import tensorflow as tf

from worker.engine.losses import PairLoss

# (dense parameters: kernel, bias, kernel, …; user rows (n_users, width); item rows, (n_pairs, width))
# -> (n_pairs, n_outputs). n_pairs is n_users or a multiple of it: the users in the same order once more.
Forward = Callable[[Sequence[tf.Tensor], tf.Tensor, tf.Tensor], tf.Tensor]


class LeaveOut(typing.Protocol):
    """Dropout: zeros at random places, the others scaled so that the expected value stays."""

    def __call__(self, values: tf.Tensor) -> tf.Tensor:
        """Of the same shape; every call draws other places."""


# As Forward, with the dropout that it applies to the inputs of its dense layers.
NoisyForward = Callable[[Sequence[tf.Tensor], tf.Tensor, tf.Tensor, LeaveOut], tf.Tensor]


def repeat_users(users: tf.Tensor, items: tf.Tensor) -> tf.Tensor:
    """As many rows of users as of items: all of them again and again."""
    n_times = items.shape[0] // users.shape[0]
    return users if n_times == 1 else tf.tile(users, [n_times, 1])


@dataclass(frozen=True)
class Network:
    """A function of a user's row, an item's row and dense parameters. Equal ones share compiled programs.

    A pair may have several outputs: their mean is its score.

    architecture: what it is made from; it decides everything else, with `featured`.
    user_parts, item_parts: names and widths of the weights that side by side make a row, such as embedding
    and bias.
    dense: names of the other weights; `forward` gets them in this order.
    featured: for users and for items, whether their features times a kernel are added to their rows. These
    kernels are the last of the dense weights, behind those that `forward` gets.
    """

    architecture: typing.Hashable
    user_parts: tuple[tuple[str, int], ...]
    item_parts: tuple[tuple[str, int], ...]
    dense: tuple[str, ...]
    loss: PairLoss
    forward: Forward = field(compare=False, repr=False)
    noisy_forward: NoisyForward | None = field(default=None, compare=False, repr=False)
    dropout: float = 0.0
    l2: float = 0.0
    featured: tuple[bool, bool] = (False, False)

    @property
    def n_head(self) -> int:
        """How many of the dense weights `forward` gets."""
        return len(self.dense) - sum(self.featured)

    @property
    def is_plain(self) -> bool:
        """Whether a step needs nothing but rated pairs: no draws, no penalty, no features."""
        return not (self.loss.n_negatives or self.dropout or self.l2 or any(self.featured))
