"""Rows of arrays into a table by binary COPY, encoded by NumPy instead of row by row in Python.

Layout: https://www.postgresql.org/docs/current/sql-copy.html, section "Binary Format".
"""

import struct
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from psycopg2 import sql
from sqlalchemy import Connection

# Rows encoded at a time: some ten megabytes.
_BLOCK_ROWS = 131_072
_READ_BYTES = 1 << 18

# The type `text` in the catalogue of every server.
_TEXT_OID = 25

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
class TextLists:
    """A column of type text[]: row i holds `lists[index[i]]`."""

    lists: Sequence[Sequence[str]]
    index: npt.NDArray[np.integer]


@dataclass(frozen=True, eq=False)
class Nullable:
    """A column of floating point numbers in which NaN is null."""

    values: npt.NDArray[np.floating]


# An array of numbers; its NumPy type is that of the column (int16 for smallint, float32 for real, …).
Numbers = npt.NDArray[np.integer] | npt.NDArray[np.floating]
Column = Numbers | Nullable | Ids | TextLists


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
    if isinstance(column, Ids | TextLists):
        return len(column.index)
    return len(column.values if isinstance(column, Nullable) else column)


def _encode(columns: list[Column], n_rows: int) -> Iterator[bytes]:
    chosen: dict[int, _Padded] = {}
    for number, column in enumerate(columns):
        if isinstance(column, Ids):
            chosen[number] = _byte_fields([text.encode() for text in column.ids.tolist()])
        elif isinstance(column, TextLists):
            chosen[number] = _byte_fields([_array(texts) for texts in column.lists])
    yield _HEADER
    for start in range(0, n_rows, _BLOCK_ROWS):
        block = slice(start, start + _BLOCK_ROWS)
        parts: list[_Padded] = []
        for number, column in enumerate(columns):
            if isinstance(column, Ids | TextLists):
                padded, mask = chosen[number]
                parts.append((padded[column.index[block]], mask[column.index[block]]))
            elif isinstance(column, Nullable):
                parts.append(_nullable_fields(column.values[block]))
            else:
                parts.append(_number_fields(column[block]))
        # Every row begins with its number of fields, two bytes.
        count = np.frombuffer(len(columns).to_bytes(2, "big"), np.uint8)
        count = np.broadcast_to(count, (len(parts[0][0]), 2))
        data = np.concatenate([count, *(part for part, _ in parts)], axis=1)
        is_data = np.concatenate([np.ones(count.shape, np.bool_), *(mask for _, mask in parts)], axis=1)
        yield data[is_data].tobytes()
    yield _TRAILER


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


def _array(texts: Sequence[str]) -> bytes:
    """An array of texts as the server sends it: dimensions, no null, type; length, first place; the texts."""
    if not texts:
        return struct.pack(">iii", 0, 0, _TEXT_OID)
    encoded = [text.encode() for text in texts]
    parts = (part for value in encoded for part in (struct.pack(">i", len(value)), value))
    return struct.pack(">iiiii", 1, 0, _TEXT_OID, len(encoded), 1) + b"".join(parts)
