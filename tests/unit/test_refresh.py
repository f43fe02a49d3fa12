"""What is new in a newer version, who judges by it, and what is checked before new lists are served."""

import math
from dataclasses import replace

import numpy as np
import pytest

from scheduler.refresh.checks import (
    Bounds,
    check_change,
    check_newest,
    check_users_kept,
    check_users_listed,
)
from scheduler.refresh.newest import (
    added_rows,
    lists_in,
    ndcg_of_users,
    new_ratings,
    places,
    rehearsal_protocol,
)
from shared.datasets import Dataset, split_ratings, without_users
from shared.datasets.prepare import Item, prepare_dataset, rating_table
from shared.domain.protocol import Protocol
from shared.domain.results import RankedItems
from shared.store import ListChange
from worker.metrics.ranking import judge_lists, ndcg

ITEMS = "abcdefgh"
PROTOCOL = Protocol(k=3, relevance_threshold=4)


def make(rows: list[tuple[str, str, int, int]], items: str = ITEMS) -> Dataset:
    """From (user, item, rating, time)."""
    users, rated, ratings, times = zip(*rows, strict=True)
    table = rating_table(
        np.array(users), np.array(rated), np.array(ratings, float), np.array(times, np.int64), "rows"
    )
    return prepare_dataset("rows", table, [Item(item) for item in items])


OLDER = [("1", "a", 5, 1), ("1", "b", 2, 2), ("2", "a", 4, 3), ("2", "c", 5, 4), ("3", "d", 5, 5)]
# User 1 rates two more, 2 one with few stars, 3 rates d again later, 4 is new.
ADDED = [("1", "c", 5, 10), ("1", "e", 4, 11), ("2", "b", 2, 12), ("4", "a", 5, 13)]
NEWER = [*OLDER[:4], *ADDED, ("3", "d", 4, 14)]


def many(n_users: int, n_added: int) -> tuple[Dataset, Dataset]:
    """Users with two ratings each, and a third, later, of the first `n_added` of them."""
    older = [(str(u), item, 5, 10 * u + place) for u in range(n_users) for place, item in enumerate("ab")]
    added = [(str(u), "e", 5, 10_000 + u) for u in range(n_added)]
    return make(older), make(older + added)


def lists_of(dataset: Dataset, lists: dict[str, str]) -> RankedItems:
    rows = [
        (dataset.user_ids.tolist().index(user), rank, dataset.item_ids.tolist().index(item), 1 / rank)
        for user, items in lists.items()
        for rank, item in enumerate(items, start=1)
    ]
    user, rank, item, score = (np.array(column) for column in zip(*rows, strict=True))
    return RankedItems(
        user.astype(np.int32), rank.astype(np.int32), item.astype(np.int32), score.astype(np.float32)
    )


def test_places_are_found_whatever_the_order_of_the_ids():
    ids, among = np.array(["10", "2", "x"]), np.array(["1", "2", "10"])
    assert places(ids, among).tolist() == [2, 1, -1]
    assert places(ids, np.zeros(0, np.str_)).tolist() == [-1, -1, -1]


def test_added_are_the_pairs_that_the_older_version_does_not_have():
    """A rating that was given again is not added: the lists served left its item out."""
    assert added_rows(make(OLDER), make(NEWER)).tolist() == [False] * 4 + [True] * 4 + [False]


def test_added_counts_by_id_where_indices_have_moved():
    """A user before all others, and an item that is gone."""
    older, newer = make(OLDER), make([("0", "a", 5, 9), *OLDER[:2]], items="ab")
    assert added_rows(older, newer).tolist() == [True, False, False]


def test_what_judges_is_relevant_and_new_and_of_users_in_both_versions():
    """Held out are the last 5 of 9. User 2's is not relevant, 3's is not new, 4 is not served yet."""
    older, newer = make(OLDER), make(NEWER)
    protocol = replace(PROTOCOL, split="temporal", validation_fraction=5 / 9)
    judging = new_ratings(older, newer, protocol)
    assert newer.user_ids[judging.users].tolist() == ["1"]
    assert newer.item_ids[judging.item].tolist() == ["c", "e"]


def test_half_as_many_of_the_newest_are_held_out_as_were_added():
    """24 of 124, so 12 are; half of 100 of 300 would be more than a tenth."""
    older, newer = many(50, 24)
    protocol, why_not = rehearsal_protocol(older, newer, PROTOCOL)
    assert (protocol.split, protocol.test_fraction, why_not) == ("temporal", 0, None)
    held_out = split_ratings(newer, protocol).validation
    assert len(held_out) in (12, 13)
    assert protocol.k == PROTOCOL.k
    protocol, why_not = rehearsal_protocol(*many(100, 100), PROTOCOL)
    assert (protocol.validation_fraction, why_not) == (0.1, None)


def test_too_few_users_judge_nothing():
    """Some 8 users have the newest half of 16 added ratings: fewer than 10."""
    protocol, why_not = rehearsal_protocol(*many(50, 16), PROTOCOL)
    assert (protocol.split, protocol.validation_fraction) == ("temporal", 0.1)
    assert why_not.startswith("16 ratings were added, and ")


def test_nothing_added_judges_nothing():
    older, _ = many(50, 0)
    assert rehearsal_protocol(older, without_users(older, {"3"}), PROTOCOL)[1] == "no rating was added"


def test_without_times_the_split_is_that_of_the_protocol():
    older, newer = many(50, 12)
    newer = replace(newer, timestamps=np.zeros_like(newer.timestamps))
    assert rehearsal_protocol(older, newer, PROTOCOL) == (PROTOCOL, "the ratings have no times")


def test_lists_served_lose_what_their_users_rated_meanwhile_and_move_up():
    """User 2 has rated b since; user 3 is gone, and so is item h."""
    older = make(OLDER)
    newer = make([*OLDER[:4], *ADDED], items=ITEMS[:-1])
    lists = lists_of(older, {"1": "hc", "2": "bde", "3": "ab"})
    found = lists_in(newer, older, lists, np.arange(newer.n_ratings), np.arange(newer.n_users))
    asked = lists_in(newer, older, lists, np.arange(newer.n_ratings), np.array([0]))
    assert len(asked.rank) == 0
    shown = zip(newer.user_ids[found.user_index], found.rank, newer.item_ids[found.item_index], strict=True)
    assert [(str(user), int(rank), str(item)) for user, rank, item in shown] == [("2", 1, "d"), ("2", 2, "e")]


def test_the_ndcg_of_a_list_is_that_of_the_metric():
    """Two relevant items, the second place of three is one: (1 / log2(3)) / (1 + 1 / log2(3))."""
    older, newer = make(OLDER), make(NEWER)
    judging = new_ratings(older, newer, replace(PROTOCOL, split="temporal", validation_fraction=5 / 9))
    lists = lists_of(newer, {"1": "dcfe", "2": "b"})
    (value,) = ndcg_of_users(lists, judging, newer.n_items, k=3)
    assert value == pytest.approx((1 / math.log2(3)) / (1 + 1 / math.log2(3)))
    judged = judge_lists(lists, judging.user.astype(np.int32), judging.item.astype(np.int32), 3)
    assert ndcg(judged).tolist() == [value]


@pytest.mark.parametrize(("coverage", "has_passed"), [(0.6, True), (0.7, False)])
def test_users_who_are_gone_count_against_those_served(coverage, has_passed):
    """Of 1, 2 and 3 the last is gone: 2 of 3 = 66.7 %."""
    check = check_users_kept(make(OLDER), make([*OLDER[:4], *ADDED]), Bounds(coverage=coverage))
    assert check.has_passed is has_passed
    assert str(check).startswith("users still there: 2 of 3 (66.7%); at least")


def check(rehearsed, served, margin=0.1):
    return check_newest(np.array(rehearsed), np.array(served), "ndcg@20", 99, Bounds(margin=margin))


def test_lists_that_are_worse_by_less_than_the_margin_pass():
    """0.475 beside 0.5: 5 % worse, every one of 40 users alike."""
    assert check([0.475] * 40, [0.5] * 40).has_passed
    assert not check([0.475] * 40, [0.5] * 40, margin=0.04).has_passed


def test_lists_that_are_worse_for_sure_fail():
    found = check([0.3, 0.35] * 20, [0.5, 0.55] * 20)
    assert not found.has_passed
    assert "ndcg@20 0.3250 beside 0.5250 of the lists served, difference -0.2000" in str(found)
    assert "by 99 new ratings of 40 users; at most 10.0% worse: failed" in str(found)


def test_a_difference_that_may_be_chance_does_not_fail():
    """Two thirds of it are gone, but with one of twelve users alone: no proof."""
    served = [1.0, 0.5, *[0.0] * 10]
    found = check([0.0, 0.5, *[0.0] * 10], served)
    assert found.has_passed
    assert "which may be chance" in found.found


def test_nothing_found_by_either_passes():
    assert check([0.0] * 12, [0.0] * 12).has_passed


def test_every_user_has_a_list_but_who_has_rated_every_candidate():
    """Candidates with a rating: a to d. User 1 has rated all of them."""
    dataset = make([("1", item, 5, 1) for item in "abcd"] + [("2", "a", 5, 1)])
    assert check_users_listed(1, dataset, min_support=1).has_passed
    assert not check_users_listed(2, dataset, min_support=1).has_passed


@pytest.mark.parametrize(("n_changed", "has_passed"), [(90, True), (91, False)])
def test_the_share_of_changed_entries_has_a_bound(n_changed, has_passed):
    found = check_change(ListChange(6, 5, 100, n_changed), Bounds(max_changed=0.9))
    assert found.has_passed is has_passed
    assert str(found).startswith(f"list entries changed: {n_changed}.0% for 5 users in both versions")
