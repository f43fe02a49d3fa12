"""Lists of several trials side by side: agreement, scores, and where held out items would stand; pure.

A stored list leaves out everything that its user rated, what was held out too: a held out item is in none of
them. The evaluated list, by which metrics are computed, has held out items; of it the results of the user are
stored. Where a trial predicts ratings, the prediction of a held out item says where it would stand.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scheduler.page.files.ratings import OwnRatings
from scheduler.page.words import number
from shared.domain.protocol import parse_protocol
from shared.store.page.lists import ListedTrial
from shared.store.page.user import Rated, Recommended, UserRecords, UserResult

_HELD_OUT = ("validation", "test")


@dataclass(frozen=True)
class AgreedLine:
    """A line of a list, and in how many of the lists shown the item is."""

    rank: int
    item_id: str
    title: str
    genres: Sequence[str]
    score: str
    n_lists: int


@dataclass(frozen=True)
class HeldOutHit:
    """A held out item that the list would show, had the user not rated it: `place` from 1."""

    item_id: str
    title: str
    rating: float
    part: str
    place: int


@dataclass(frozen=True)
class TrialList:
    """The list of one trial; `would_stand`: places of items that the user rated, where they are in reach.

    `found`: in words, what the evaluated lists found of what was held out.
    """

    trial: ListedTrial
    lines: tuple[AgreedLine, ...]
    hits: tuple[HeldOutHit, ...]
    would_stand: Mapping[str, int]
    found: tuple[str, ...]


def lists_of(records: UserRecords, own: OwnRatings) -> tuple[TrialList, ...]:
    """One for each trial, in their order."""
    counts = Counter(one.item_id for one in records.lists)
    parts = {one.item_id: one.part for one in own.ratings if one.part in _HELD_OUT}
    made = []
    for trial in records.trials:
        lines = [one for one in records.lists if one.trial_id == trial.trial_id]
        rated = [one for one in records.rated if one.trial_id == trial.trial_id]
        places = {} if trial.is_refit else would_stand(lines, rated, is_rating=trial.scores_are_ratings)
        made.append(
            TrialList(
                trial=trial,
                lines=tuple(_line(one, trial, counts[one.item_id]) for one in lines),
                hits=_hits(rated, places, parts),
                would_stand=places,
                found=tuple(
                    _found(one, parse_protocol(dict(trial.protocol)).k)
                    for one in records.results
                    if one.trial_id == trial.trial_id
                ),
            )
        )
    return tuple(made)


def would_stand(lines: Sequence[Recommended], rated: Sequence[Rated], *, is_rating: bool) -> dict[str, int]:
    """The place, from 1, that each rated item would take among the recommended ones, by its prediction.

    Without those beyond the end of the list; none where scores are no ratings, and nothing is predicted.
    An item with the score of a recommended one stands behind it.
    """
    if not is_rating or not lines:
        return {}
    places = {}
    for one in rated:
        if one.prediction is not None:
            n_above = sum(line.score >= one.prediction for line in lines)
            if n_above < len(lines):
                places[one.item_id] = n_above + 1
    return places


def _line(one: Recommended, trial: ListedTrial, n_lists: int) -> AgreedLine:
    score = number(one.score, 2 if trial.scores_are_ratings else 4)
    return AgreedLine(one.rank, one.item_id, one.title, one.genres, score, n_lists)


def _hits(
    rated: Sequence[Rated], places: Mapping[str, int], parts: Mapping[str, str | None]
) -> tuple[HeldOutHit, ...]:
    hits = [
        HeldOutHit(one.item_id, one.title, one.rating, str(parts[one.item_id]), places[one.item_id])
        for one in rated
        if one.item_id in places and one.item_id in parts
    ]
    return tuple(sorted(hits, key=lambda one: one.place))


def _found(one: UserResult, k: int) -> str:
    """`test: 3 of 7 held out items found …`: precision is hits / k, recall hits / relevant items."""
    if one.precision is None or one.recall is None:
        return f"{one.split}: nothing held out is relevant"
    n_hits = round(one.precision * k)
    of = f" of {round(n_hits / one.recall)}" if one.recall > 0 else ""
    return f"{one.split}: {n_hits}{of} held out items found in the first {k}, ndcg {number(one.ndcg)}"
