"""Lines of fields between separators (CSV, TSV): how a file is written, and its rows block by block."""

import csv
import io
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import IO, TYPE_CHECKING, Any, Protocol

import numpy as np

from shared.datasets.sources.left_out import LeftOut, Rule
from shared.errors import DatasetError
from shared.plain_text import shortened

if TYPE_CHECKING:
    import pyarrow as pa

SEPARATORS = (",", ";", "\t", "|")
_SAMPLE_BYTES = 1 << 18
_N_SAMPLE_ROWS = 100
_BLOCK_BYTES = 1 << 24
_TAIL_BYTES = 1 << 14
_BOM = "\ufeff"
_UTF_16_MARKS = (b"\xff\xfe", b"\xfe\xff")


class TextFile(Protocol):
    """What lines are read from: an `InputFile`, a `RawFile`."""

    @property
    def url(self) -> str:
        """For messages."""

    def open_decompressed(self) -> AbstractContextManager["pa.NativeFile"]:
        """Its bytes, as often as asked."""


@dataclass(frozen=True)
class Dialect:
    """How a file is written.

    names: of its columns      n_head_lines: lines up to and with the header, 0 for a file without one
    sample: the first rows of as many fields as there are names
    """

    separator: str
    encoding: str
    names: tuple[str, ...]
    n_head_lines: int
    sample: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class _Row:
    """The fields of a row, and the line, from 1, on which it begins and on which it ends."""

    first_line: int
    last_line: int
    fields: tuple[str, ...]


def find_dialect(
    file: TextFile, separator: str | None = None, encoding: str | None = None, names: Sequence[str] = ()
) -> Dialect:
    """What is given, and for the rest what the beginning of the file shows.

    `names` are given for a file without a header. The separator is the one of comma, semicolon, tab and bar
    that makes the most fields of the first line. Text is UTF-8, or UTF-16 where a byte order mark says so.
    Raises DatasetError for an empty file and for text of another encoding.
    """
    with file.open_decompressed() as stream:
        head = stream.read(_SAMPLE_BYTES)
    if not head.strip():
        raise DatasetError(
            f"{file.url}: a file of ratings holds a line for each; this one is empty ({len(head)} bytes). "
            "Supply it anew."
        )
    encoding = encoding or _find_encoding(file, head)
    text = _decode(file, head, encoding)
    separator = separator or max(SEPARATORS, key=lambda one: len(next(_numbered_rows(text, one)).fields))
    rows = _numbered_rows(text, separator)
    if names:
        header, n_head_lines = tuple(names), 0
    else:
        first = next(rows)
        header, n_head_lines = tuple(name.strip() for name in first.fields), first.last_line
    sample = [row.fields for row, _ in zip(rows, range(_N_SAMPLE_ROWS), strict=False)]
    fitting = tuple(fields for fields in sample if len(fields) == len(header))
    return Dialect(separator, encoding, header, n_head_lines, fitting)


class DelimitedRows:
    """The rows of one file. Blank lines count for nothing; rows of another number of fields are left out."""

    def __init__(self, file: TextFile, dialect: Dialect, left_out: LeftOut) -> None:
        self.where = file.url
        self.names = dialect.names
        self.notices: list[str] = []
        self._file = file
        self._dialect = dialect
        self._left_out = left_out
        # The numbers, from 0, of rows that were not given.
        self._misfits: list[int] = []

    def examples(self, n_rows: int) -> list[list[str]]:
        """The first rows."""
        return [list(fields) for fields in self._dialect.sample[:n_rows]]

    def batches(self, columns: Sequence[int]) -> Iterator["pa.RecordBatch"]:
        """Text as it stands there, whatever it means."""
        import pyarrow as pa  # noqa: PLC0415  Slow to load, and few commands need it.

        self._misfits = []
        pending: list[Any] = []
        with self._file.open_decompressed() as stream:
            tail = _Tail(stream)
            try:
                reader = self._open(tail, columns, pending)
                while True:
                    batch = next(reader, None) if reader else None
                    self._report(pending)
                    if batch is None:
                        break
                    yield batch
            except pa.ArrowInvalid as error:
                self._report(pending)
                raise self._translate(error) from error
            except UnicodeDecodeError as error:
                raise self._wrong_encoding() from error
        self._check_end(tail)

    def place(self, row: int) -> str:
        """File and line. A second look at the file tells: a field may go over several lines."""
        given_before = np.array(self._misfits, dtype=np.int64) - np.arange(len(self._misfits))
        return self._place_of_number(row + int(np.searchsorted(given_before, row, side="right")))

    def _open(self, tail: "_Tail", columns: Sequence[int], pending: list[Any]) -> Iterator["pa.RecordBatch"]:
        """A reader that notes rows of another number of fields in `pending`."""
        import pyarrow as pa  # noqa: PLC0415  Slow to load, and few commands need it.
        from pyarrow import csv as arrow_csv  # noqa: PLC0415

        def note(row: Any) -> str:  # noqa: ANN401  pyarrow ships no types.
            pending.append(row)
            return "skip"

        # By position: two columns may have one name, or none.
        names = [str(place) for place in range(len(self.names))]
        reader: Iterator[pa.RecordBatch] = arrow_csv.open_csv(
            pa.PythonFile(tail, mode="r"),
            read_options=arrow_csv.ReadOptions(
                use_threads=False,  # Else nothing tells the numbers of rows.
                block_size=_BLOCK_BYTES,
                column_names=names,
                skip_rows=self._dialect.n_head_lines,
                encoding="utf8" if self._dialect.encoding == "utf-8" else self._dialect.encoding,
            ),
            parse_options=arrow_csv.ParseOptions(
                delimiter=self._dialect.separator, newlines_in_values=True, invalid_row_handler=note
            ),
            convert_options=arrow_csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()),
                include_columns=[names[place] for place in columns],
                strings_can_be_null=False,
            ),
        )
        return reader

    def _report(self, pending: list[Any]) -> None:
        """Leave out what was noted, in the order of the file."""
        rows, pending[:] = list(pending), []
        for row in rows:
            number = row.number - 1 - self._dialect.n_head_lines
            self._misfits.append(number)
            rule = Rule(
                f"a line has {len(self.names)} fields with {self._dialect.separator!r} between them, as the "
                f"first line has, not {row.actual_columns}",
                "Correct or remove the line, and write a field that holds the separator in double quotes. "
                "If it is the last line, the file may have been cut short: supply it anew.",
            )
            self._left_out.add(rule, partial(self._place_of_number, number), row.text)

    def _place_of_number(self, number: int) -> str:
        """Of a row of the file, from 0, misfits counted."""
        with self._text() as text:
            rows = _numbered_rows(text, self._dialect.separator)
            if self._dialect.n_head_lines:
                next(rows)
            for place, row in enumerate(rows):
                if place == number:
                    return f"{self.where}, line {row.first_line}"
        return f"{self.where}, row {number + 1}"

    @contextmanager
    def _text(self) -> Iterator[IO[str]]:
        with self._file.open_decompressed() as stream:
            encoding = "utf-8-sig" if self._dialect.encoding == "utf-8" else self._dialect.encoding
            yield io.TextIOWrapper(stream, encoding, errors="replace", newline="")

    def _translate(self, error: Exception) -> DatasetError:
        if "UTF8" in str(error):
            return self._wrong_encoding()
        with self._text() as text:
            line = 1
            try:
                for row in _numbered_rows(text, self._dialect.separator, is_strict=True):
                    line = row.last_line + 1
            except csv.Error:
                return DatasetError(
                    f"{self.where}, line {line}: a field that begins with a double quote ends with one; this "
                    "line begins a row in which that is not so. Write a double quote within a field twice, "
                    "and the field in double quotes."
                )
        return DatasetError(f"{self.where}: it cannot be read as lines of fields: {error}. Supply it anew.")

    def _wrong_encoding(self) -> DatasetError:
        with self._file.open_decompressed() as stream:
            return _describe_encoding(self._file, stream, self._dialect.encoding)

    def _check_end(self, tail: "_Tail") -> None:
        """A last line without its end is read, and said; refused where it is shorter than all before it."""
        if tail.content.endswith((b"\n", b"\r")) or self._dialect.encoding.lower().startswith("utf-16"):
            return
        text = tail.content.decode(self._dialect.encoding, errors="replace")
        # The first row of the tail is the end of a longer one.
        fields = [row.fields for row in _numbered_rows(text, self._dialect.separator)][1:]
        if not fields:
            return
        lengths = [len(row[-1]) for row in fields[:-1] if len(row) == len(self.names)]
        last = self._dialect.separator.join(fields[-1])
        if len(fields[-1]) == len(self.names) and lengths and len(fields[-1][-1]) < min(lengths):
            raise DatasetError(
                f"{self.where}, last line: every line ends with a line end; this one has none and its last "
                f"field is shorter than those before: the file may be cut short there; got "
                f"{shortened(repr(last))}. Supply it anew, or add the line end if the line is whole."
            )
        self.notices.append(
            f"{self.where}: the last line has no line end; it was taken as whole: {shortened(repr(last))}"
        )


class _Tail:
    """Passes a stream through, and remembers the end of what was read."""

    def __init__(self, stream: "pa.NativeFile") -> None:
        self.content = b""
        self._stream = stream

    closed = False

    def read(self, n_bytes: int) -> bytes:
        block: bytes = self._stream.read(n_bytes)
        self.content = (self.content + block[-_TAIL_BYTES:])[-_TAIL_BYTES:]
        return block

    def readable(self) -> bool:
        return True

    def close(self) -> None:
        self.closed = True


def _numbered_rows(lines: str | Iterable[str], separator: str, *, is_strict: bool = False) -> Iterator[_Row]:
    """Rows that are not blank, with their lines; as pyarrow cuts them."""
    csv.field_size_limit(sys.maxsize)
    lines = io.StringIO(lines, newline="") if isinstance(lines, str) else lines
    reader = csv.reader(lines, delimiter=separator, strict=is_strict)
    ended = 0
    for fields in reader:
        if fields:
            yield _Row(ended + 1, reader.line_num, tuple(fields))
        ended = reader.line_num


def _find_encoding(file: TextFile, head: bytes) -> str:
    if head.startswith(_UTF_16_MARKS):
        return "utf-16"
    if b"\0" in head[:200]:
        raise DatasetError(
            f"{file.url}, line 1: text has no null bytes; this has, as UTF-16 without its byte order mark "
            f'would: {shortened(repr(head[:40]))}. Save it as UTF-8, or write encoding = "utf-16-le" into a '
            "TOML source."
        )
    return "utf-8"


def _decode(file: TextFile, head: bytes, encoding: str) -> str:
    """The whole lines of the beginning of a file."""
    is_whole = len(head) < _SAMPLE_BYTES
    try:
        if is_whole:
            text = head.decode(encoding)
        else:
            # Its last character may be cut; what stands before is an error all the same.
            start = head[: len(head) // 4 * 4]
            text = start.decode(encoding, errors="strict" if encoding.startswith("utf-16") else "ignore")
    except LookupError as error:
        raise DatasetError(
            f"{file.url}: the encoding must be one that Python knows, such as latin-1; got {encoding!r}."
        ) from error
    except UnicodeDecodeError as error:
        raise _describe_encoding(file, io.BytesIO(head), encoding) from error
    text = text.removeprefix(_BOM)
    if not text.strip():
        raise DatasetError(f"{file.url}: a file of ratings has a header; this one has blank lines only.")
    return text if is_whole else text[: max(text.rfind("\n"), text.rfind("\r")) + 1] or text


def _describe_encoding(file: TextFile, stream: Any, encoding: str) -> DatasetError:  # noqa: ANN401
    """The first line that is not text of this encoding."""
    place, got = "", b""
    if not encoding.startswith("utf-16"):
        for number, line in enumerate(io.BufferedReader(stream), start=1):
            try:
                line.decode(encoding)
            except UnicodeDecodeError as error:
                place, got = f", line {number}", line[max(0, error.start - 20) : error.start + 20]
                break
    return DatasetError(
        f"{file.url}{place}: the text is {encoding.upper()} all through; got {got!r}. Save it as UTF-8, or "
        'write its encoding into a TOML source, such as encoding = "latin-1".'
    )
