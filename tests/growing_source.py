"""A folder in the layout of ml-100k whose ratings a test changes, as a source does."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

NAME = "ml-100k"
N_USERS, N_ITEMS, N_FIRST, N_LATER = 40, 40, 10, 3
_FIRST_TIME, _LATER_TIME = 1_000_000_000, 1_100_000_000

# The rating and its time, by user and item.
Ratings = Mapping[tuple[int, int], tuple[int, int]]


@dataclass(frozen=True)
class GrowingSource:
    """Writes the ratings that `make refresh` is to find."""

    data_dir: Path

    def write(self, ratings: Ratings) -> None:
        """Replace what is there."""
        folder = self.data_dir / NAME
        folder.mkdir(parents=True, exist_ok=True)
        lines = (f"{user}\t{item}\t{rating}\t{time}\n" for (user, item), (rating, time) in ratings.items())
        (folder / "u.data").write_text("".join(lines))
        items = (f"{item}|Item {item}||||1\n" for item in range(1, N_ITEMS + 1))
        (folder / "u.item").write_text("".join(items))
        (folder / "u.genre").write_text("Drama|0\n")


def first_ratings(n_users: int = N_USERS) -> dict[tuple[int, int], tuple[int, int]]:
    """Users rate ten items each: odd users mostly odd items with 5, even users even ones; others get 2."""
    return _ratings(range(1, n_users + 1), slice(0, N_FIRST), _FIRST_TIME)


def later_ratings(users: Iterable[int] = range(1, N_USERS + 1)) -> dict[tuple[int, int], tuple[int, int]]:
    """Three more of each, later, by the same taste."""
    return _ratings(users, slice(N_FIRST, N_FIRST + N_LATER), _LATER_TIME)


def _ratings(users: Iterable[int], part: slice, first_time: int) -> dict[tuple[int, int], tuple[int, int]]:
    ratings = {}
    for user in users:
        random = np.random.default_rng(user)
        likes = [item for item in range(1, N_ITEMS + 1) if item % 2 == user % 2]
        # Popular items are rated sooner.
        weights = 1 / np.arange(1, len(likes) + 1)
        order = random.choice(likes, len(likes), replace=False, p=weights / weights.sum()).tolist()
        other = int(random.integers(1, N_ITEMS // 2)) * 2 + (user + 1) % 2
        chosen = [*order[: N_FIRST - 1], other, *order[N_FIRST - 1 :]][part]
        for place, item in enumerate(chosen):
            ratings[user, item] = (5 if item % 2 == user % 2 else 2, first_time + 100 * place + user)
    return ratings
