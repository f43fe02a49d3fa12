"""GroupLens' layouts, on small files of our own and the few titles that the readers must get right."""

import pytest

from shared.datasets.sources.movielens import parse_ml_1m, parse_ml_10m, parse_ml_100k, parse_ml_csv
from shared.datasets.sources.raw_files import RawFile
from shared.errors import DatasetError

MOVIES = (
    "1::First: A Story (1999)::Comedy\n"
    "73::Misérables, Les (1995)::Drama|Musical\n"
    "260::Star Wars: Episode IV - A New Hope (1977)::Action|Adventure|Fantasy|Sci-Fi\n"
    "3000::No Genre (2000)::(no genres listed)\n"
    "3952::Never Rated (2000)::Drama\n"
)
RATINGS = "1::73::5::978300760\n6040::260::3::978302109\n6040::3000::4::978302110\n6040::1::2::978302111\n"


def files(**texts):
    return {name: RawFile(f"/data/{name}", text.encode("latin-1")) for name, text in texts.items()}


def ml_1m(ratings=RATINGS, movies=MOVIES):
    return parse_ml_1m(files(**{"ratings.dat": ratings, "movies.dat": movies}))


def ml_100k(item_lines, genre="unknown|0\nAction|1\nDrama|2\n\n", data="1\t1\t3\t881250949\n"):
    return parse_ml_100k(files(**{"u.data": data, "u.item": item_lines, "u.genre": genre}))


def item_of(dataset, item_id):
    row = dataset.item_ids.tolist().index(item_id)
    return dataset.titles[row], dataset.genres[row]


def test_titles_keep_colons_and_all_genres():
    assert item_of(ml_1m(), "260") == (
        "Star Wars: Episode IV - A New Hope (1977)",
        "Action|Adventure|Fantasy|Sci-Fi",
    )


def test_text_is_latin_1():
    assert item_of(ml_1m(), "73") == ("Misérables, Les (1995)", "Drama|Musical")


def test_no_genres_listed_is_an_empty_list():
    assert item_of(ml_1m(), "3000") == ("No Genre (2000)", "")


def test_the_catalogue_is_the_item_file_with_unrated_items_and_without_gaps():
    dataset = ml_1m()
    assert dataset.item_ids.tolist() == ["1", "73", "260", "3000", "3952"]
    assert dataset.user_ids.tolist() == ["1", "6040"]
    assert dataset.item_index.tolist() == [1, 2, 3, 0]
    assert (dataset.name, dataset.is_synthetic) == ("ml-1m", False)


def test_a_title_may_hold_the_separator():
    assert item_of(ml_1m("1::1::3::4\n", "1::Odd::Title (1999)::Comedy\n"), "1") == (
        "Odd::Title (1999)",
        "Comedy",
    )


def test_the_latin_1_next_line_character_does_not_end_a_line():
    assert item_of(ml_1m("1::1::3::4\n", "1::A\x85B::Comedy\n"), "1") == ("A\x85B", "Comedy")


@pytest.mark.parametrize(
    ("line", "rule"),
    [
        ("2::Title only", "an item line is 'item id::title::genre|genre'"),
        ("two::Title::Drama", "starts with a whole number"),
        ("", "an item line is"),
        ("1::Again::Drama", "item 1 has one already"),
        ("2::Null\0::Drama", "and is text"),
    ],
)
def test_a_bad_item_line_is_told_with_file_and_line(line, rule):
    with pytest.raises(DatasetError) as caught:
        ml_1m("1::1::3::4\n", f"1::First::Drama\n{line}\n3::Third::Drama\n")
    assert str(caught.value).startswith("/data/movies.dat, line 2: ")
    assert rule in str(caught.value)


def test_a_bad_rating_line_is_told_with_file_and_line():
    with pytest.raises(DatasetError, match=r"/data/ratings\.dat, line 5: .*got '1::2::x::4'"):
        ml_1m(RATINGS + "1::2::x::4\n")


def test_a_movie_that_is_missing_in_the_item_file_is_told():
    with pytest.raises(DatasetError, match=r"/data/ratings\.dat, line 1: .*item 73 is not"):
        ml_1m(movies="1::First::Drama\n")


def test_an_empty_item_file_is_told():
    with pytest.raises(DatasetError, match=r"/data/movies\.dat: .*empty"):
        ml_1m(movies="\n")


def test_100k_items_get_genres_from_their_flags():
    dataset = ml_100k("1|Café (1995)|01-Jan-1995||http://x/|0|1|1\n5|Other (1994)||||0|0|1\n")
    assert item_of(dataset, "1") == ("Café (1995)", "Action|Drama")
    assert item_of(dataset, "5") == ("Other (1994)", "Drama")
    assert (dataset.name, dataset.n_items, dataset.n_ratings) == ("ml-100k", 2, 1)


def test_100k_genre_unknown_is_an_empty_list():
    assert item_of(ml_100k("1|unknown||||1|0|0\n"), "1") == ("unknown", "")


@pytest.mark.parametrize("line", ["1|Title|||x|0|1", "1|Title|||x|0|1|2", "1|Title|||x|0|1|0|1", "1"])
def test_a_100k_item_line_with_other_flags_is_told(line):
    with pytest.raises(DatasetError, match=r"/data/u\.item, line 1: .*3 flags of 0 or 1"):
        ml_100k(f"{line}\n")


def test_a_genre_file_cut_behind_a_line_is_told_with_both_numbers():
    rule = r"/data/u\.item, line 1: .*2 flags .*\(the genres in /data/u\.genre\); this one has 3 fields"
    with pytest.raises(DatasetError, match=rule):
        ml_100k("1|Title||||0|1|0\n", genre="unknown|0\nAction|1\n")


@pytest.mark.parametrize(
    ("parse", "name"), [(ml_1m, "movies"), (ml_1m, "ratings"), (ml_100k, "data"), (ml_100k, "genre")]
)
def test_a_last_line_without_its_end_is_told_in_every_file(parse, name):
    whole = {
        "movies": MOVIES,
        "ratings": RATINGS,
        "data": "1\t1\t3\t881250949\n",
        "genre": "unknown|0\nAction|1\nDrama|2\n",
    }
    items = [] if parse is ml_1m else ["1|Title||||0|1|0\n"]
    # Only the line end is gone, or the last character too: neither looks cut.
    for n_bytes in (1, 2):
        with pytest.raises(DatasetError, match=r", line \d+: every line ends with a line end"):
            parse(*items, **{name: whole[name][:-n_bytes]})


def test_a_100k_item_file_without_its_last_line_end_is_told():
    with pytest.raises(DatasetError, match=r"/data/u\.item, line 1: every line ends with a line end"):
        ml_100k("1|Title||||0|1|0")


def test_100k_genres_out_of_order_are_told():
    with pytest.raises(DatasetError, match=r"/data/u\.genre, line 2: a genre line is"):
        ml_100k("1|Title||||0|1|0\n", genre="unknown|0\nAction|2\n")


MOVIES_CSV = (
    "movieId,title,genres\n"
    '11,"American President, The (1995)",Comedy|Drama\n'
    '27,"""Great Performances"" Cats (1998)",Musical\n'
    "90,Léon (1994),Crime\n"
    "95,No Genre (2000),(no genres listed)\n"
)
RATINGS_CSV = "userId,movieId,rating,timestamp\n2,11,3.5,1112486027\n2,90,0.5,1112484676\n5,27,5.0,9\n"


def ml_csv(ratings=RATINGS_CSV, movies=MOVIES_CSV, encoding="utf-8"):
    texts = {"ratings.csv": ratings, "movies.csv": movies}
    raw = {name: RawFile(f"/data/{name}", text.encode(encoding)) for name, text in texts.items()}
    return parse_ml_csv("ml-25m", raw)


def test_quoted_titles_and_text_in_utf_8():
    dataset = ml_csv()
    assert (dataset.name, dataset.user_ids.tolist()) == ("ml-25m", ["2", "5"])
    assert item_of(dataset, "11") == ("American President, The (1995)", "Comedy|Drama")
    assert item_of(dataset, "27") == ('"Great Performances" Cats (1998)', "Musical")
    assert item_of(dataset, "90") == ("Léon (1994)", "Crime")
    assert item_of(dataset, "95") == ("No Genre (2000)", "")
    assert sorted(dataset.ratings.tolist()) == [0.5, 3.5, 5.0]


@pytest.mark.parametrize(
    ("movies", "told"),
    [
        (MOVIES_CSV.partition("\n")[2], "movies.csv, line 1: the first line is 'movieId,title,genres'"),
        (MOVIES_CSV + "96,Comma, The,Drama\n", "movies.csv, line 6: an item line is"),
        (MOVIES_CSV + '96,"Open (1999),Drama\n', "movies.csv, line 6: a quoted field ends"),
        (MOVIES_CSV + "x6,Letters,Drama\n", "movies.csv, line 6: an item line starts with a whole number"),
        (MOVIES_CSV + "11,Again,Drama\n", "movies.csv, line 6: an item has one line, and item 11 has one"),
    ],
)
def test_a_bad_item_line_of_a_csv_is_told_with_file_and_line(movies, told):
    with pytest.raises(DatasetError, match=told):
        ml_csv(movies=movies)


def test_text_in_another_encoding_is_told_with_its_line():
    with pytest.raises(DatasetError, match=r"movies\.csv, line 4: the text is UTF-8; got '90,Léon"):
        ml_csv(encoding="latin-1")


def test_lines_of_ratings_count_the_header():
    with pytest.raises(DatasetError, match=r"ratings\.csv, line 5: a user rates an item once; .* in line 2"):
        ml_csv(ratings=RATINGS_CSV + "2,11,4.0,9\n")
    with pytest.raises(
        DatasetError, match=r"ratings\.csv, line 5: every rated item must be in the item file"
    ):
        ml_csv(ratings=RATINGS_CSV + "2,12,4.0,9\n")


_HEAD = "userId,movieId,rating,timestamp\n"


@pytest.mark.parametrize(
    ("ratings", "told"),
    [
        ("2,11,5.0,9\n", "line 1: the first line is 'userId,movieId,rating,timestamp' and"),
        (_HEAD, "line 1: the first line is .* and ratings follow"),
        (_HEAD + "2,11,5.0,9\n2,90,0.0,9\n", "line 3: a rating is a number from 0.5 to 5; got '0.0'"),
        (_HEAD + "2,11,5.5,9\n", "line 2: a rating is a number from 0.5 to 5"),
        (_HEAD + "2;11;5.0;9\n", "line 2: a line has 4 fields with ',' between them"),
        (_HEAD + "2,11,5.0,soon\n", "line 2: a time is in seconds since 1970; got 'soon'"),
        (_HEAD + ",11,5.0,9\n", "line 2: a user id is an integer"),
        (_HEAD + "2,11,5.0,9", "line 2: every line ends with a line end"),
        ("\n", "this one is empty"),
    ],
)
def test_a_bad_rating_line_of_a_csv_is_told_with_file_and_line(ratings, told):
    with pytest.raises(DatasetError, match=rf"/data/ratings\.csv.*{told}"):
        ml_csv(ratings=ratings)


def test_ml_10m_is_as_ml_1m_with_half_stars_in_utf_8():
    texts = {"ratings.dat": RATINGS + "1::1::0.5::9\n", "movies.dat": MOVIES}
    dataset = parse_ml_10m({name: RawFile(name, text.encode()) for name, text in texts.items()})
    assert item_of(dataset, "73") == ("Misérables, Les (1995)", "Drama|Musical")
    assert dataset.rating_range == (0.5, 5.0)
