"""What the view of one item reads."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import Engine

from shared.store.page.lists import ListedTrial, listed_trials
from shared.store.page.statements import reading


@dataclass(frozen=True)
class ItemLine:
    """An item of the catalogue; `n_ratings` in the whole data set."""

    item_id: str
    title: str
    genres: Sequence[str]
    n_ratings: int
    item_index: int = -1


@dataclass(frozen=True)
class ListedAt:
    """How often the item has this rank in the lists of a trial, of `n_users` looked through, and for whom."""

    trial_id: int
    rank: int
    n_users: int
    n_lists: int
    user_ids: Sequence[str] | None


@dataclass(frozen=True)
class ItemRecords:
    """What the database has of an item, or of a search: `item` None where none of that id is there."""

    item_id: str | None
    q: str | None
    trials: tuple[ListedTrial, ...]
    item: ItemLine | None = None
    found: tuple[ItemLine, ...] = ()
    listed: tuple[ListedAt, ...] = field(default=())
    most_rated: tuple[ItemLine, ...] = ()


def read_item(
    engine: Engine,
    item_id: str | None,
    q: str | None,
    trials: Sequence[int] | None,
    sweep_id: int | None,
) -> ItemRecords:
    """An item in the lists of the trials that are named or chosen, or what a search finds."""
    with reading(engine) as database:
        chosen = listed_trials(database, trials, sweep_id)
        if not chosen:
            return ItemRecords(item_id, q, ())
        key = {"dataset_id": chosen[0].dataset_id}
        if item_id is None:
            name, more = ("found", {"q": q}) if q is not None else ("most_rated", {})
            lines = tuple(ItemLine(**row._mapping) for row in database.rows("item", name, **key, **more))
            return ItemRecords(
                None, q, chosen, found=lines if q is not None else (), most_rated=lines if q is None else ()
            )
        rows = database.rows("item", "item", **key, item_id=item_id)
        if not rows:
            return ItemRecords(item_id, None, chosen)
        listed = database.rows(
            "item", "listed", trials=[one.trial_id for one in chosen if one.has_lists], item_id=item_id
        )
        return ItemRecords(
            item_id=item_id,
            q=None,
            trials=chosen,
            item=ItemLine(**rows[0]._mapping),
            listed=tuple(ListedAt(**row._mapping) for row in listed),
        )


def read_items_at(engine: Engine, dataset_id: int, indexes: Sequence[int]) -> dict[int, ItemLine]:
    """The items in these rows of a catalogue."""
    with reading(engine) as database:
        rows = database.rows("item", "similar", dataset_id=dataset_id, item_indexes=list(indexes))
        return {row.item_index: ItemLine(**row._mapping) for row in rows}
