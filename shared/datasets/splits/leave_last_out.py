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
    n_held = 2 if has_test else 1
    counts = np.bincount(dataset.user_index, minlength=dataset.n_users)
    # One user after the other, and of each the rows by time; the sort is stable.
    order = np.lexsort((dataset.timestamps, dataset.user_index))
    ends = np.cumsum(counts)[counts > n_held]
    if not len(ends):
        raise DatasetError(
            f'split = "leave_last_out" holds out {n_held} of a user\'s ratings and needs one more to learn '
            f"from; no user of data set {dataset.name} has {n_held + 1}. Supply more ratings or take "
            'split = "random".'
        )
    validation, test = np.sort(order[ends - n_held]), np.sort(order[ends - 1]) if has_test else None
    is_train = np.ones(dataset.n_ratings, np.bool_)
    is_train[validation] = False
    if test is None:
        return Split(np.flatnonzero(is_train), validation)
    is_train[test] = False
    return Split(np.flatnonzero(is_train), validation, test)
