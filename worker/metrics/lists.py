"""What the recommendation lists are like: how much of the catalogue they show, and how well known it is."""

import numpy as np
import numpy.typing as npt

from shared.domain.results import RankedItems
from worker.ranking.scorers import Float64s


def list_metrics(
    lists: RankedItems, support: npt.NDArray[np.int64], n_users: int, n_items: int
) -> dict[str, float]:
    """Every metric of this file by name; none when all lists are empty."""
    if not len(lists.rank):
        return {}
    return {
        "coverage": coverage(lists, n_items),
        "popularity": popularity(lists, support),
        "novelty": novelty(lists, support, n_users),
    }


def coverage(lists: RankedItems, n_items: int) -> float:
    """Different items in the recommendation lists of all users / items of the catalogue. In [0, 1].

    Catalogue coverage, Ge, Delgado-Battenfeld, Jannach 2010, Beyond accuracy, 3.1.
    """
    return len(np.unique(lists.item_index)) / n_items


def popularity(lists: RankedItems, support: npt.NDArray[np.int64]) -> float:
    """Training ratings of the recommended items: mean of a list, then mean over users with a list.

    Average recommendation popularity, Abdollahpouri et al. 2019, Managing Popularity Bias, eq. 3.
    """
    return _mean_of_lists(lists, support[lists.item_index].astype(np.float64))


def novelty(lists: RankedItems, support: npt.NDArray[np.int64], n_users: int) -> float:
    """-log₂(training ratings of the item / n_users), in bits: mean of a list, then over users with a list.

    0 when everybody rated everything that is recommended; an item without training ratings counts as having
    one. Mean self-information, Zhou et al. 2010, Solving the apparent diversity-accuracy dilemma, eq. 4.
    """
    share = np.maximum(support, 1)[lists.item_index] / n_users
    return _mean_of_lists(lists, -np.log2(share))


def _mean_of_lists(lists: RankedItems, values: Float64s) -> float:
    n_entries = np.bincount(lists.user_index)
    sums = np.bincount(lists.user_index, weights=values)
    return float(np.mean(sums[n_entries > 0] / n_entries[n_entries > 0]))
