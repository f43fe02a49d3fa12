"""Lists of several trials side by side: agreement, scores, and which held out items were found; pure.

A stored list leaves out everything that its user rated, what was held out too: a held out item is in none of
them. Metrics judge the evaluated list, in which held out items can be; which of them it found is stored with
the results of the user.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from scheduler.page.files.ratings import OwnRatings
from scheduler.page.words import NOTHING, number
from shared.domain.protocol import Protocol, parse_protocol
from shared.store.page.lists import ListedTrial
from shared.store.page.user import Recommended, UserRecords, UserResult

HELD_OUT = ("validation", "test")


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
    """A held out item that the evaluated list found; `rating` is the user's, None where it is not known."""

    item_id: str
    title: str
    part: str
    rank: int
    rating: float | None


@dataclass(frozen=True)
class TrialList:
    """The list of one trial, and what its evaluated lists found of what was held out.

    `found`: how much, in words, a part of the split each. `known_parts`: those of which it is known which
    items were found; `lacks_hits`: whether a version stored it that kept only how many.
    """

    trial: ListedTrial
    protocol: Protocol
    lines: tuple[AgreedLine, ...]
    hits: tuple[HeldOutHit, ...]
    found: tuple[str, ...]
    known_parts: tuple[str, ...]
    lacks_hits: bool


@dataclass(frozen=True)
class Mark:
    """Whether one list found one held out item, as shown and as read aloud; `rank` None where it did not."""

    shown: str
    said: str
    rank: int | None = None


def lists_of(records: UserRecords, own: OwnRatings) -> tuple[TrialList, ...]:
    """One for each trial, in their order."""
    counts = Counter(one.item_id for one in records.lists)
    ratings = {one.item_id: one.rating for one in records.rated} | {
        one.item_id: one.rating for one in own.ratings
    }
    made = []
    for trial in records.trials:
        lines = [one for one in records.lists if one.trial_id == trial.trial_id]
        results = [one for one in records.results if one.trial_id == trial.trial_id]
        protocol = parse_protocol(dict(trial.protocol))
        hits = tuple(
            HeldOutHit(one.item_id, one.title, one.split, one.rank, ratings.get(one.item_id))
            for one in records.hits
            if one.trial_id == trial.trial_id
        )
        known = tuple(one.split for one in results if one.are_hits_kept or one.precision is None)
        made.append(
            TrialList(
                trial=trial,
                protocol=protocol,
                lines=tuple(_line(one, trial, counts[one.item_id]) for one in lines),
                hits=hits,
                found=tuple(_found(one, protocol) for one in results),
                known_parts=known,
                lacks_hits=len(known) < len(results),
            )
        )
    return tuple(made)


def marks_of(item_id: str, rating: float, part: str | None, lists: Sequence[TrialList]) -> tuple[Mark, ...]:
    """Whether each list found an item, in the order of the lists; none where no list could have.

    part: of the item in the split of the first list, None where the prepared ratings do not tell
    """
    hits = [next((one for one in of.hits if one.item_id == item_id), None) for of in lists]
    ranks = [one.rank if one else None for one in hits]
    if part is None:
        found = [one for one, of in zip(hits, lists, strict=True) if one and _is_split_alike(of, lists[0])]
        part = found[0].part if found else None
    if part not in HELD_OUT and not any(ranks):
        return ()
    made = []
    for place, (of_trial, rank) in enumerate(zip(lists, ranks, strict=True), start=1):
        threshold = of_trial.protocol.relevance_threshold
        if rank is not None:
            made.append(Mark(str(rank), f"list {place}: at rank {rank}", rank))
        elif of_trial.trial.is_refit:
            made.append(Mark("", f"list {place}: nothing was held out"))
        elif part not in of_trial.known_parts or not _is_split_alike(of_trial, lists[0]):
            made.append(Mark("?", f"list {place}: not known"))
        elif threshold != "none" and rating < threshold:
            made.append(Mark("", f"list {place}: not looked for"))
        else:
            made.append(Mark(NOTHING, f"list {place}: not found"))
    return tuple(made)


def _is_split_alike(one: TrialList, other: TrialList) -> bool:
    """Whether the same ratings were held out."""
    names = ("split", "split_seed", "validation_fraction", "test_fraction")
    return one.trial.fingerprint == other.trial.fingerprint and all(
        getattr(one.protocol, name) == getattr(other.protocol, name) for name in names
    )


def _line(one: Recommended, trial: ListedTrial, n_lists: int) -> AgreedLine:
    score = number(one.score, 2 if trial.scores_are_ratings else 4)
    return AgreedLine(one.rank, one.item_id, one.title, one.genres, score, n_lists)


def _found(one: UserResult, protocol: Protocol) -> str:
    """`test: 3 of 7 held out items found …`: precision is hits / k, recall hits / relevant items."""
    threshold = protocol.relevance_threshold
    rated = "" if threshold == "none" else f" rated {threshold:g} or more"
    if one.precision is None or one.recall is None:
        return f"{one.split}: no item{rated} was held out"
    n_hits = round(one.precision * protocol.k)
    of = f" of {round(n_hits / one.recall)}" if one.recall > 0 else ""
    return (
        f"{one.split}: {n_hits}{of} held out items{rated} found in the first {protocol.k}, "
        f"ndcg {number(one.ndcg)}"
    )
