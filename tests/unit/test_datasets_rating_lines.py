"""Rating lines: fast for good files, exact about the first bad line of others."""

import pytest

from shared.datasets.sources.rating_lines import RatingLayout, parse_rating_lines
from shared.datasets.sources.raw_files import RawFile
from shared.errors import DatasetError

GOOD = "1::1193::5::978300760\n1::661::3::978302109\n2::661::4::978302268\n"


def parse(text, separator="::"):
    return parse_rating_lines(RawFile("ratings.dat", text.encode("latin-1")), RatingLayout(separator))


def columns(table):
    ids = [
        [int(ids[code]) for code in codes]
        for ids, codes in ((table.user_ids, table.user_codes), (table.item_ids, table.item_codes))
    ]
    return [*ids, table.ratings.tolist(), table.timestamps.tolist()]


def test_rows_come_in_file_order():
    assert columns(parse(GOOD)) == [
        [1, 1, 2],
        [1193, 661, 661],
        [5.0, 3.0, 4.0],
        [978300760, 978302109, 978302268],
    ]


@pytest.mark.parametrize("text", [GOOD + "\n\n", GOOD.replace("\n", "\r\n")])
def test_line_ends_of_other_kinds_make_no_difference(text):
    assert columns(parse(text)) == columns(parse(GOOD))


def test_tabs_separate_in_the_100k_layout():
    assert columns(parse("196\t242\t3\t881250949\n", "\t")) == [[196], [242], [3.0], [881250949]]


def test_fractional_stars_are_numbers():
    assert parse("1::2::3.5::4\n").ratings.tolist() == [3.5]


def test_leading_zeros_do_not_make_another_id():
    assert columns(parse("007::2::3::4\n"))[0] == [7]


def test_bytes_that_are_line_breaks_elsewhere_do_not_shift_line_numbers():
    with pytest.raises(DatasetError, match=r"ratings\.dat, line 2: .*got 'x"):
        parse("1::2::3::4\nx\x85\x0b\x0c::2::3::4\n")


BAD_LINES = [
    ("5::6::7", "4 fields, not 3"),
    ("5::6::4::8::9", "4 fields, not 5"),
    ("", "4 fields, not 1"),
    ("u5::6::4::8", "the user id a whole number"),
    ("5::::4::8", "the item id a whole number"),
    ("-5::6::4::8", "the user id a whole number"),
    ("5.5::6::4::8", "the user id a whole number"),
    ("99999999999999999999::6::4::8", "the user id a whole number"),
    ("5::6::4::noon", "the timestamp a whole number"),
    ("5::6::good::8", "the rating a number from 1 to 5"),
    ("5::6::nan::8", "the rating a number from 1 to 5"),
    ("5::6::NaN::8", "the rating a number from 1 to 5"),
    ("5::6::inf::8", "the rating a number from 1 to 5"),
    ("5::6::::8", "the rating a number from 1 to 5"),
    ("5::6::0::8", "the rating a number from 1 to 5"),
    ("5::6::6::8", "the rating a number from 1 to 5"),
    ("5::6::-4::8", "the rating a number from 1 to 5"),
    ("5:6:4:8", "4 fields, not 1"),
    ("5\x1f6::4::8::9", "the user id a whole number"),
    ('"5"::6::4::8', "the user id a whole number"),
]


@pytest.mark.parametrize("place", [1, 2, 4])
@pytest.mark.parametrize(("line", "rule"), BAD_LINES)
def test_a_bad_line_is_told_with_file_line_rule_and_value(line, rule, place):
    lines = GOOD.splitlines()
    lines.insert(place - 1, line)
    # A good line behind, because blank lines at the end of a file are allowed.
    text = "\n".join([*lines, "9::9::4::9", ""])
    with pytest.raises(DatasetError) as caught:
        parse(text)
    message = str(caught.value)
    assert message.startswith(f"ratings.dat, line {place}: ")
    assert rule in message
    assert f"got {line!r}. Correct or remove the line" in message


def test_the_first_of_several_bad_lines_is_told():
    with pytest.raises(DatasetError, match=r"line 2: .*got '2::x'"):
        parse("1::1::1::1\n2::x\n3::3::3::3\n4::y\n")


def test_surplus_fields_in_one_line_do_not_make_up_for_missing_ones_in_another():
    with pytest.raises(DatasetError, match=r"line 1: .*4 fields, not 5"):
        parse("1::2::3::4::5\n1::2::3\n")


@pytest.mark.parametrize("end", ["", "\n"])
def test_a_long_line_is_quoted_in_part(end):
    with pytest.raises(DatasetError) as caught:
        parse("x" * 10_000 + end)
    assert len(str(caught.value)) < 400


def test_a_last_line_without_its_end_is_told_however_whole_it_looks():
    # Cut inside the last timestamp, 978302268: every field of the line is still a number.
    with pytest.raises(DatasetError) as caught:
        parse(GOOD[:-3])
    message = str(caught.value)
    assert message.startswith(
        "ratings.dat, line 3: every line ends with a line end, and this last one has none"
    )
    assert "got '2::661::4::9783022'. Unpack the archive again, or add the line end" in message


@pytest.mark.parametrize("n_bytes", range(1, len(GOOD)))
def test_a_file_cut_anywhere_but_behind_a_line_is_refused(n_bytes):
    text = GOOD.replace("\n", "\r\n")[:n_bytes]
    if text.endswith("\n"):
        assert len(parse(text).ratings) == text.count("\n")
    else:
        with pytest.raises(DatasetError, match=f"line {text.count(chr(10)) + 1}: every line ends with"):
            parse(text)


@pytest.mark.parametrize("text", ["", "\n", " \r\n\n"])
def test_an_empty_file_is_told(text):
    with pytest.raises(DatasetError, match=r"ratings\.dat: .*this one is empty"):
        parse(text)
