"""Files of lines: whatever a spreadsheet or an accident writes is read, or told with its place."""

import bz2
import csv
import gzip
import io

import fsspec
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from shared.datasets import resolve_dataset
from shared.datasets.sources import delimited
from shared.errors import DatasetError
from shared.settings import Settings
from tests.sources import read_source, read_with_notices, rows_of

HEADER = "user,item,rating\n"
GOOD = HEADER + "1,10,4\n2,11,3.5\n"
ROWS = [("1", "10", 4.0), ("2", "11", 3.5)]


@pytest.mark.parametrize(
    "content",
    [
        GOOD,
        GOOD.replace(",", ";"),
        GOOD.replace(",", "\t"),
        GOOD.replace(",", "|"),
        GOOD.replace(",", ";").replace("3.5", "3,5"),
        GOOD.replace("\n", "\r\n"),
        GOOD.replace("\n", "\r"),
        GOOD.replace("\n", "\n\n"),
        "\n\n" + GOOD,
        '"user","item","rating"\n"1","10","4"\n"2","11","3.5"\n',
        "User ID, movieId ,Star Rating\n 1 ,10, 4 \n2, 11 ,3.5\n",
        GOOD.encode("utf-8-sig"),
        GOOD.encode("utf-16"),
        GOOD.replace("\n", "\r\n").encode("utf-16"),
    ],
)
def test_a_file_may_be_written_in_many_ways(tmp_path, content):
    assert rows_of(read_source(tmp_path / "ratings.csv", content)) == ROWS


@pytest.mark.parametrize(
    ("end", "compress"),
    [
        (".csv.gz", gzip.compress),
        (".csv.bz2", bz2.compress),
        (".csv.zst", lambda content: pa.compress(content, "zstd", asbytes=True)),
        (".tsv", lambda content: content.replace(b",", b"\t")),
    ],
)
def test_the_end_of_the_name_tells_how_it_is_packed_and_is_no_part_of_the_name(tmp_path, end, compress):
    dataset = read_source(tmp_path / f"my.ratings{end}", compress(GOOD.encode()))
    assert rows_of(dataset) == ROWS
    assert dataset.name == "my.ratings"


def test_files_and_parts_behind_a_url_are_read(tmp_path):
    store = fsspec.filesystem("memory")
    table = pa.table({"user": ["1", "2"], "item": ["10", "11"], "rating": [4.0, 3.5]})
    store.pipe("/bucket/ratings.csv.gz", gzip.compress(GOOD.encode()))
    for name in ("part-0.parquet", "part-1.parquet"):
        with store.open(f"/bucket/parts/{name}", "wb") as file:
            parquet.write_table(table.slice(int(name[5]), 1), file)
    settings = Settings(_env_file=None, state_dir=tmp_path)
    for url, name in (("memory://bucket/ratings.csv.gz", "ratings"), ("memory://bucket/parts", "parts")):
        resolved = resolve_dataset(url, settings)
        assert rows_of(resolved.dataset) == ROWS
        assert (resolved.dataset.name, resolved.source) == (name, url)
    with pytest.raises(DatasetError, match=r"memory://bucket/other\.csv: there is no such file"):
        resolve_dataset("memory://bucket/other.csv", settings)


PROBLEMS = {
    "a field more": (GOOD + "3,12,4,5\n", "line 4: a line has 3 fields", "got '3,12,4,5'"),
    "a field less": (GOOD + "3,12\n", "line 4: a line has 3 fields", "cut short"),
    "cut in the last line": (GOOD + "3,1", "line 4: a line has 3 fields", "cut short"),
    "letters for a number": (GOOD + "3,12,good\n", "line 4: a rating is a finite number", "got 'good'"),
    "no rating": (GOOD + "3,12,\n", "line 4: a rating is a finite number", "got ''"),
    "not a number": (GOOD + "3,12,NaN\n", "line 4: a rating is a finite number", "got 'NaN'"),
    "infinite": (GOOD + "3,12,-inf\n", "line 4: a rating is a finite number", "got '-inf'"),
    "more than a float holds": (GOOD + "3,12,1e300\n", "line 4: a rating is a finite number", "1e300"),
    "decimal comma in quotes": (GOOD + '3,12,"4,5"\n', "line 4: a rating is a finite", 'decimal = ","'),
    "no user": (GOOD + ",12,4\n", "line 4: a user id is an integer, or text", "got ''"),
    "no item": (GOOD + "3,  ,4\n", "line 4: an item id is an integer, or text", "got '  '"),
    "nothing to see": (GOOD + "3,\u200b\ufeff,4\n", "line 4: an item id is an integer", "that can be seen"),
    "a null byte": (HEADER + "1" * 300 + ",a,1\n3,1\x002,4\n", "line 3: an item id", "null byte"),
    "the header again": (GOOD + HEADER + "3,12,4\n", "line 4: a rating is a", "repeats the header"),
    "one rating twice": (GOOD + "1,10,5\n", "line 4: a user rates an item once", "in line 2 already"),
    "one rating twice, as a float": (GOOD + "1.0,10,5\n", "line 4: a user rates an item once", "line 2"),
    "blank lines before": (HEADER + "\n\n1,10,x\n", "line 4: a rating is a finite number", "got 'x'"),
    "lines within a field": (HEADER + '1,"a\nb",4\n2,c,x\n', "line 4: a rating is a finite", "got 'x'"),
    "a quotation mark without end": (HEADER + '1,"10,4\n2,11,3\n', "line 2: ", "double quotes"),
    "nothing": ("", "this one is empty", "0 bytes"),
    "blanks": ("\n \n\n", "this one is empty", "4 bytes"),
    "a header and nothing": (HEADER, "at least 2 ratings are needed", "holds 0"),
    "one rating": (HEADER + "1,10,4\n", "at least 2 ratings are needed", "holds 1"),
    "latin-1": (GOOD.encode() + "3,Amélie,4\n".encode("latin-1"), "line 4: the text is UTF-8", "latin-1"),
    "UTF-16 without its mark": (GOOD.encode("utf-16-le"), "line 1: text has no null bytes", "utf-16-le"),
    "UTF-8 and latin-1": (
        (GOOD + "3,Amélie,4\n").encode() + "4,Amélie,4\n".encode("latin-1"),
        "line 5: the text is UTF-8 all through",
        "got b'4,Am\\xe9lie,4",
    ),
    "a spreadsheet": (b"PK\x03\x04" + b"x" * 50, "this is a spreadsheet (.xlsx)", "save the sheet as CSV"),
    "Parquet": (b"PAR1" + b"x" * 50, "this is Parquet", "give its name the end .parquet"),
    "packed": (gzip.compress(GOOD.encode()), "compressed by gzip", ".gz"),
}


@pytest.mark.parametrize("problem", PROBLEMS)
def test_what_breaks_a_rule_is_told_with_file_place_value_and_remedy(tmp_path, problem):
    content, *expected = PROBLEMS[problem]
    with pytest.raises(DatasetError) as error:
        read_source(tmp_path / "ratings.csv", content)
    assert str(tmp_path / "ratings.csv") in str(error.value)
    assert "\n" not in str(error.value)
    for text in expected:
        assert text in str(error.value)


def test_an_archive_that_is_cut_short_is_told(tmp_path):
    lines = HEADER + "".join(f"{n},{n * 7919 % 1009},{n % 5}\n" for n in range(50_000))
    with pytest.raises(DatasetError, match=r"cannot be read to its end: .* cut short or damaged"):
        read_source(tmp_path / "ratings.csv.gz", gzip.compress(lines.encode())[:-2_000])


def test_a_last_line_without_its_end_is_taken_and_said(tmp_path):
    dataset, notices = read_with_notices(tmp_path / "ratings.csv", GOOD.removesuffix("\n"))
    assert rows_of(dataset) == ROWS
    assert notices == (
        f"{tmp_path}/ratings.csv: the last line has no line end; it was taken as whole: '2,11,3.5'",
    )


def test_a_last_line_without_its_end_and_shorter_than_all_others_is_refused(tmp_path):
    times = "user,item,rating,time\n1,10,4,978300760\n2,11,3,978302109\n3,12,4,9783"
    with pytest.raises(
        DatasetError, match=r"last line: every line ends .* cut short there; got '3,12,4,9783'"
    ):
        read_source(tmp_path / "ratings.csv", times)


def test_rows_that_break_a_rule_are_left_out_when_asked_and_counted_by_rule(tmp_path):
    content = HEADER + "1,10,4\n2,11\n3,,5\n4,12,x\n5,13,y\n6,14,2\n"
    dataset, notices = read_with_notices(tmp_path / "ratings.csv", content, on_error="skip", max_skipped=4)
    assert rows_of(dataset) == [("1", "10", 4.0), ("6", "14", 2.0)]
    place = f"the first is {tmp_path}/ratings.csv, line"
    assert notices == (
        f"Left out 1 row: a line has 3 fields with ',' between them, as the first line has, not 2; {place} "
        "3, got '2,11'",
        f"Left out 1 row: an item id is an integer, or text that can be seen and holds no null byte; {place} "
        "4, got ''",
        f"Left out 2 rows: a rating is a finite number; {place} 5, got 'x'",
    )


def test_more_rows_than_may_be_left_out_end_the_reading(tmp_path):
    content = HEADER + "1,10,4\n2,11\n3,,5\n4,12,x\n5,13,y\n6,14,2\n"
    with pytest.raises(DatasetError, match="With it 4 rows break a rule, more than MAX_SKIPPED=3 allows"):
        read_source(tmp_path / "ratings.csv", content, on_error="skip", max_skipped=3)


def test_a_second_rating_is_placed_right_behind_rows_that_were_left_out(tmp_path):
    content = HEADER + "1,10,4\n2,11\n3,,5\n4,12,x\n1,10,2\n"
    with pytest.raises(DatasetError, match=r"line 6: a user rates an item once; .* in line 2 already"):
        read_source(tmp_path / "ratings.csv", content, on_error="skip")


def test_columns_without_meaning_and_in_any_order_do_not_matter(tmp_path):
    content = "rating,,note,item,note,user\n4,x,a,10,b,1\n3.5,x,c,11,d,2\n"
    assert rows_of(read_source(tmp_path / "ratings.csv", content)) == ROWS


_IDS = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=300
).filter(lambda text: any(not one.isspace() and one.isprintable() for one in text))


@settings(max_examples=60, deadline=None)
@given(
    ids=st.lists(st.tuples(_IDS, _IDS), min_size=2, max_size=8),
    separator=st.sampled_from(delimited.SEPARATORS),
    line_end=st.sampled_from(["\n", "\r\n"]),
    block_bytes=st.sampled_from([1 << 24, 4_096]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
)
def test_whatever_the_csv_module_writes_is_read_as_it_was(  # noqa: PLR0917
    tmp_path_factory, ids, separator, line_end, block_bytes, quoting
):
    if quoting == csv.QUOTE_MINIMAL:
        # The module leaves a carriage return without quotation marks, and so ends the line there.
        ids = [(user.replace("\r", "x"), item.replace("\r", "x")) for user, item in ids]
    pairs = {(user.strip(), item.strip()): (user, item) for user, item in ids}
    file = io.StringIO(newline="")
    writer = csv.writer(file, delimiter=separator, lineterminator=line_end, quoting=quoting)
    writer.writerow(["user", "item", "rating"])
    writer.writerows([*pair, 3] for pair in pairs.values())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(delimited, "_BLOCK_BYTES", block_bytes)
        path = tmp_path_factory.mktemp("ids") / "ratings.csv"
        try:
            dataset = read_source(path, file.getvalue())
        except DatasetError as error:
            # Two spellings of one id, such as 7 and 7.0, or one rating alone.
            assert "a user rates an item once" in str(error) or "at least 2 ratings" in str(error)
            return
    assert len(dataset.ratings) == len(pairs)
    for (user, item), (row_user, row_item, rating) in zip(pairs.values(), rows_of(dataset), strict=True):
        assert row_user in user
        assert row_item in item or row_item == item.strip().split(".")[0]
        assert rating == 3.0


@settings(max_examples=150, deadline=None)
@given(
    start=st.sampled_from([GOOD.encode(), b"user,item,rating,time\n1,10,4,100\n2,11,3,200\n", b""]),
    junk=st.binary(max_size=60),
    end=st.sampled_from([b"", b"\n", b"\n3,12,4\n"]),
)
def test_whatever_bytes_come_there_is_a_data_set_or_one_line(tmp_path_factory, start, junk, end):
    path = tmp_path_factory.mktemp("junk") / "ratings.csv"
    try:
        dataset = read_source(path, start + junk + end)
    except DatasetError as error:
        assert str(error).strip()
    else:
        assert dataset.n_ratings >= 2
