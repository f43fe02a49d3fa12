"""GroupLens' MovieLens layouts, as the readme in each archive describes them.

Readmes: files.grouplens.org/datasets/movielens/ml-1m-README.txt, ml-100k-README.txt, ml-10m-README.html and
ml-20m-README.html, which the later sets follow. Text is latin-1 in the first two, UTF-8 in the others.
"""

import csv
import io
from collections.abc import Callable, Iterator, Mapping

from shared.datasets.dataset import Dataset
from shared.datasets.prepare import Item, RatingTable, prepare_dataset
from shared.datasets.sources.collecting import Columns, Reading, collect_ratings
from shared.datasets.sources.delimited import DelimitedRows, Dialect
from shared.datasets.sources.left_out import LeftOut
from shared.datasets.sources.rating_lines import RatingLayout, parse_rating_lines
from shared.datasets.sources.raw_files import LONGEST_QUOTE, RawFile
from shared.errors import DatasetError

ML_1M_FILES = ("ratings.dat", "movies.dat")
ML_1M_USERS = ("users.dat",)
ML_100K_FILES = ("u.data", "u.item", "u.genre")
ML_100K_USERS = ("u.user",)
ML_10M_FILES = ML_1M_FILES
ML_CSV_FILES = ("ratings.csv", "movies.csv")

_NO_GENRES = frozenset({"", "(no genres listed)", "unknown"})
# The youngest of each age group of ml-1m; its file names the group, that of ml-100k the age.
_AGE_GROUPS = (1, 18, 25, 35, 45, 50, 56)
_GENDERS = ("F", "M")
# Whole stars from 1 to 5; from the set of ten millions on halves too.
_OF_1M, _OF_100K = RatingLayout("::"), RatingLayout("\t")
_OF_10M = RatingLayout("::", smallest=0.5)
_OF_CSV = Reading(scale=(0.5, 5.0), time_format="seconds")
_RATING_HEADER_CSV = ("userId", "movieId", "rating", "timestamp")
_ITEM_HEADER_CSV = ["movieId", "title", "genres"]
_ITEM_FIELDS_100K = 5  # Id, title, release date, video release date, URL; then one flag for each genre.


def parse_ml_1m(files: Mapping[str, RawFile]) -> Dataset:
    """`ratings.dat` (user::item::rating::timestamp) and `movies.dat` (item::title::genre|genre).

    `users.dat`, where it is there: user::gender::age group::occupation::zip code, which is left out.
    Raises DatasetError with file and line for a line that does not parse.
    """
    table = parse_rating_lines(files["ratings.dat"], _OF_1M)
    traits = _parse_users(files["users.dat"], _user_of_1m, _RULE_1M) if "users.dat" in files else None
    return prepare_dataset("ml-1m", table, _parse_movies(files["movies.dat"]), traits=traits)


def parse_ml_100k(files: Mapping[str, RawFile]) -> Dataset:
    """`u.data` (tabs), `u.item` (pipes, a 0/1 flag for each genre) and `u.genre` (name|number).

    The genre "unknown" says that none is known: such an item has no genres. `u.user`, where it is there:
    user|age|gender|occupation|zip code, which is left out; ages become the groups of ml-1m.
    Raises DatasetError with file and line for a line that does not parse.
    """
    table = parse_rating_lines(files["u.data"], _OF_100K)
    traits = _parse_users(files["u.user"], _user_of_100k, _RULE_100K) if "u.user" in files else None
    items = _parse_flagged_items(files["u.item"], files["u.genre"])
    return prepare_dataset("ml-100k", table, items, traits=traits)


def parse_ml_10m(files: Mapping[str, RawFile]) -> Dataset:
    """As ml-1m, with half stars and without users.

    Raises DatasetError with file and line for a line that does not parse.
    """
    table = parse_rating_lines(files["ratings.dat"], _OF_10M)
    return prepare_dataset("ml-10m", table, _parse_movies(files["movies.dat"], "utf-8"))


def parse_ml_csv(name: str, files: Mapping[str, RawFile]) -> Dataset:
    """`ratings.csv` (userId,movieId,rating,timestamp) and `movies.csv` (movieId,title,genre|genre).

    A title with a comma or a quotation mark is quoted. Raises DatasetError with file and line for a line that
    does not parse.
    """
    table = _parse_csv_ratings(files["ratings.csv"])
    return prepare_dataset(name, table, _parse_csv_items(files["movies.csv"]))


def _parse_csv_ratings(file: RawFile) -> RatingTable:
    file.check_whole()
    header, _, body = file.content[: 2 * LONGEST_QUOTE].partition(b"\n")
    if header.rstrip(b"\r") != ",".join(_RATING_HEADER_CSV).encode() or not body:
        rule = f"the first line is {','.join(_RATING_HEADER_CSV)!r} and ratings follow"
        raise _line_error(file, 1, header.decode("latin-1"), rule)
    left_out = LeftOut()
    rows = DelimitedRows(file, Dialect(",", "utf-8", _RATING_HEADER_CSV, 1, ()), left_out)
    return collect_ratings(rows, Columns(user=0, item=1, rating=2, time=3), _OF_CSV, left_out)


_RULE_1M = "a user line is 'user id::gender F or M::age group::occupation::zip code'"
_RULE_100K = "a user line is 'user id|age|gender F or M|occupation|zip code'"


def _parse_users(
    file: RawFile, split: Callable[[str], tuple[str, str, str, str]], rule: str
) -> dict[str, tuple[str, ...]]:
    """Traits by user id. `split` gives id, age, gender and occupation of a line, or raises ValueError."""
    traits: dict[str, tuple[str, ...]] = {}
    for number, line in _lines(file):
        try:
            user_id, age, gender, occupation = split(line)
            group = max(start for start in _AGE_GROUPS if start <= int(age))
            key = str(int(user_id))
        except ValueError as error:
            raise _line_error(file, number, line, rule) from error
        if gender not in _GENDERS or not occupation or "\0" in line:
            raise _line_error(file, number, line, rule)
        if key in traits:
            raise _line_error(file, number, line, f"a user has one line, and user {key} has one already")
        traits[key] = (f"age {group}", f"gender {gender}", f"occupation {occupation}")
    return traits


def _user_of_1m(line: str) -> tuple[str, str, str, str]:
    user_id, gender, age, occupation, _ = line.split("::")
    return user_id, age, gender, occupation


def _user_of_100k(line: str) -> tuple[str, str, str, str]:
    user_id, age, gender, occupation, _ = line.split("|")
    return user_id, age, gender, occupation


def _parse_movies(file: RawFile, encoding: str = "latin-1") -> list[Item]:
    items: dict[str, Item] = {}
    for number, line in _lines(file, encoding):
        item_id, _, rest = line.partition("::")
        # From the right, so that a title may hold the separator.
        title, separator, genres = rest.rpartition("::")
        if not separator:
            raise _line_error(file, number, line, "an item line is 'item id::title::genre|genre'")
        _add_item(items, Item(item_id, title, _real_genres(genres.split("|"))), file, number, line)
    return list(items.values())


def _parse_csv_items(file: RawFile) -> list[Item]:
    items: dict[str, Item] = {}
    rows = csv.reader(io.StringIO(_decode(file, "utf-8"), newline=""), strict=True)
    try:
        for fields in rows:
            line = ",".join(fields)
            if rows.line_num == 1:
                if fields != _ITEM_HEADER_CSV:
                    raise _line_error(file, 1, line, f"the first line is {','.join(_ITEM_HEADER_CSV)!r}")
            elif len(fields) != len(_ITEM_HEADER_CSV):
                raise _line_error(file, rows.line_num, line, "an item line is 'movieId,title,genre|genre'")
            else:
                item = Item(fields[0], fields[1], _real_genres(fields[2].split("|")))
                _add_item(items, item, file, rows.line_num, line)
    except csv.Error as error:
        raise _line_error(
            file, rows.line_num, "", f"a quoted field ends with its quotation mark ({error})"
        ) from error
    return list(items.values())


def _parse_flagged_items(file: RawFile, genre_file: RawFile) -> list[Item]:
    genre_names = _parse_genre_names(genre_file)
    items: dict[str, Item] = {}
    for number, line in _lines(file):
        fields = line.split("|")
        flags = fields[_ITEM_FIELDS_100K:]
        if len(flags) != len(genre_names) or not set(flags) <= {"0", "1"}:
            rule = (
                f"an item line is id|title|date|date|URL and {len(genre_names)} flags of 0 or 1 (the genres "
                f"in {genre_file.where}); this one has {len(flags)} fields behind the URL"
            )
            raise _line_error(file, number, line, rule)
        genres = [name for name, flag in zip(genre_names, flags, strict=True) if flag == "1"]
        _add_item(items, Item(fields[0], fields[1], _real_genres(genres)), file, number, line)
    return list(items.values())


def _parse_genre_names(file: RawFile) -> list[str]:
    """Genre names by their number."""
    names: list[str] = []
    for number, line in _lines(file):
        name, _, place = line.rpartition("|")
        if place != str(len(names)):
            raise _line_error(file, number, line, "a genre line is 'name|number', numbered from 0")
        names.append(name)
    return names


def _add_item(items: dict[str, Item], item: Item, file: RawFile, number: int, line: str) -> None:
    is_whole_number = item.item_id.isascii() and item.item_id.isdigit()
    if not is_whole_number or "\0" in line:
        raise _line_error(file, number, line, "an item line starts with a whole number and is text")
    item_id = str(int(item.item_id))
    if item_id in items:
        raise _line_error(file, number, line, f"an item has one line, and item {item_id} has one already")
    items[item_id] = Item(item_id, item.title.strip(), item.genres)


def _real_genres(names: list[str]) -> tuple[str, ...]:
    return tuple(name for name in names if name not in _NO_GENRES)


def _lines(file: RawFile, encoding: str = "latin-1") -> Iterator[tuple[int, str]]:
    """Lines with their number from 1."""
    # Not splitlines(): it would also break at characters of latin-1 such as 0x85.
    yield from enumerate(_decode(file, encoding).split("\n"), start=1)


def _decode(file: RawFile, encoding: str) -> str:
    content = file.lines()
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        number = content.count(b"\n", 0, error.start) + 1
        line = content.split(b"\n")[number - 1].decode("latin-1")
        raise _line_error(file, number, line, f"the text is {encoding.upper()}") from error


def _line_error(file: RawFile, number: int, line: str, rule: str) -> DatasetError:
    return DatasetError(
        f"{file.where}, line {number}: {rule}; got {line[:LONGEST_QUOTE]!r}. "
        "Correct the line, or unpack the archive again."
    )
