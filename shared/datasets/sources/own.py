"""A person's own ratings: from a file, parts or a query to a data set, and what they should know of it."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from shared.datasets.dataset import Dataset
from shared.datasets.prepare import Item, RatingTable, prepare_dataset, refuse_duplicates
from shared.datasets.sources.collecting import Reading, collect_ratings
from shared.datasets.sources.columns import SourceReport, find_rating_columns
from shared.datasets.sources.delimited import DelimitedRows, find_dialect
from shared.datasets.sources.features import read_items, read_users
from shared.datasets.sources.input_file import FileState, find_inputs
from shared.datasets.sources.left_out import LeftOut
from shared.datasets.sources.parquet import ParquetRows
from shared.datasets.sources.query import Database, QueryRows
from shared.datasets.sources.rows import Rows
from shared.datasets.sources.source_file import FeaturesTable, RatingsTable, SourceFile, beside, suggest
from shared.datasets.thinning import merge_duplicates, thin
from shared.errors import DatasetError

_COMMA, _POINT = re.compile(r"[0-9],[0-9]"), re.compile(r"[0-9]\.[0-9]")
_N_SAMPLE_ROWS = 100


@dataclass
class OwnSource:
    """What is to be read: `file` says how; `toml` is the path of the TOML source, None for a file alone.

    notices: what a person should know, a line each      files_read: as they were; both filled by `read`
    """

    name: str
    file: SourceFile
    toml: Path | None = None
    load_known: Callable[[str], Dataset] | None = None
    notices: list[str] = field(default_factory=list)
    files_read: list[FileState] = field(default_factory=list)

    def read(self, report: Callable[[SourceReport], None]) -> Dataset:
        """The data set; `report` is called when the columns are found, before the ratings are read.

        Raises DatasetError, in one line, for whatever breaks a rule.
        """
        left_out = LeftOut(self.file.on_error, self.file.max_skipped)
        self.files_read = self.states()
        known = self._read_ratings(left_out, report)
        table, items, traits = known.table, known.items, known.traits
        if self.file.items is not None:
            with self._rows(self.file.items, "items", left_out) as rows:
                items = read_items(rows, self.file.items, str(self.toml), left_out)
        if self.file.users is not None:
            with self._rows(self.file.users, "users", left_out) as rows:
                traits = read_users(rows, self.file.users, str(self.toml), left_out)
        self._check_unchanged(self.files_read)
        self.notices += left_out.lines()
        table = self._thinned(self._without_duplicates(table, known.is_implicit))
        return prepare_dataset(
            self.name,
            table,
            self._catalogue(table, items),
            traits=traits,
            is_implicit=known.is_implicit,
            may_have_duplicates=False,
        )

    def states(self) -> list[FileState]:
        """Of every file that is read, in the order of reading; a query has none."""
        files = [table.file for table in self._tables() if table.file is not None]
        return [part.state() for file in files for part in find_inputs(self._beside(file))]

    def has_query(self) -> bool:
        """Whether something is read that no file tells the state of."""
        return any(table.query is not None for table in self._tables())

    def _tables(self) -> list[RatingsTable | FeaturesTable]:
        return [one for one in (self.file.ratings, self.file.items, self.file.users) if one is not None]

    def _read_ratings(self, left_out: LeftOut, report: Callable[[SourceReport], None]) -> "_Known":
        table = self.file.ratings
        if table.known is not None:
            assert self.load_known is not None  # noqa: S101  Given with every TOML source.
            return _from_known(self.load_known(table.known), is_implicit=bool(table.implicit))
        with self._rows(table, "ratings", left_out) as rows:
            found = find_rating_columns(rows, table, str(self.toml) if self.toml else None)
            report(found.report)
            reading = Reading(
                scale=table.scale,
                time_format=table.time_format,
                decimal=table.decimal or _find_decimal(rows, found.columns.rating),
                is_weight=found.is_implicit,
                is_log_weight=found.columns.rating is not None
                and found.is_implicit
                and table.weight_scale == "log",
            )
            ratings = collect_ratings(rows, found.columns, reading, left_out)
            self.notices += rows.notices
        if len(ratings.ratings) < 2:
            n_left_out = f", {left_out.n_rows:,} were left out" if left_out.n_rows else ""
            raise DatasetError(
                f"{ratings.where}: at least 2 ratings are needed, one to learn from and one to judge by; it "
                f"holds {len(ratings.ratings)}{n_left_out}. Supply more."
            )
        return _Known(ratings, found.is_implicit)

    @contextmanager
    def _rows(self, table: RatingsTable | FeaturesTable, what: str, left_out: LeftOut) -> Iterator[Rows]:
        if table.query is not None:
            database = Database(table.database_url_env or "", str(self.toml))
            with database.connected() as connection:
                yield QueryRows(database, connection, table.query, what)
            return
        url = self._beside(table.file or "")
        parts = find_inputs(url)
        if parts[0].is_parquet:
            yield ParquetRows(url, parts)
            return
        dialect = find_dialect(parts[0], table.separator, table.encoding, table.columns)
        yield DelimitedRows(parts[0], dialect, left_out)

    def _beside(self, file: str) -> str:
        return beside(self.toml.parent, file) if self.toml else file

    def _check_unchanged(self, before: list[FileState]) -> None:
        sizes = [{state.url: state for state in states} for states in (before, self.states())]
        for url in sorted(sizes[0].keys() | sizes[1].keys()):
            old, new = (states.get(url) for states in sizes)
            if old != new:
                was, now = (f"{state.size_bytes:,} bytes" if state else "not there" for state in (old, new))
                raise DatasetError(
                    f"{url}: it changed while it was read ({was} before, {now} after). Run the command again "
                    "when nobody writes to it."
                )

    def _without_duplicates(self, table: RatingTable, is_implicit: bool) -> RatingTable:
        rule = self.file.ratings.duplicates or ("last" if is_implicit else "refuse")
        if rule == "refuse":
            try:
                refuse_duplicates(table, self._remedy_for_duplicates())
            except DatasetError as error:
                if self.toml is not None:
                    raise
                example = suggest(table.where, (), {"duplicates": "last"})
                raise DatasetError(str(error), example.rpartition("\n")[0]) from error
            return table
        merged = merge_duplicates(table, rule)
        n_merged = len(table.ratings) - len(merged.ratings)
        if n_merged:
            of = (
                "repeated pairs of a user and an item count once"
                if is_implicit
                else f"repeated ratings: {rule}"
            )
            self.notices.append(f"{n_merged:,} of {len(table.ratings):,} rows are {of}")
        return merged

    def _remedy_for_duplicates(self) -> str:
        rules = 'duplicates = "last" (or "mean", "max")'
        if self.toml is not None:
            return f"Remove one of the two, or write {rules} under [ratings]."
        return f"Remove one of the two, or write {rules} into a file, DATASET=ratings.toml:"

    def _thinned(self, table: RatingTable) -> RatingTable:
        ratings = self.file.ratings
        thinned = thin(table, ratings.min_ratings_per_user, ratings.min_ratings_per_item)
        rules = (
            f"min_ratings_per_user = {ratings.min_ratings_per_user} and "
            f"min_ratings_per_item = {ratings.min_ratings_per_item}"
        )
        if not len(thinned.table.ratings):
            raise DatasetError(f"{self.toml}: {rules} leave no rating of {len(table.ratings):,}. Write less.")
        if thinned.n_rounds:
            self.notices.append(
                f"{rules} leave out {thinned.n_users:,} users, {thinned.n_items:,} items and "
                f"{thinned.n_ratings:,} ratings, in {thinned.n_rounds} rounds"
            )
        return thinned.table

    def _catalogue(self, table: RatingTable, items: dict[str, Item] | None) -> list[Item]:
        """What is in the item file and what was rated; where too few ratings leave items out, the latter."""
        rated = {table.item_ids[int(code)] for code in np.flatnonzero(np.bincount(table.item_codes))}
        if items is None:
            return [Item(item_id, item_id) for item_id in rated]
        untitled = rated - items.keys()
        if untitled:
            self.notices.append(
                f"{len(untitled):,} of {len(rated):,} rated items are not in the item file and have no "
                f"title, such as {min(untitled)}"
            )
        kept = {**items, **{item_id: Item(item_id) for item_id in untitled}}
        if self.file.ratings.min_ratings_per_item:
            return [kept[item_id] for item_id in rated]
        return list(kept.values())


@dataclass(frozen=True, eq=False)
class _Known:
    """Ratings, and what is known of items and users where a known set gives them."""

    table: RatingTable
    is_implicit: bool
    items: dict[str, Item] | None = None
    traits: dict[str, tuple[str, ...]] | None = None


def _from_known(dataset: Dataset, *, is_implicit: bool) -> _Known:
    table = RatingTable(
        user_codes=dataset.user_index,
        user_ids=dataset.user_ids.tolist(),
        item_codes=dataset.item_index,
        item_ids=dataset.item_ids.tolist(),
        ratings=dataset.ratings * 0 + 1 if is_implicit else dataset.ratings,
        timestamps=dataset.timestamps,
        where=dataset.name,
        place=lambda row: f"{dataset.name}, rating {row + 1}",
    )
    columns = (dataset.item_ids.tolist(), dataset.titles.tolist(), dataset.genres.tolist())
    items = {
        item_id: Item(item_id, title, tuple(genres.split("|")) if genres else ())
        for item_id, title, genres in zip(*columns, strict=True)
    }
    traits = None
    if dataset.user_traits is not None:
        pairs = zip(dataset.user_ids.tolist(), dataset.user_traits.tolist(), strict=True)
        traits = {user_id: tuple(text.split("|")) if text else () for user_id, text in pairs}
    return _Known(table, is_implicit, items, traits)


def _find_decimal(rows: Rows, rating: int | None) -> str:
    """A comma, where it stands between digits in one of the first ratings and a point in none."""
    if rating is None:
        return "."
    values = [row[rating] for row in rows.examples(_N_SAMPLE_ROWS)]
    has_comma, has_point = (any(mark.search(value) for value in values) for mark in (_COMMA, _POINT))
    return "," if has_comma and not has_point else "."
