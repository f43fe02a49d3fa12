"""The evaluated lists of some users, by one scorer after the other: for the objective after each epoch."""

import numpy as np
import numpy.typing as npt

from shared.domain.results import RankedItems
from worker.ranking.scorers import Indices, Scorer
from worker.ranking.top_k import (
    Pairs,
    best_places,
    cut_lists,
    join_lists,
    kth_largest_floor,
    score_users,
    shuffled,
    users_at_once,
)


class JudgedUsers:
    """Ranks the catalogue minus the training items for these users, as `Rankings.evaluated["validation"]`."""

    def __init__(
        self,
        users: npt.NDArray[np.int64],
        train: tuple[Indices, Indices],
        n_items: int,
        k: int,
    ) -> None:
        """users: ascending, none twice      train: user_index and item_index of all training ratings"""
        self._users, self._n_items, self._k = users, n_items, k
        user_index, item_index = train
        place = np.searchsorted(users, user_index)
        is_judged = users[np.minimum(place, len(users) - 1)] == user_index
        self._train = Pairs(place[is_judged], item_index[is_judged], len(users), n_items)

    def rank(self, scorer: Scorer) -> RankedItems:
        """At most k items for each of the users, ordered by user_index then rank; exact.

        Raises TrialError when scores overflow.
        """
        n_block = users_at_once(self._n_items)
        return join_lists(
            [self._rank(scorer, first, first + n_block) for first in range(0, len(self._users), n_block)]
        )

    def _rank(self, scorer: Scorer, first: int, stop: int) -> RankedItems:
        users = self._users[first:stop]
        scores, bound = score_users(scorer, users)
        scores.ravel()[self._train.of_users(first, first + len(users))] = -np.inf
        places = best_places(scores, kth_largest_floor(scores, self._k), bound)
        row, item_index = np.divmod(places, self._n_items)
        user_index = users[row]
        ties = shuffled(user_index * self._n_items + item_index)
        return cut_lists(scorer, user_index, item_index, ties, self._k)
