"""What each user adds to the metrics: kept for verdicts, and for asking for whom a trial is better."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from shared.datasets.dataset import Dataset
from shared.domain.results import Hits, UserResults
from worker.metrics.ranking import JudgedLists
from worker.ranking.scorers import Float64s


def results_of_users(  # noqa: PLR0917  A part of the split, and what came of it.
    dataset: Dataset,
    rows: npt.NDArray[np.int64],
    n_train_ratings: npt.NDArray[np.int64],
    predictions: Float64s | None,
    judged: JudgedLists,
    by_user: Mapping[str, Float64s],
) -> UserResults:
    """One row for each user with a rating in `rows`; users without a relevant item have no ranking metrics.

    rows: of the data set's ratings      n_train_ratings: (all users,)      predictions: one a row, None
    where no rating is predicted      by_user: ranking metrics of the users of `judged`, by name
    """
    users, user, n_ratings = np.unique(dataset.user_index[rows], return_inverse=True, return_counts=True)
    errors = None if predictions is None else dataset.ratings[rows].astype(np.float64) - predictions
    place = np.searchsorted(users, judged.user_index)
    rankings = {}
    for name, values in by_user.items():
        rankings[name] = np.full(len(users), np.nan, np.float32)
        rankings[name][place] = values

    def total(values: Float64s) -> Float64s:
        return np.bincount(user, weights=values, minlength=len(users)).astype(np.float64, copy=False)

    return UserResults(
        user_index=users.astype(np.int32),
        n_train_ratings=n_train_ratings[users].astype(np.int32),
        n_ratings=n_ratings.astype(np.int32),
        squared_error=None if errors is None else total(errors**2),
        absolute_error=None if errors is None else total(np.abs(errors)),
        rankings=rankings,
        hits=Hits(
            user_index=judged.user_index[judged.user],
            rank=judged.rank.astype(np.int32),
            item_index=judged.item_index,
        ),
    )
