"""One item: in whose lists it is and at which rank, by trial; and what models hold similar."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import Engine

from scheduler.page.charts import Chart, finished
from scheduler.page.files.similar import Similar, similar_items
from scheduler.page.view import View
from scheduler.page.words import plural
from shared.store.page.item import ItemLine, ItemRecords, ListedAt, read_item, read_items_at
from shared.store.page.lists import ListedTrial

_MOST_USERS = 12


@dataclass(frozen=True)
class Shown:
    """What was read: from the database, and by trial what its model holds similar, with the items' names."""

    records: ItemRecords
    similar: Mapping[int, Similar]
    names: Mapping[int, ItemLine]


@dataclass(frozen=True)
class Listings:
    """How often the item is in the lists of a trial, among the `n_users` whose lists were looked through."""

    trial: ListedTrial
    n_users: int
    n_lists: int
    best_rank: int | None
    mean_rank: float | None
    users: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class SimilarItems:
    """What the model of a trial holds similar, the most similar first, or why that is not known."""

    trial: ListedTrial
    measure: str
    lines: tuple[tuple[ItemLine, str], ...]
    problem: str


def build(shown: Shown) -> dict[str, Any]:
    """What `item.html` is given."""
    records = shown.records
    item = records.item
    trial_ids = [one.trial_id for one in records.trials]
    asked = {
        "item_id": records.item_id,
        "q": records.q,
        "trials": trial_ids or None,
        "dataset_id": records.trials[0].dataset_id if records.trials else None,
    }
    listings = tuple(
        listings_of(trial, [one for one in records.listed if one.trial_id == trial.trial_id])
        for trial in records.trials
        if item
    )
    return {
        "title": (item.title or f"Item {item.item_id}") if item else "Items",
        "item": item,
        "item_id": records.item_id,
        "q": records.q,
        "trials": records.trials,
        "trials_text": ",".join(map(str, trial_ids)),
        "dataset": records.trials[0] if records.trials else None,
        "found": records.found,
        "most_rated": records.most_rated,
        "listings": listings,
        "ranks": _ranks(records),
        "similar": tuple(_similar(trial, shown) for trial in records.trials if item),
        "sql_address": VIEW.sql_address(asked),
    }


def listings_of(trial: ListedTrial, listed: list[ListedAt]) -> Listings:
    """From a line a rank: the users looked through are those who have a first item."""
    n_lists = sum(one.n_lists for one in listed)
    ranks = [one.rank for one in listed if one.n_lists]
    weighted = sum(one.rank * one.n_lists for one in listed)
    users = [(user_id, one.rank) for one in listed for user_id in one.user_ids or ()]
    return Listings(
        trial=trial,
        n_users=max((one.n_users for one in listed), default=0),
        n_lists=n_lists,
        best_rank=min(ranks, default=None),
        mean_rank=weighted / n_lists if n_lists else None,
        users=tuple(users[:_MOST_USERS]),
    )


def _ranks(records: ItemRecords) -> Chart | None:
    labels = {one.trial_id: one.label for one in records.trials}
    rows: list[list[object]] = [
        [labels[one.trial_id], one.rank, one.n_lists / one.n_users]
        for one in records.listed
        if one.trial_id in labels and one.n_users
    ]
    n_lists = sum(one.n_lists for one in records.listed)
    if not n_lists:
        return None
    return Chart(
        title="At which rank",
        description=f"In {plural(n_lists, 'list')} of the trials shown, by the rank that the item has there.",
        spec=_ranks_spec(),
        columns=("trial", "rank", "share"),
        rows=rows,
    )


def _similar(trial: ListedTrial, shown: Shown) -> SimilarItems:
    found = shown.similar.get(trial.trial_id, Similar(problem="its model was not read"))
    lines = [(shown.names[place], f"{value:.3f}") for place, value in found.places if place in shown.names]
    problem = found.problem or ("" if lines else "no item is similar")
    return SimilarItems(trial, found.measure, tuple(lines), problem)


@cache
def _ranks_spec() -> dict[str, Any]:
    import altair  # noqa: PLC0415  Slow to load, and the commands do not need it.

    colours = ["--accent", "--leader", "--baseline", "--tie"]
    lines = (
        altair.Chart(altair.NamedData("rows"))
        .mark_line(point=altair.OverlayMarkDef(size=24, filled=True))
        .encode(
            x=altair.X("rank:Q", title="rank", axis=altair.Axis(tickMinStep=1, grid=False)),
            y=altair.Y("share:Q", title="share of users", axis=altair.Axis(format="%")),
            color=altair.Color(
                "trial:N",
                scale=altair.Scale(range=colours),
                legend=altair.Legend(title=None, columns=1, labelLimit=300),
            ),
            tooltip=[
                altair.Tooltip("trial:N"),
                altair.Tooltip("rank:Q"),
                altair.Tooltip("share:Q", title="share of users", format=".2%"),
            ],
        )
    )
    return finished(lines.properties(width="container", height=260))


def _read(engine: Engine, parameters: Mapping[str, Any]) -> Shown:
    records = read_item(
        engine,
        item_id=parameters["item_id"],
        q=parameters["q"],
        trials=parameters["trials"],
        sweep_id=parameters["sweep_id"],
    )
    if records.item is None:
        return Shown(records, {}, {})
    # Models of other versions of the data have other rows.
    dataset_id = records.trials[0].dataset_id
    similar = {
        one.trial_id: similar_items(one.model_url, records.item.item_index)
        for one in records.trials
        if one.dataset_id == dataset_id
    }
    rows = sorted({place for one in similar.values() for place, _ in one.places})
    return Shown(records, similar, read_items_at(engine, dataset_id, rows) if rows else {})


VIEW = View(
    name="item",
    path="/item",
    read=_read,
    build=build,
    parameters={
        "item_id": "text",
        "q": "text",
        "trials": "integers",
        "sweep_id": "integer",
        # Of the trials; the link to the statements names it.
        "dataset_id": "integer",
    },
)
