"""What the recommendation lists are like: how much of the catalogue they show, and how well known it is."""

import numpy as np
import numpy.typing as npt

from shared.domain.results import RankedItems
from worker.ranking.scorers import Float64s


def list_metrics(
    lists: RankedItems, support: npt.NDArray[np.int64], n_users: int, n_items: int
) -> dict[str, float]:
    """Every metric of this file by name; none when all lists are empty, no personalisation of one list."""
    if not len(lists.rank):
        return {}
    values = {
        "coverage": coverage(lists, n_items),
        "popularity": popularity(lists, support),
        "novelty": novelty(lists, support, n_users),
        "long_tail": long_tail(lists, support),
    }
    if len(np.unique(lists.user_index)) > 1:
        values["personalisation"] = personalisation(lists)
    return values


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


def long_tail(lists: RankedItems, support: npt.NDArray[np.int64]) -> float:
    """Share of a list that is in the long tail; mean over users with a list. In [0, 1].

    The long tail are the items beside the short head: the fewest, most rated items that together hold at
    least 80 % of the training ratings, with all that have as many ratings as the last of them. Average
    percentage of long tail items, with the head by the 80/20 rule: Abdollahpouri, Burke, Mobasher 2019,
    Managing popularity bias in recommender systems with personalized re-ranking.
    """
    falling = np.sort(support)[::-1]
    held = np.cumsum(falling)
    # In whole numbers: 80 % of a multiple of 5 is exact.
    last_of_head = falling[np.searchsorted(held * 10, held[-1] * 8)]
    return _mean_of_lists(lists, (support < last_of_head)[lists.item_index].astype(np.float64))


def personalisation(lists: RankedItems) -> float:
    """1 - (common items of two users' lists / length of the longest list), mean over all pairs. In [0, 1].

    Exact over all pairs of users with a list, of whom there are two at least: an item in n lists is common to
    n(n - 1)/2 pairs, so that Σ over items of n(n - 1) / (m(m - 1) · length) is the mean overlap of m lists.
    0 when everybody gets the same. Personalization, Zhou et al. 2010, Solving the apparent
    diversity-accuracy dilemma, eq. 3.
    """
    n_lists = len(np.unique(lists.user_index))
    n_with = np.bincount(lists.item_index).astype(np.int64)
    n_common = int(np.sum(n_with * (n_with - 1)))
    return 1 - n_common / (n_lists * (n_lists - 1) * int(lists.rank.max()))


def _mean_of_lists(lists: RankedItems, values: Float64s) -> float:
    n_entries = np.bincount(lists.user_index)
    sums = np.bincount(lists.user_index, weights=values)
    return float(np.mean(sums[n_entries > 0] / n_entries[n_entries > 0]))
