"""Which column is which: by its usual name, as the TOML source says, or asked for with the TOML to write."""

import pytest

from shared.datasets import SourceOptions, resolve_dataset
from shared.errors import DatasetError
from shared.settings import Settings
from tests.sources import read_source, rows_of, write_file


def ask(path, content):
    with pytest.raises(DatasetError) as error:
        read_source(path, content)
    return error.value


@pytest.mark.parametrize("user", ["user", "userId", "USER_ID", "customer id", "reviewerID", "Visitor-Id"])
@pytest.mark.parametrize("item", ["item", "movieId", "product_id", "SKU", "parent_asin"])
def test_usual_names_are_found_whatever_their_case_and_punctuation(tmp_path, user, item):
    dataset = read_source(tmp_path / "ratings.csv", f"{item},{user},Stars\n10,1,4\n11,2,3\n")
    assert rows_of(dataset) == [("1", "10", 4.0), ("2", "11", 3.0)]


def test_what_was_found_is_reported_with_three_rows_before_the_rest_is_read(tmp_path):
    content = (
        "userId,movieId,rating,timestamp\n" + "".join(f"{n},{n + 10},4,{n}00\n" for n in range(1, 9)) + "x\n"
    )
    path, reports = write_file(tmp_path / "ratings.csv", content), []
    with pytest.raises(DatasetError, match="line 10"):
        resolve_dataset(str(path), Settings(_env_file=None), None, SourceOptions(), reports.append)
    (report,) = reports
    assert report.roles == (
        ("user", "userId"),
        ("item", "movieId"),
        ("rating", "rating"),
        ("time", "timestamp"),
    )
    assert report.examples == (("1", "11", "4", "100"), ("2", "12", "4", "200"), ("3", "13", "4", "300"))


def test_two_columns_that_may_be_meant_are_asked_for_and_the_answer_works(tmp_path):
    content = "customer,user_id,product,stars\na,1,10,4\nb,2,11,3\n"
    error = ask(tmp_path / "sales.csv", content)
    assert "which column is the user? 'customer' and 'user_id' both may be a user." in str(error)
    assert error.example.splitlines() == [
        "[ratings]",
        f'file = "{tmp_path}/sales.csv"',
        'user = "…"',
        'item = "product"',
        'rating = "stars"',
        "# columns of the file: customer, user_id, product, stars",
    ]
    dataset = read_source(tmp_path / "shop.toml", error.example.replace("…", "customer"))
    assert rows_of(dataset) == [("a", "10", 4.0), ("b", "11", 3.0)]
    assert dataset.name == "shop"


def test_a_column_that_may_hold_ratings_is_asked_for_and_either_answer_works(tmp_path):
    error = ask(tmp_path / "a.csv", "user,item,punkte\n1,10,4\n2,11,3\n")
    assert "'punkte' may hold one. If nobody rated, write implicit = true instead" in str(error)
    rated = read_source(tmp_path / "b.toml", error.example.replace("…", "punkte"))
    assert (rated.ratings.tolist(), rated.is_implicit) == ([4.0, 3.0], False)
    viewed = read_source(tmp_path / "c.toml", error.example.replace('rating = "…"', "implicit = true"))
    assert (viewed.ratings.tolist(), viewed.is_implicit) == ([1.0, 1.0], True)


def test_without_any_column_that_may_hold_ratings_nobody_rated(tmp_path):
    dataset = read_source(tmp_path / "views.csv", "visitor,sku,time\n1,10,100\n1,10,300\n2,11,200\n")
    assert dataset.is_implicit
    assert rows_of(dataset) == [("1", "10", 1.0), ("2", "11", 1.0)]
    assert dataset.timestamps.tolist() == [300, 200]


def test_a_first_line_of_values_is_no_header_and_the_answer_works(tmp_path):
    error = ask(tmp_path / "u.data", "196\t242\t3\t881250949\n186\t302\t3\t891717742\n")
    assert "its first line holds values, not names" in str(error)
    assert 'columns = ["user", "item", "rating", "time"]' in error.example
    dataset = read_source(tmp_path / "u.toml", error.example)
    assert rows_of(dataset) == [("196", "242", 3.0), ("186", "302", 3.0)]
    assert dataset.timestamps.tolist() == [881250949, 891717742]


def test_another_separator_is_asked_for_and_the_answer_works(tmp_path):
    error = ask(tmp_path / "r.txt", "user:item:rating\n1:10:4\n2:11:3\n")
    assert "no comma, semicolon, tab or bar divides its first line, 'user:item:rating'" in str(error)
    lines = [line for line in error.example.splitlines() if not line.startswith("columns")]
    dataset = read_source(tmp_path / "r.toml", "\n".join(lines).replace("…", ":"))
    assert rows_of(dataset) == [("1", "10", 4.0), ("2", "11", 3.0)]


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (
            "ratings",
            "DATASET is the path of a file of ratings (.csv, .tsv, .parquet, .toml), or one of ml-1m, ",
        ),
        ("nowhere.csv", "nowhere.csv: there is no such file. Correct the path."),
        ("no/where", "no/where: there is no such file. Correct the path."),
        ("nowhere.toml", "nowhere.toml: no such TOML source"),
        ("teleport://x/ratings.csv", "teleport://x/ratings.csv: files are read from this machine, s3://"),
    ],
)
def test_what_is_not_there_is_told(asked, message):
    with pytest.raises(DatasetError) as error:
        resolve_dataset(asked, Settings(_env_file=None))
    assert str(error.value).startswith(message)


@pytest.mark.parametrize(
    ("file", "name", "message"),
    [
        ("ml-1m.csv", None, "ml-1m is the name of a known data set, and these are your own ratings"),
        ("a.csv", "sample", "sample is the name of a known data set"),
        ("a.csv", "x" * 101, "the name of a data set is a text of 1 to 100 characters on one line"),
        ("a.csv", "a\nb", "the name of a data set is a text of 1 to 100 characters on one line"),
    ],
)
def test_a_name_must_be_ones_own_and_short(tmp_path, file, name, message):
    with pytest.raises(DatasetError, match=message):
        read_source(tmp_path / file, "user,item,rating\n1,10,4\n2,11,3\n", name=name)


def test_a_name_may_be_given(tmp_path):
    assert read_source(tmp_path / "a.csv", "user,item,rating\n1,10,4\n2,11,3\n", name="shop").name == "shop"


def test_options_for_own_ratings_are_refused_for_a_known_set():
    with pytest.raises(DatasetError, match="are for your own ratings; sample is a known data set"):
        resolve_dataset("sample", Settings(_env_file=None), None, SourceOptions(name="mine"))
