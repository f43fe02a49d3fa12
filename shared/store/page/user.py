"""What the view of one user reads."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Engine

from shared.store.page.lists import ListedTrial, listed_trials
from shared.store.page.statements import reading


@dataclass(frozen=True)
class Recommended:
    """A line of a list."""

    trial_id: int
    rank: int
    item_id: str
    title: str
    genres: Sequence[str]
    n_ratings: int
    score: float


@dataclass(frozen=True)
class Rated:
    """An item that the user rated highest."""

    trial_id: int
    rank: int
    item_id: str
    title: str
    genres: Sequence[str]
    n_ratings: int
    rating: float


@dataclass(frozen=True)
class UserResult:
    """How one trial did for the user on one part of the split; None where nothing of it is relevant.

    `are_hits_kept`: whether it is stored which items the list found; older versions kept how many.
    """

    trial_id: int
    split: str
    n_train_ratings: int
    n_ratings: int
    squared_error: float | None
    ndcg: float | None
    recall: float | None
    precision: float | None
    are_hits_kept: bool


@dataclass(frozen=True)
class Hit:
    """A relevant held out item that the evaluated list of one trial has."""

    trial_id: int
    split: str
    rank: int
    item_id: str
    title: str


@dataclass(frozen=True)
class ItemName:
    """What an item is called."""

    item_id: str
    title: str
    genres: Sequence[str]


@dataclass(frozen=True)
class UserRecords:
    """What the database has of a user; `user_id` None where none is asked for."""

    user_id: str | None
    trials: tuple[ListedTrial, ...]
    lists: tuple[Recommended, ...] = ()
    rated: tuple[Rated, ...] = ()
    results: tuple[UserResult, ...] = ()
    hits: tuple[Hit, ...] = ()
    examples: tuple[str, ...] = ()


def read_user(
    engine: Engine, user_id: str | None, trials: Sequence[int] | None, sweep_id: int | None
) -> UserRecords:
    """A user in the lists of the trials that are named, else of those that `listed_trials` chooses."""
    with reading(engine) as database:
        chosen = listed_trials(database, trials, sweep_id)
        if not chosen:
            return UserRecords(user_id, ())
        key = {"trials": [one.trial_id for one in chosen], "user_id": user_id}
        lists: tuple[Recommended, ...] = ()
        rated: tuple[Rated, ...] = ()
        results: tuple[UserResult, ...] = ()
        hits: tuple[Hit, ...] = ()
        if user_id is not None:
            lists = tuple(Recommended(**row._mapping) for row in database.rows("user", "lists", **key))
            rated = tuple(Rated(**row._mapping) for row in database.rows("user", "rated", **key))
            results = tuple(UserResult(**row._mapping) for row in database.rows("user", "results", **key))
            hits = tuple(Hit(**row._mapping) for row in database.rows("user", "hits", **key))
        return UserRecords(
            user_id=user_id,
            trials=chosen,
            lists=lists,
            rated=rated,
            results=results,
            hits=hits,
            examples=() if lists else tuple(row.user_id for row in database.rows("user", "examples", **key)),
        )


def read_item_names(engine: Engine, trial_id: int, item_ids: Sequence[str]) -> dict[str, ItemName]:
    """What items of the data set of a trial are called."""
    with reading(engine) as database:
        rows = database.rows("user", "items", trials=[trial_id], items=list(item_ids))
        return {row.item_id: ItemName(**row._mapping) for row in rows}
