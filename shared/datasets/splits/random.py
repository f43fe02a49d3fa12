"""`split = "random"`: by ratings, whoever made them and when; that of the reference run."""

import numpy as np

from shared.datasets.splits.cutting import cut
from shared.datasets.splits.split import Split
from shared.domain.protocol import Protocol


def random_split(n_ratings: int, protocol: Protocol) -> Split:
    """Cut a permutation that depends on `protocol.split_seed` alone.

    The permutation orders the raw output of PCG64, which NumPy keeps stable across versions; that of
    `Generator.permutation` may change.
    """
    return cut(np.random.PCG64(protocol.split_seed).random_raw(n_ratings), protocol)
