"""Data sets that every family must be able to learn from."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from shared.datasets import Dataset, Split
from shared.domain.protocol import Protocol
from tests.unit.ranking_cases import make_dataset
from worker.families.contract import FitData
from worker.trial import fit_data

# Every item may be recommended, so that those without ratings are ranked among each other too.
PROTOCOL = Protocol(k=10, min_support=0)


@dataclass(frozen=True, eq=False)
class Sample:
    """Ratings, some of them held out."""

    dataset: Dataset
    split: Split

    @cached_property
    def data(self) -> FitData:
        """As a trial gives it to a family."""
        return fit_data(self.dataset, self.split, PROTOCOL)

    @property
    def shape(self) -> tuple[int, int]:
        return self.dataset.n_users, self.dataset.n_items

    @property
    def n_cold_users(self) -> int:
        return int((np.bincount(self.data.train.user_index, minlength=self.shape[0]) == 0).sum())


def sample(n_users, n_items, user_index, item_index, ratings, *, n_held_out=1) -> Sample:
    """The last `n_held_out` ratings are for validation. Even items are of one genre, odd ones of two."""
    dataset = make_dataset(n_users, n_items, np.stack([user_index, item_index], axis=1), ratings)
    genres = np.where(np.arange(n_items) % 2, "Drama|Comedy", "Drama")
    dataset = Dataset(**{**vars(dataset), "genres": genres})
    rows = np.arange(len(ratings))
    return Sample(dataset, Split(rows[: len(rows) - n_held_out], rows[len(rows) - n_held_out :]))


def random_sample(n_users: int, n_items: int, n_ratings: int, seed: int = 0) -> Sample:
    """Stars by taste and quality, a tenth held out; the last user and the last three items are cold."""
    rng = np.random.default_rng(seed)
    places = rng.choice((n_users - 1) * (n_items - 3), n_ratings, replace=False)
    user_index, item_index = np.divmod(places, n_items - 3)
    taste = (rng.normal(size=(n_users, 3))[user_index] * rng.normal(size=(n_items, 3))[item_index]).sum(
        axis=1
    )
    quality = rng.normal(size=n_items)[item_index]
    stars = np.clip(np.round(3 + 0.6 * taste + 0.6 * quality), 1, 5)
    # The cold user has one rating, which is held out.
    return sample(
        n_users,
        n_items,
        np.append(user_index, n_users - 1),
        np.append(item_index, 0),
        np.append(stars, 4.0),
        n_held_out=n_ratings // 10,
    )


def _grid(n_users: int, n_items: int, ratings: object) -> Sample:
    """Everybody rated everything; the last rating is held out."""
    user_index, item_index = np.divmod(np.arange(n_users * n_items), n_items)
    values = np.broadcast_to(np.asarray(ratings, float), n_users * n_items)
    return sample(n_users, n_items, user_index, item_index, values)


ORDINARY, LIKE_ORDINARY = (random_sample(60, 150, 1500, seed=seed) for seed in (0, 1))
# A matrix of users times items would take 400 MB in float32, one of items times items 25.
SIZEABLE = random_sample(40_000, 2_500, 250_000)

EDGES: Mapping[str, Sample] = {
    # Only in a test: a split leaves at least one rating on each side, so the held out one is there twice.
    "one pair": sample(1, 1, np.zeros(2, int), np.zeros(2, int), [4, 4]),
    "one user": _grid(1, 6, [1, 5, 3, 4, 2, 4]),
    "one item": _grid(6, 1, [1, 5, 3, 4, 2, 4]),
    # All of one size, so that what is compiled for a size is compiled once.
    "all equal": _grid(8, 5, 3.0),
    "all zero": _grid(8, 5, 0.0),
    "halves": _grid(8, 5, np.random.default_rng(0).integers(1, 11, 40) / 2),
    # Ratings of jokes go from -10 to 10; 0 is a rating like any other.
    "below zero": _grid(8, 5, np.random.default_rng(0).integers(-10, 11, 40)),
}
