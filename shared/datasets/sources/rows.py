"""What every kind of source is read as: named columns in batches, each row with a place for messages."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import pyarrow as pa


class Rows(Protocol):
    """Rows of a file, of parts or of a query, read once from the first to the last.

    `where` names the source for a person; `names` are those of all columns, in order, and two may be equal.
    """

    where: str
    names: tuple[str, ...]

    @property
    def notices(self) -> Sequence[str]:
        """Lines, known once all batches were read."""

    def batches(self, columns: Sequence[int]) -> Iterator["pa.RecordBatch"]:
        """The columns at these positions, in this order. Raises DatasetError where it cannot be read on."""

    def place(self, row: int) -> str:
        """Where a row is, counted from 0 over all batches that were given: `ratings.csv, line 7`."""

    def examples(self, n_rows: int) -> list[list[str]]:
        """The first rows as they stand there, all columns."""
