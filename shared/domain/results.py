"""What a trial leaves: its epochs, its lists, and all of it together."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class EpochRecord:
    """One finished epoch, counted from 1; None is what a family does not have.

    `loss` is what training minimises, of the training data, and `val_loss` the same of validation; `val_rmse`
    is of the predicted ratings on validation. `objective` is that of the sweep on validation, in its own
    direction and unit, where the training looked at it.
    """

    epoch: int
    loss: float
    val_loss: float | None
    val_rmse: float | None
    seconds: float
    objective: float | None = None


@dataclass(frozen=True, eq=False)
class RankedItems:
    """Lists of recommended items, one row an entry, ordered by user_index then rank (from 1).

    user_index, rank, item_index: (n_rows,) int32      score: (n_rows,) float32, what ranks, unclipped
    """

    user_index: npt.NDArray[np.int32]
    rank: npt.NDArray[np.int32]
    item_index: npt.NDArray[np.int32]
    score: npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class RatedItems:
    """Lists of items that users have rated, one row an entry, ordered by user_index then rank (from 1).

    user_index, rank, item_index: (n_rows,) int32      rating: (n_rows,) float32, the user's
    prediction: (n_rows,) float32, the model's, unclipped; None where the model predicts no ratings
    """

    user_index: npt.NDArray[np.int32]
    rank: npt.NDArray[np.int32]
    item_index: npt.NDArray[np.int32]
    rating: npt.NDArray[np.float32]
    prediction: npt.NDArray[np.float32] | None


@dataclass(frozen=True, eq=False)
class Hits:
    """Relevant held out items in the evaluated lists, one row each, ordered by user_index then rank (from 1).

    user_index, rank, item_index: (n_hits,) int32
    """

    user_index: npt.NDArray[np.int32]
    rank: npt.NDArray[np.int32]
    item_index: npt.NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class UserResults:
    """What each user with held out ratings in one part of the split adds to the metrics of a trial.

    user_index: (n_users,) int32, ascending      n_train_ratings: (n_users,) int32, what is learned from
    n_ratings: (n_users,) int32, the held out ones      squared_error, absolute_error: (n_users,) float64,
    sums over these; None where no rating is predicted      rankings: by name of the metric, without its k,
    (n_users,) float32, NaN for users without a relevant item      hits: what the rankings are made of
    """

    user_index: npt.NDArray[np.int32]
    n_train_ratings: npt.NDArray[np.int32]
    n_ratings: npt.NDArray[np.int32]
    squared_error: npt.NDArray[np.float64] | None
    absolute_error: npt.NDArray[np.float64] | None
    rankings: Mapping[str, npt.NDArray[np.float32]]
    hits: Hits


@dataclass(frozen=True, eq=False)
class TrialResult:
    """All that a succeeded trial leaves in the database, written in one transaction.

    `metrics` are by part of the split (validation, test) and name (`rmse`, `ndcg@20`, …); `user_results` by
    part, none where nothing was held out. A family without epochs has none, nor `best_epoch` and `val_loss`;
    one that predicts no ratings has no `val_rmse`; a baseline has no `model_url`. `part_weights`: of a blend.
    """

    n_parameters: int
    best_epoch: int | None
    val_loss: float | None
    val_rmse: float | None
    metrics: Mapping[str, Mapping[str, float]]
    epochs: tuple[EpochRecord, ...]
    recommendations: RankedItems
    rating_predictions: RatedItems
    model_url: str | None
    log_url: str
    train_seconds: float
    peak_memory_bytes: int
    user_results: Mapping[str, UserResults] = field(default_factory=dict)
    part_weights: tuple[float, ...] = ()
