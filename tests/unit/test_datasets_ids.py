"""One spelling and one order for ids from outside."""

import numpy as np
import pytest

from shared.datasets.ids import canonical_id, is_integer_id, sort_ids
from shared.errors import DatasetError


@pytest.mark.parametrize(
    "value", [2000, "2000", 2000.0, "2000.0", " 2000 ", np.int32(2000), np.float64(2000)]
)
def test_canonical_id_gives_all_spellings_of_an_integer_one_text(value):
    assert canonical_id(value) == "2000"


@pytest.mark.parametrize("text", ["007", "a-17", "1.5", "Ünï", "-0"])
def test_canonical_id_keeps_text_that_is_no_integer(text):
    assert canonical_id(text) == text


@pytest.mark.parametrize("value", ["", "  ", None, True, np.nan, 1.5, np.inf, 2.0**60, "a\0b", b"2000"])
def test_canonical_id_refuses_what_names_nothing(value):
    with pytest.raises(DatasetError, match="an id is an integer or a text that is not empty; got"):
        canonical_id(value)


def test_sort_ids_orders_integers_as_numbers():
    assert sort_ids(["10", "9", "-3", "0"]) == ["-3", "0", "9", "10"]


def test_sort_ids_orders_as_text_when_one_id_is_no_integer():
    assert sort_ids(["10", "9", "a"]) == ["10", "9", "a"]


def test_is_integer_id_takes_canonical_integers_only():
    assert [is_integer_id(text) for text in ["0", "-12", "2000", "007", "1.0", "", "٣"]] == [True] * 3 + [
        False
    ] * 4
