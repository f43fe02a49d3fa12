"""What somebody rated, as a person writes it: read, or refused with the place."""

from dataclasses import replace

import numpy as np
import pytest

from shared.errors import SpecError
from tests.factories import make_dataset
from worker.recommend.history import read_history

# Items "10", "20", … "80" in rows 0 to 7; ratings from 1 to 3.
DATASET = make_dataset()


def read(text):
    history = read_history(str(text), DATASET)
    return list(zip(history.item_index.tolist(), history.ratings.tolist(), strict=True))


def write(tmp_path, content, name="history.csv"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_a_list_gives_items_with_their_ratings_in_its_order():
    assert read("80:2,10: 1.5 , 20.0:3") == [(7, 2.0), (0, 1.5), (1, 3.0)]


def test_items_without_a_rating_count_as_rated_highest():
    history = read_history("10,20:1,30", DATASET)
    assert (history.ratings.tolist(), history.n_unrated) == ([3.0, 1.0, 3.0], 2)
    assert (history.item_index.dtype, history.ratings.dtype) == (np.int32, np.float32)


def test_unknown_items_are_left_out_and_named():
    history = read_history("11,10,no such:2", DATASET)
    assert (history.item_index.tolist(), history.unknown, history.n_unrated) == ([0], ("11", "no such"), 1)


@pytest.mark.parametrize(
    "content",
    [
        "10,2\n80,\n",
        "item_id,rating\n10,2\n80\n",
        "\ufeffItem_ID, Rating\r\n\r\n10, 2\r\n80,\r\n",
        "rating,item_id\n2,10\n,80\n",
        '"10","2"\n" 80 "',
    ],
)
def test_a_file_holds_lines_with_or_without_header_and_ratings(tmp_path, content):
    assert read(write(tmp_path, content)) == [(0, 2.0), (7, 3.0)]


def test_a_file_may_name_items_alone(tmp_path):
    assert read(write(tmp_path, "item_id\n10\n20\n", name="anything")) == [(0, 3.0), (1, 3.0)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("10,20,10:2", r"HISTORY, entry 3: .* given once; '10' is in HISTORY, entry 1 too"),
        ("10:4", r"HISTORY, entry 1: a rating of tiny is a number from 1 to 3; got '4' for item '10'"),
        ("10,20:0.5", r"HISTORY, entry 2: .* from 1 to 3; got '0.5' for item '20'"),
        ("10:good", r"from 1 to 3; got 'good' for item '10'"),
        ("10:nan", r"from 1 to 3; got 'nan'"),
        ("10:", r"from 1 to 3; got ''"),
        ("10,,20", r"HISTORY, entry 2: an id is an integer or a text that is not empty"),
        (":3", r"HISTORY, entry 1: an id is an integer or a text that is not empty"),
        ("11,12", r"needs an item of the catalogue of tiny; none is of 11, 12"),
        # A rating is wrong wherever it stands.
        ("11:9,10", r"HISTORY, entry 1: .* got '9' for item '11'"),
        ("no/such/file", r"there is no file 'no/such/file'"),
        ("history.csv", r"there is no file 'history.csv'"),
    ],
)
def test_a_mistake_in_a_list_is_named_with_its_place(text, message):
    with pytest.raises(SpecError, match=message) as error:
        read(text)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("item_id,rating\n10,2\n\n10,3\n", r"history.csv, line 4: .* '10' is in .*history.csv, line 2 too"),
        ("10,2,978300760\n", r"line 1: a line of a history is item_id and rating; got '10,2,978300760'"),
        ("item_id\n10,2\n", r"line 2: a line of a history is item_id; got"),
        ("item_id,stars\n10,2\n", r"line 1: the columns of .* item_id and rating; got item_id, stars"),
        ("10,2\nitem_id,rating\n", r"line 2: a rating of tiny is a number from 1 to 3; got 'rating'"),
        (",2\n", r"line 1: an id is an integer or a text"),
        ("", "needs an item of the catalogue of tiny; it is empty"),
        ("item_id,rating\n", "needs an item of the catalogue of tiny; it is empty"),
        (b"\xff\xfe10", "cannot be read: .* a history is a text file in UTF-8"),
    ],
)
def test_a_mistake_in_a_file_is_named_with_its_line(tmp_path, content, message):
    with pytest.raises(SpecError, match=message) as error:
        read(write(tmp_path, content))
    assert "\n" not in str(error.value)


def test_an_id_with_a_colon_is_an_id_where_the_catalogue_has_it():
    dataset = replace(DATASET, item_ids=np.array(["10", "10:2", *DATASET.item_ids[2:]]))
    history = read_history("10:2,10:1", dataset)
    assert (history.item_index.tolist(), history.ratings.tolist()) == ([1, 0], [3.0, 1.0])


def test_a_very_long_list_is_no_path():
    assert len(read(",".join(["10", *(f"x{number}" for number in range(3000))]))) == 1
