"""Rows of arrays into a table by binary COPY, encoded by NumPy instead of row by row in Python.

Layout: https://www.postgresql.org/docs/current/sql-copy.html, section "Binary Format".
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from psycopg2 import sql
from sqlalchemy import Connection

# Rows encoded at a time: some ten megabytes.
_BLOCK_ROWS = 131_072
_READ_BYTES = 1 << 18

# Types in the catalogue of every server.
_TEXT_OID = 25
_NUMBER_OIDS = {"int16": 21, "int32": 23, "float32": 700, "float64": 701}
# How an array begins: its bytes, dimensions, whether an element is null, type; then, unless it is empty, its
# length and the place of its first element. All are int32.
_ARRAY_HEAD = np.dtype(
    [(name, ">i4") for name in ("width", "dimensions", "nulls", "type", "length", "first")]
)

_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TRAILER = b"\xff\xff"

# The bytes of one column, a row an entry, padded to equal width; the mask tells bytes from padding.
_Padded = tuple[npt.NDArray[np.uint8], npt.NDArray[np.bool_]]


@dataclass(frozen=True, eq=False)
class Ids:
    """A text column: row i holds `ids[index[i]]`."""

    ids: npt.NDArray[np.str_]
    index: npt.NDArray[np.integer]


@dataclass(frozen=True, eq=False)
class Nullable:
    """A column of floating point numbers in which NaN is null."""

    values: npt.NDArray[np.floating]


# An array of numbers; its NumPy type is that of the column (int16 for smallint, float32 for real, …).
Numbers = npt.NDArray[np.integer] | npt.NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class Arrays:
    """A column of arrays: row i holds the `lengths[i]` values that follow those of row i - 1; -1 is null."""

    values: Ids | Numbers
    lengths: npt.NDArray[np.integer]


Column = Numbers | Nullable | Ids | Arrays


def copy_rows(
    connection: Connection, table: str, columns: Mapping[str, Column], *, is_new_table: bool = False
) -> None:
    """Append one row for each entry of the arrays, which all have the same length.

    `is_new_table`: made in this transaction, so that its rows need no visit of the vacuum later.
    """
    options = "format binary, freeze" if is_new_table else "format binary"
    statement = sql.SQL("copy {} ({}) from stdin with (" + options + ")").format(
        sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, columns))
    )
    lengths = {_length(column) for column in columns.values()}
    if len(lengths) != 1:
        raise ValueError(f"columns of one table must have equal lengths; got {sorted(lengths)}")
    stream = _Stream(_encode(list(columns.values()), lengths.pop()))
    with closing(connection.connection.cursor()) as cursor:
        cursor.copy_expert(statement, stream, size=_READ_BYTES)


class _Stream:
    """What psycopg2 reads from: a file made of the chunks of an iterator."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = memoryview(b"")

    def read(self, size: int) -> bytes:
        """At most `size` bytes; none at the end."""
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                return b""
            self._rest = memoryview(chunk)
        piece, self._rest = self._rest[:size], self._rest[size:]
        return bytes(piece)


def _length(column: Column) -> int:
    if isinstance(column, Ids):
        return len(column.index)
    if isinstance(column, Arrays):
        return len(column.lengths)
    return len(column.values if isinstance(column, Nullable) else column)


def _encode(columns: list[Column], n_rows: int) -> Iterator[bytes]:
    fields = [_fields_of(column) for column in columns]
    longest = max([1, *(int(one.lengths.max(initial=1)) for one in columns if isinstance(one, Arrays))])
    n_block = max(1, _BLOCK_ROWS // longest)
    yield _HEADER
    for start in range(0, n_rows, n_block):
        parts = [of_column(slice(start, min(start + n_block, n_rows))) for of_column in fields]
        # Every row begins with its number of fields, two bytes.
        count = np.frombuffer(len(columns).to_bytes(2, "big"), np.uint8)
        count = np.broadcast_to(count, (len(parts[0][0]), 2))
        data = np.concatenate([count, *(part for part, _ in parts)], axis=1)
        is_data = np.concatenate([np.ones(count.shape, np.bool_), *(mask for _, mask in parts)], axis=1)
        yield data[is_data].tobytes()
    yield _TRAILER


def _fields_of(column: Column) -> Callable[[slice], _Padded]:
    """What gives the fields of a block of rows."""
    if isinstance(column, Ids):
        padded, mask = _byte_fields([text.encode() for text in column.ids.tolist()])
        index = column.index
        return lambda block: (padded[index[block]], mask[index[block]])
    if isinstance(column, Nullable):
        values = column.values
        return lambda block: _nullable_fields(values[block])
    if isinstance(column, Arrays):
        elements, lengths = _fields_of(column.values), column.lengths
        oid = _TEXT_OID if isinstance(column.values, Ids) else _NUMBER_OIDS[column.values.dtype.name]
        ends = np.concatenate([[0], np.cumsum(np.maximum(lengths, 0))])
        return lambda block: _array_fields(
            elements(slice(ends[block.start], ends[block.stop])), oid, lengths[block]
        )
    numbers = column
    return lambda block: _number_fields(numbers[block])


def _number_fields(values: Numbers) -> _Padded:
    """Each value as its width in bytes (int32) and its bytes, most significant first."""
    big_endian = values.dtype.newbyteorder(">")
    fields = np.empty(len(values), np.dtype([("width", ">i4"), ("value", big_endian)]))
    fields["width"] = values.dtype.itemsize
    fields["value"] = values
    data = fields.view(np.uint8).reshape(len(values), fields.dtype.itemsize)
    return data, np.ones(data.shape, np.bool_)


def _nullable_fields(values: npt.NDArray[np.floating]) -> _Padded:
    """As numbers; a null is the width -1 and no bytes."""
    data, is_data = _number_fields(values)
    is_null = np.isnan(values)
    data[is_null, :4] = 0xFF
    is_data[is_null, 4:] = False
    return data, is_data


def _byte_fields(encoded: Sequence[bytes]) -> _Padded:
    """Each value as its length in bytes (int32) and its bytes."""
    lengths = np.array([len(value) for value in encoded], np.int32)
    width = int(lengths.max(initial=1))
    data = np.empty((len(encoded), 4 + width), np.uint8)
    data[:, :4] = lengths.astype(">i4").view(np.uint8).reshape(-1, 4)
    data[:, 4:] = np.array(encoded, f"S{width}").view(np.uint8).reshape(-1, width)
    return data, np.arange(4 + width) < (4 + lengths)[:, np.newaxis]


def _array_fields(elements: _Padded, oid: int, lengths: npt.NDArray[np.integer]) -> _Padded:
    """Each array as its head and the fields of its elements, which come row after row; -1 for null."""
    data, mask = elements
    n_rows, longest, width = len(lengths), int(lengths.max(initial=0)), data.shape[1]
    is_element = np.arange(longest) < lengths[:, np.newaxis]
    body = np.zeros((n_rows, longest, width), np.uint8)
    is_body = np.zeros(body.shape, np.bool_)
    body[is_element], is_body[is_element] = data, mask
    is_null, is_empty = lengths < 0, lengths == 0
    head = np.zeros(n_rows, _ARRAY_HEAD)
    # Without the width itself.
    n_head = np.where(is_empty, 12, 20)
    head["width"] = np.where(is_null, -1, n_head + is_body.sum(axis=(1, 2)))
    head["dimensions"], head["type"], head["length"], head["first"] = ~is_empty, oid, lengths, 1
    is_head = np.arange(_ARRAY_HEAD.itemsize) < np.where(is_null, 4, 4 + n_head)[:, np.newaxis]
    return (
        np.concatenate(
            [head.view(np.uint8).reshape(n_rows, -1), body.reshape(n_rows, longest * width)], axis=1
        ),
        np.concatenate([is_head, is_body.reshape(n_rows, longest * width)], axis=1),
    )
