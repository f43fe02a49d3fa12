"""How many rows and bytes lists take, worked out by hand, and the line where the disk has no room."""

from pathlib import Path

import pytest

from scheduler.sweep.room import lists_of, require_room
from shared.errors import SpecError


def test_all_lists_of_a_sweep_are_there_at_once():
    lists = lists_of(10, 1_000, 20, kept=None, n_workers=2)
    # 10 trials x 1,000 users x (20 rows of 220 bytes and 500 bytes of results).
    assert (lists.n_rows, lists.n_bytes) == (200_000, 49_000_000)
    assert str(lists) == "200,000 rows, about 0.049 GB in the database"


def test_where_few_are_kept_as_many_more_are_there_as_task_processes():
    lists = lists_of(10, 1_000, 20, kept=3, n_workers=2)
    # All 10 trials keep their results of users, 5 of them have lists at one time.
    assert (lists.n_rows, lists.n_at_once, lists.n_bytes) == (200_000, 5, 27_000_000)
    assert str(lists).endswith("0.027 GB in the database, with those of at most 5 trials at one time")


def test_a_keep_of_more_than_there_are_trials_is_all():
    assert lists_of(2, 10, 5, kept=9, n_workers=2) == lists_of(2, 10, 5, kept=None, n_workers=2)


def test_what_does_not_fit_is_one_line_with_rule_value_place_and_remedy(tmp_path):
    # The shape of ML-32M: 200 trials x 200,948 users x (20 x 220 + 500) bytes = 196.9 GB.
    lists = lists_of(200, 200_948, 20, kept=None, n_workers=2)
    with pytest.raises(SpecError) as caught:
        require_room(lists, tmp_path, lambda _folder: 60_000_000_000)
    message = str(caught.value)
    for words in ("must fit on the disk of the database", "about 197 GB", "60 GB are free", str(tmp_path)):
        assert words in message
    assert "[lists] keep = 5" in message
    assert "\n" not in message
    require_room(lists, tmp_path, lambda _folder: 197_000_000_000)


def test_of_a_server_elsewhere_nothing_is_known():
    lists = lists_of(10_000, 1_000_000, 20, kept=None, n_workers=2)
    require_room(lists, None, lambda _folder: 0)
    require_room(lists, Path("/no/such/folder"), lambda _folder: 0)


def test_the_free_space_is_that_of_the_folder(tmp_path):
    require_room(lists_of(1, 1, 1, kept=None, n_workers=1), tmp_path)
    with pytest.raises(SpecError, match="are free in"):
        require_room(lists_of(10_000, 10**12, 1, kept=None, n_workers=1), tmp_path)
