"""One user: what they rated, and the lists of up to four trials side by side."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine

from scheduler.page.files.ratings import OwnRatings, place_of, ratings_of
from scheduler.page.lists import HELD_OUT, AgreedLine, Mark, TrialList, lists_of, marks_of
from scheduler.page.view import View
from shared.domain.protocol import parse_protocol
from shared.store.page.user import ItemName, UserRecords, read_item_names, read_user

_MOST_RATED = 200


@dataclass(frozen=True)
class RatedLine:
    """An item that the user rated; `marks`: which of the lists shown found it, none where none could have."""

    item_id: str
    title: str
    genres: tuple[str, ...]
    rating: float
    part: str | None
    marks: tuple[Mark, ...]

    @property
    def n_found(self) -> int:
        """How many of the lists found it."""
        return sum(one.rank is not None for one in self.marks)


@dataclass(frozen=True)
class Shown:
    """What was read: from the database, and the user's ratings from the prepared data with items' names."""

    records: UserRecords
    own: OwnRatings
    names: Mapping[str, ItemName] | None = None


def build(shown: Shown) -> dict[str, Any]:
    """What `user.html` is given."""
    records = shown.records
    trial_ids = [one.trial_id for one in records.trials]
    asked = {"user_id": records.user_id, "trials": trial_ids or None, "sweep_id": None}
    lists = lists_of(records, shown.own)
    rated = rated_lines(shown, lists)
    return {
        "title": f"User {records.user_id}" if records.user_id is not None else "Users",
        "user_id": records.user_id,
        "trials": records.trials,
        "trials_text": ",".join(map(str, trial_ids)),
        "dataset": records.trials[0] if records.trials else None,
        "lists": lists,
        "agreed": agreed_of(lists),
        "is_known": bool(records.lists or records.rated or records.results or shown.own.is_known),
        "rated": rated[:_MOST_RATED],
        "n_rated": len(rated),
        "n_held_out": sum(one.part in HELD_OUT for one in rated),
        "has_marks": any(one.marks for one in rated),
        "has_parts": any(one.part for one in rated),
        "problem": shown.own.problem,
        "is_whole": shown.own.is_known,
        "examples": records.examples,
        "sql_address": VIEW.sql_address(asked),
    }


def agreed_of(lists: tuple[TrialList, ...]) -> list[tuple[AgreedLine, int]]:
    """Items that two or more lists have, with how many do; those of most lists first."""
    counts: Counter[str] = Counter(line.item_id for one in lists for line in one.lines)
    first: dict[str, AgreedLine] = {}
    for one in lists:
        for line in one.lines:
            first.setdefault(line.item_id, line)
    return [(first[item_id], n) for item_id, n in counts.most_common() if n > 1]


def rated_lines(shown: Shown, lists: tuple[TrialList, ...]) -> list[RatedLine]:
    """All that the user rated, where the prepared data can be read: what most lists found, then the highest.

    Else the items that they rated highest, which the database has, without the part of each.
    """

    def line(item_id: str, title: str, genres: tuple[str, ...], rating: float, part: str | None) -> RatedLine:
        return RatedLine(item_id, title, genres, rating, part, marks_of(item_id, rating, part, lists))

    if shown.own.is_known:
        names = shown.names or {}
        rated = [
            line(
                one.item_id,
                names[one.item_id].title if one.item_id in names else "",
                tuple(names[one.item_id].genres) if one.item_id in names else (),
                one.rating,
                one.part,
            )
            for one in shown.own.ratings
        ]
    else:
        known = {one.item_id: one for one in shown.records.rated}
        rated = [line(one.item_id, one.title, tuple(one.genres), one.rating, None) for one in known.values()]
    return sorted(rated, key=lambda one: -one.n_found)


def _read(engine: Engine, parameters: Mapping[str, Any]) -> Shown:
    records = read_user(engine, parameters["user_id"], parameters["trials"], parameters["sweep_id"])
    if not records.trials or records.user_id is None:
        return Shown(records, OwnRatings())
    trial = records.trials[0]
    place = place_of(trial.log_url, trial.fingerprint, trial.n_forgotten)
    own = ratings_of(place, parse_protocol(dict(trial.protocol)), records.user_id)
    names = (
        read_item_names(engine, trial.trial_id, [one.item_id for one in own.ratings]) if own.ratings else None
    )
    return Shown(records, own, names)


VIEW = View(
    name="user",
    path="/user",
    read=_read,
    build=build,
    parameters={"user_id": "text", "trials": "integers", "sweep_id": "integer"},
    of_report=lambda plan: tuple(
        {"user_id": one, "trials": None, "sweep_id": plan.sweep_id} for one in plan.user_ids
    ),
)
