"""Training data for measurements of the engine; imports TensorFlow."""

import numpy as np

from shared.datasets import Dataset, n_item_rows, split_ratings
from tests.benchmarks.prepared import PROTOCOL
from worker.families.tower.training import TrainingData
from worker.observations import Observations


def training_data(dataset: Dataset) -> TrainingData:
    """The reference protocol's split."""
    split = split_ratings(dataset, PROTOCOL)

    def take(positions: np.ndarray) -> Observations:
        return Observations(
            dataset.user_index[positions], dataset.item_index[positions], dataset.ratings[positions]
        )

    return TrainingData(
        dataset.n_users, n_item_rows(dataset, PROTOCOL), take(split.train), take(split.validation)
    )


def synthetic_data(n_ratings: int, n_users: int, n_item_rows: int) -> TrainingData:
    """Training ratings with popular items, and a ninth as many for validation."""
    rng = np.random.default_rng(0)

    def draw(n: int) -> Observations:
        # Popular items first: the place of an item falls off as the square of a uniform number.
        items = (rng.random(n, np.float32) ** 2 * n_item_rows).astype(np.int32)
        users = rng.integers(0, n_users, n, np.int32)
        ratings = rng.integers(1, 6, n).astype(np.float32)
        return Observations(users, np.minimum(items, n_item_rows - 1), ratings)

    return TrainingData(n_users, n_item_rows, draw(n_ratings), draw(n_ratings // 9))
