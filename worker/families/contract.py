"""What every family offers, and what it is given.

A family is the module `worker/families/<name>.py` (or a package of that name) with two functions:

    fit(architecture, training, data, context) -> Fitted
    make_scorer(architecture, weights, data) -> Scorer

`fit` learns from `data.train` alone. `make_scorer` is what ranks and predicts, after the fit and again
whenever the saved weights are read: it depends on its arguments alone.

A family whose models are files of another kind than npz has `FILE_SUFFIX` and `read_model(content) ->
weights` too, which raises TrialError "artifact" for any other file, and its `fit` gives the file.
"""

import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt
import scipy.sparse

from shared.domain.results import EpochRecord
from worker.observations import Observations
from worker.ranking.scorers import Scorer

Weights = Mapping[str, npt.NDArray[typing.Any]]


@dataclass(frozen=True, eq=False)
class FitData:
    """What a family may learn from. Every index is below its number of users or items.

    `train` is learned from, `validation` chooses when to stop; it is empty for a refit.
    item_features, user_features: (n, n_features) float32 or None where the source has none. rating_range:
    smallest and largest rating of the data set. relevance_threshold: from this rating up an item counts as
    liked. n_item_rows: rows of an item table, of which the first n_items are items
    (`protocol.embedding_rows`); None: as many as items.
    """

    n_users: int
    n_items: int
    train: Observations
    validation: Observations
    rating_range: tuple[float, float]
    relevance_threshold: float
    user_features: npt.NDArray[np.float32] | None = None
    item_features: npt.NDArray[np.float32] | None = None
    n_item_rows: int | None = None

    @cached_property
    def by_user(self) -> scipy.sparse.csr_matrix:
        """(n_users, n_items) float32: the training ratings, column indices ascending in each row."""
        shape = (self.n_users, self.n_items)
        pairs = (self.train.rating, (self.train.user_index, self.train.item_index))
        matrix = scipy.sparse.csr_matrix(pairs, shape, dtype=np.float32)
        matrix.sort_indices()
        return matrix


class CheckpointStore(typing.Protocol):
    """Where the one checkpoint of a trial is kept."""

    def load(self) -> bytes | None:
        """The last content saved, None when there is none."""

    def save(self, content: bytes) -> None:
        """Replace the content, wholly or not at all."""


@dataclass(frozen=True, eq=False)
class FittedPart:
    """The model of a part of a blend: its arrays, and how many numbers it learned.

    weight: of its scores, where that was chosen before.
    """

    weights: Weights
    n_parameters: int
    weight: float | None = None


@dataclass(frozen=True, eq=False)
class FitContext:
    """How a fit is followed and stopped.

    `check_stop` is called about every second and stops by raising. `objective_of` gives the sweep's objective
    on validation, larger is better, by full ranking where it is a ranking metric; the sign is turned where
    less of it is better (`is_larger_better` False: rmse, mae). It is None where the objective does not exist:
    of ratings for a model that predicts none, of lists without a relevant item in validation. `n_epochs`: of
    a refit, which has no validation: exactly so many of the epochs of its training, schedules as they were.
    `parts`: of a blend, in the order of its configuration.
    """

    check_stop: Callable[[], None] = lambda: None
    on_epoch: Callable[[EpochRecord], None] = lambda _: None
    objective_of: Callable[[Scorer], float] | None = None
    checkpoint: CheckpointStore | None = None
    is_larger_better: bool = True
    n_epochs: int | None = None
    parts: Sequence[FittedPart] = ()


@dataclass(frozen=True, eq=False)
class Fitted:
    """What was learned: named arrays, all that `make_scorer` needs besides the data.

    n_parameters: trained numbers. A family without epochs has none, and no best one. val_loss and val_rmse
    are those of the best epoch. file: the model as a file, where that is not the npz of the weights;
    summary: of its parts, for the log. part_weights: of a blend, those of its parts in their order.
    """

    weights: Weights
    n_parameters: int
    epochs: tuple[EpochRecord, ...] = field(default=())
    best_epoch: int | None = None
    val_loss: float | None = None
    val_rmse: float | None = None
    file: bytes | None = None
    summary: str = ""
    part_weights: tuple[float, ...] = ()
