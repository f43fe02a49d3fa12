"""Refuses a trial that can never fit into the memory of this worker, before anything is fitted."""

import numpy as np

from shared.datasets import Dataset
from shared.domain.families import Architecture, expected_memory_of
from shared.errors import TrialError
from worker.process.memory_room import memory_limit_bytes


def require_memory(architecture: Architecture, dataset: Dataset) -> None:
    """Raise TrialError "out_of_memory", which is final, where more is needed than the worker could ever have.

    Items without ratings count nothing. What others take at the moment does not matter here: that may pass.
    """
    n_items = int(np.count_nonzero(np.bincount(dataset.item_index)))
    needed = expected_memory_of(architecture, dataset.n_users, n_items, dataset.n_ratings)
    limit = memory_limit_bytes()
    if needed > limit:
        raise TrialError(
            "out_of_memory",
            f"{architecture.label} keeps numbers for every pair of items: {n_items:,} items with ratings "
            f"need {needed / 1e9:.1f} GB, and a worker has {limit / 1e9:.1f} GB here. Leave out rare items "
            "with min_ratings_per_item in the source of the data set, or take a family without items "
            "squared: item_knn, weighted_als, or matrix_factorization and autoencoder without ease_weight",
            is_final=True,
        )
