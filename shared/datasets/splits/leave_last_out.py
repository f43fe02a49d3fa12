"""`split = "leave_last_out"`: hold out the last ratings of each user."""

import numpy as np

from shared.datasets.dataset import Dataset
from shared.datasets.splits.split import Split
from shared.domain.protocol import Protocol
from shared.errors import DatasetError


def leave_last_out_split(dataset: Dataset, protocol: Protocol) -> Split:
    """Each user's last rating for the test, the one before for validation; without a test, the last for it.

    A user who would keep no rating for training gives none away. Equal times in the order of the source. The
    fractions of the protocol only say whether there is a test. Raises DatasetError when nobody has enough.
    """
    has_test = protocol.test_fraction > 0
    order = np.lexsort((np.arange(dataset.n_ratings), dataset.timestamps, dataset.user_index))
    users = dataset.user_index[order]
    counts = np.bincount(users, minlength=dataset.n_users)
    # From 0 for the last rating of its user.
    place_from_end = np.searchsorted(users, users, side="right") - 1 - np.arange(len(users))
    n_held = 2 if has_test else 1
    gives = counts[users] > n_held
    is_test = gives & (place_from_end == 0) if has_test else np.zeros(len(users), bool)
    is_validation = gives & (place_from_end == n_held - 1)
    if not is_validation.any():
        raise DatasetError(
            f'split = "leave_last_out" holds out {n_held} of a user\'s ratings and needs one more to learn '
            f"from; no user of data set {dataset.name} has {n_held + 1}. Supply more ratings or take "
            'split = "random".'
        )
    parts = (~(is_test | is_validation), is_validation, is_test)
    return Split(*(np.sort(order[part]).astype(np.int64) for part in parts))
