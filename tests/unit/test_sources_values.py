"""Ids, ratings and times, whatever their type; Parquet has them in many."""

import datetime
import decimal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from shared.datasets.ids import canonical_id
from shared.datasets.sources.values import IdCodes, TimeReader, to_numbers
from shared.errors import DatasetError
from tests.sources import read_source, read_with_notices, rows_of

# 2024-01-31T12:00:00Z: 19,753 days after 1970-01-01, and half a day.
NOON = 19_753 * 86_400 + 43_200
MIDNIGHT = NOON - 43_200


def write_parquet(path, **columns):
    path.parent.mkdir(exist_ok=True)
    parquet.write_table(pa.table(columns), path)
    return path


@pytest.mark.parametrize(
    ("values", "ids"),
    [
        (pa.array([7, 8], pa.int8()), ["7", "8"]),
        (pa.array([2**63, 2**64 - 1], pa.uint64()), ["9223372036854775808", "18446744073709551615"]),
        (pa.array([7.0, 8.0]), ["7", "8"]),
        (pa.array(["007", "7"]), ["007", "7"]),
        (pa.array(["7.0", " 7 ", "7"]), ["7"]),
        (pa.array(["a", "b"], pa.large_string()), ["a", "b"]),
        (pa.array(["a", "b", "a"]).dictionary_encode(), ["a", "b"]),
        (pa.array([decimal.Decimal(7), decimal.Decimal(8)]), ["7", "8"]),
        (pa.array(["x'; drop table trials; --", '"', "🦉", "é" * 300]), None),
    ],
)
def test_ids_of_every_type_have_one_spelling(values, ids):
    codes = IdCodes()
    encoded, is_good = codes.encode(values)
    assert is_good.all()
    assert codes.ids == (values.to_pylist() if ids is None else ids)
    assert [codes.ids[code] for code in encoded] == [canonical_id(value) for value in values.to_pylist()]


@pytest.mark.parametrize(
    "values",
    [
        pa.array([None], pa.string()),
        pa.array(["", " ", "\t", "\u200b", "\ufeff \u2060", "a\0b"]),
        pa.array([1.5, np.nan, np.inf, 2.0**60]),
        pa.array([True, False]),
        pa.array([decimal.Decimal("1.5")]),
        pa.array([[1], [2]]),
    ],
)
def test_what_names_nothing_is_no_id(values):
    assert not IdCodes().encode(values)[1].any()


def test_ids_keep_their_codes_from_batch_to_batch():
    codes = IdCodes()
    assert codes.encode(pa.array(["b", "a"]))[0].tolist() == [0, 1]
    assert codes.encode(pa.array(["a", "c", "b"]))[0].tolist() == [1, 2, 0]


@given(st.text(max_size=20))
def test_an_id_has_one_spelling_or_none(text):
    try:
        once = canonical_id(text)
    except DatasetError:
        return
    assert canonical_id(once) == once
    assert canonical_id(f" \ufeff{text}\u200b ") == once


@given(st.lists(st.floats(width=32) | st.integers(-(10**9), 10**9), min_size=1))
def test_numbers_are_read_from_their_text_as_python_reads_them(numbers):
    values, is_good = to_numbers(pa.array([repr(number) for number in numbers]))
    assert is_good.tolist() == [bool(np.isfinite(number)) for number in numbers]
    assert values[is_good].tolist() == [
        float(number) for number, good in zip(numbers, is_good, strict=True) if good
    ]


@pytest.mark.parametrize(
    ("column", "decimal_mark", "expected"),
    [
        (pa.array(["4,5", "-3", "4.5", "1.234,5"]), ",", [4.5, -3.0, None, None]),
        (pa.array([" 4 ", "+4", "1e1", ".5", "5.", "", "4 5", "0x1", "1_0", "inf", "٣"]), ".",
         [4.0, 4.0, 10.0, 0.5, 5.0, None, None, None, None, None, None]),
        (pa.array([decimal.Decimal("4.5"), None]), ".", [4.5, None]),
        (pa.array([True, False]), ".", [None, None]),
        (pa.array([datetime.date(2024, 1, 31)]), ".", [None]),
    ],
)  # fmt: skip
def test_what_is_no_finite_number_is_marked(column, decimal_mark, expected):
    values, is_good = to_numbers(column, decimal_mark)
    assert [value if good else None for value, good in zip(values, is_good, strict=True)] == expected


@pytest.mark.parametrize(
    ("column", "time_format", "found", "seconds"),
    [
        (pa.array(["978300760", "0"]), None, "seconds", [978300760, 0]),
        (pa.array([978300760.9]), None, "seconds", [978300760]),
        (pa.array(["1706702400123"]), None, "milliseconds", [NOON]),
        (pa.array([1706702400123456]), None, "microseconds", [NOON]),
        (pa.array([1706702400123456789]), None, "nanoseconds", [NOON]),
        (pa.array(["1706702400"]), "milliseconds", "milliseconds", [1706702]),
        (pa.array(["2024-01-31", "2024-01-31T12:00:00Z"]), None, "iso", [MIDNIGHT, NOON]),
        (pa.array(["2024-01-31 14:00:00+02:00", "2024-01-31T12:00:00.5"]), None, "iso", [NOON, NOON]),
        (pa.array(["31.01.2024"]), "%d.%m.%Y", "%d.%m.%Y", [MIDNIGHT]),
        (pa.array([datetime.date(2024, 1, 31)]), None, "iso", [MIDNIGHT]),
        (pa.array([datetime.datetime(2024, 1, 31, 12, tzinfo=datetime.UTC)]), None, "iso", [NOON]),
        (pa.array(["1969-12-31T23:59:59"]), None, "iso", [-1]),
    ],
)
def test_times_are_seconds_whatever_they_were(column, time_format, found, seconds):
    reader = TimeReader(time_format)
    values, is_good = reader.read(column)
    assert is_good.all()
    assert (values.tolist(), reader.time_format) == (seconds, found)


@pytest.mark.parametrize(
    ("column", "time_format"),
    [
        (pa.array(["31.01.2024", "", "soon", "2024-13-01"]), None),
        (pa.array(["2024-01-31"]), "seconds"),
        (pa.array(["2024-01-31"]), "%d.%m.%Y"),
        (pa.array([None], pa.int64()), "seconds"),
        (pa.array([10**17]), "seconds"),
        (pa.array([datetime.time(12, 0)]), None),
        (pa.array([[1], [2]]), None),
    ],
)
def test_what_is_no_time_is_marked(column, time_format):
    assert not TimeReader(time_format).read(column)[1].any()


def test_a_parquet_file_and_parts_in_a_folder_are_read_in_order(tmp_path):
    folder = tmp_path / "parts"
    write_parquet(folder / "part-1.parquet", user=["b", "a"], item=[2, 1], stars=[1.5, 2.0])
    write_parquet(folder / "part-0.snappy.parquet", user=["a", "c"], item=[2, 3], stars=[4.0, 5.0])
    (folder / "_SUCCESS").touch()
    (folder / ".part-2.parquet").write_bytes(b"half")
    dataset = read_source(folder)
    assert rows_of(dataset) == [("a", "2", 4.0), ("c", "3", 5.0), ("b", "2", 1.5), ("a", "1", 2.0)]
    assert dataset.name == "parts"


def test_a_bad_value_in_parts_is_told_with_part_and_row(tmp_path):
    folder = tmp_path / "parts"
    write_parquet(folder / "a.parquet", user=["a", "b"], item=[1, 2], rating=[1.0, 2.0])
    write_parquet(folder / "b.parquet", user=["c", None, "d"], item=[1, 2, 3], rating=[None, 1.0, 2.0])
    with pytest.raises(DatasetError, match=rf"{folder}/b.parquet, row 1: a rating is .*; got nothing"):
        read_source(folder)
    dataset, notices = read_with_notices(folder, on_error="skip")
    assert [row[0] for row in rows_of(dataset)] == ["a", "b", "d"]
    assert len(notices) == 2
    assert f"{folder}/b.parquet, row 2, got nothing" in notices[1]


def test_parts_that_do_not_fit_are_told(tmp_path):
    folder = tmp_path / "parts"
    write_parquet(folder / "a.parquet", user=["a", "b"], item=[1, 2], rating=[1.0, 2.0])
    write_parquet(folder / "b.parquet", user=["c"], sku=[1], rating=[2.0])
    with pytest.raises(
        DatasetError, match=r"b.parquet: every part has the columns of the first, .* lacks item"
    ):
        read_source(folder)
    (folder / "b.parquet").write_bytes((folder / "a.parquet").read_bytes()[:-30])
    with pytest.raises(DatasetError, match=r"b.parquet: it is no whole Parquet file"):
        read_source(folder)


def test_a_folder_without_parts_is_told(tmp_path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(DatasetError, match=r"this one has none: it is empty. Name a file instead"):
        read_source(tmp_path / "folder")
