"""Waiting: ask until the answer will do or the time is over."""

import time

import pytest

from scheduler.machine.patience import ask_until


def test_the_first_answer_that_is_enough_ends_the_waiting() -> None:
    answers = iter([1, 2, 3, 4])
    assert ask_until(lambda: next(answers), lambda answer: answer == 3, 60, pause_seconds=0.001) == 3
    assert next(answers) == 4


def test_when_the_time_is_over_the_last_answer_is_given() -> None:
    began = time.monotonic()
    assert ask_until(lambda: "no", lambda answer: answer == "yes", 0.1, pause_seconds=0.01) == "no"
    assert time.monotonic() - began >= 0.1


def test_without_time_it_asks_once() -> None:
    asked: list[int] = []
    assert ask_until(lambda: asked.append(1), bool, 0) is None
    assert asked == [1]


def test_an_error_passes_at_once() -> None:
    asked: list[int] = []

    def fail() -> None:
        asked.append(1)
        raise LookupError("gone")

    with pytest.raises(LookupError, match="gone"):
        ask_until(fail, bool, 60)
    assert asked == [1]
