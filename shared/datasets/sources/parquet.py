"""Parquet files: one, or the parts in a folder, in the order of their names."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from shared.datasets.sources.input_file import InputFile
from shared.errors import DatasetError

if TYPE_CHECKING:
    import pyarrow as pa

_BATCH_ROWS = 1 << 20


class ParquetRows:
    """The rows of all parts; every part has the columns of the first."""

    notices: Sequence[str] = ()

    def __init__(self, url: str, parts: Sequence[InputFile]) -> None:
        self.where = url
        self._parts = parts
        # How many rows come before each part that was opened.
        self._starts: list[int] = []
        with _opened(parts[0]) as first:
            self.names = tuple(first.schema_arrow.names)

    def examples(self, n_rows: int) -> list[list[str]]:
        """The first rows of the first part that has any."""
        rows: list[list[str]] = []
        for part in self._parts:
            with _opened(part) as file:
                for batch in islice(file.iter_batches(batch_size=n_rows), 1):
                    columns = [column.to_pylist() for column in batch.columns]
                    rows += [
                        ["" if one is None else str(one) for one in row] for row in zip(*columns, strict=True)
                    ]
            if rows:
                break
        return rows[:n_rows]

    def batches(self, columns: Sequence[int]) -> Iterator["pa.RecordBatch"]:
        """Values as they are stored. Raises DatasetError for a part of other columns, or that is damaged."""
        import pyarrow as pa  # noqa: PLC0415  Slow to load, and few commands need it.

        wanted = [self.names[place] for place in columns]
        self._starts, n_rows = [], 0
        for part in self._parts:
            self._starts.append(n_rows)
            with _opened(part) as file:
                missing = set(wanted) - set(file.schema_arrow.names)
                if missing:
                    raise DatasetError(
                        f"{part.url}: every part has the columns of the first, {', '.join(self.names)}; this "
                        f"lacks {', '.join(sorted(missing))}. Take it out of the folder, or write it anew."
                    )
                try:
                    for batch in file.iter_batches(batch_size=_BATCH_ROWS, columns=wanted):
                        n_rows += batch.num_rows
                        yield batch.select(wanted)
                except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
                    raise _damaged(part, error) from error

    def place(self, row: int) -> str:
        """Part and row in it, from 1."""
        part = int(np.searchsorted(self._starts, row, side="right")) - 1
        return f"{self._parts[part].url}, row {row - self._starts[part] + 1}"


@contextmanager
def _opened(part: InputFile) -> Iterator[Any]:
    import pyarrow as pa  # noqa: PLC0415  Slow to load, and few commands need it.
    from pyarrow import parquet  # noqa: PLC0415

    with part.open() as raw:
        try:
            file = parquet.ParquetFile(raw)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise _damaged(part, error) from error
        with file:
            yield file


def _damaged(part: InputFile, error: Exception) -> DatasetError:
    reason = str(error).splitlines()[0]
    return DatasetError(f"{part.url}: it is no whole Parquet file: {reason}. Write it anew.")
