"""A TOML source: rules for duplicates and few ratings, items and users, and its mistakes."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.datasets.prepare import rating_table
from shared.datasets.sources.input_file import InputFile
from shared.datasets.sources.own import OwnSource
from shared.datasets.thinning import merge_duplicates, thin
from shared.errors import DatasetError
from tests.sources import read_source, read_with_notices, rows_of, write_file

RATINGS = "user,item,rating,time\n1,10,4,100\n2,11,3,200\n1,10,2,50\n1,10,3,100\n"


@pytest.mark.parametrize(
    ("rule", "rating"),
    # The last by time; of two at second 100 the one further down: 3. The mean of 4, 2 and 3; the largest.
    [("last", 3.0), ("mean", 3.0), ("max", 4.0)],
)
def test_repeated_ratings_count_as_the_rule_says(tmp_path, rule, rating):
    write_file(tmp_path / "r.csv", RATINGS)
    toml = f'[ratings]\nfile = "r.csv"\nduplicates = "{rule}"\n'
    dataset, notices = read_with_notices(tmp_path / "s.toml", toml)
    assert rows_of(dataset) == [("2", "11", 3.0), ("1", "10", rating)]
    assert dataset.timestamps.tolist() == [200, 100]
    assert notices == (f"2 of 4 rows are repeated ratings: {rule}",)


def test_repeated_ratings_are_refused_with_the_source_to_write(tmp_path):
    with pytest.raises(DatasetError, match=r'line 4: .* duplicates = "last"') as error:
        read_source(tmp_path / "r.csv", RATINGS)
    write_file(tmp_path / "r.toml", error.value.example)
    assert read_source(tmp_path / "r.toml").n_ratings == 2


@given(
    st.lists(
        st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(1, 5), st.integers(0, 3)), min_size=1
    ),
    st.sampled_from(["last", "mean", "max"]),
)
def test_merging_equals_the_rule_written_out(rows, rule):
    users, items, ratings, times = (np.array(column) for column in zip(*rows, strict=True))
    merged = merge_duplicates(rating_table(users, items, ratings.astype(float), times, "x"), rule)
    groups = {}
    for place, (user, item, rating, time) in enumerate(rows):
        groups.setdefault((user, item), []).append((time, place, rating))
    expected = {}
    for pair, group in groups.items():
        values = [rating for _, _, rating in group]
        time, _, last = max(group)
        expected[pair] = ({"last": last, "mean": sum(values) / len(values), "max": max(values)}[rule], time)
    found = {
        (int(merged.user_ids[user]), int(merged.item_ids[item])): (rating, time)
        for user, item, rating, time in zip(
            merged.user_codes,
            merged.item_codes,
            merged.ratings.tolist(),
            merged.timestamps.tolist(),
            strict=True,
        )
    }
    assert found.keys() == expected.keys()
    for pair, (rating, time) in expected.items():
        assert found[pair] == (pytest.approx(rating), time)


@given(
    st.sets(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1), st.integers(0, 4), st.integers(0, 4)
)
def test_the_core_is_the_largest_in_which_everybody_has_enough(pairs, per_user, per_item):
    rows = sorted(pairs)
    users, items = (np.array(column) for column in zip(*rows, strict=True))
    table = rating_table(users, items, np.ones(len(rows)), np.zeros(len(rows), np.int64), "x")
    thinned = thin(table, per_user, per_item)
    left = set(rows)
    while True:
        kept = {
            (user, item)
            for user, item in left
            if sum(one == user for one, _ in left) >= per_user
            and sum(one == item for _, one in left) >= per_item
        }
        if kept == left:
            break
        left = kept
    found = {
        (int(table.user_ids[user]), int(table.item_ids[item]))
        for user, item in zip(thinned.table.user_codes, thinned.table.item_codes, strict=True)
    }
    assert found == left
    assert thinned.n_ratings == len(rows) - len(left)
    assert thinned.n_users == len({user for user, _ in rows}) - len({user for user, _ in left})
    assert thinned.n_items == len({item for _, item in rows}) - len({item for _, item in left})


def test_few_ratings_leave_users_and_items_out_and_it_is_said(tmp_path):
    # Item 3 has one rating, and without it user 3 has one.
    write_file(tmp_path / "r.csv", "user,item,rating\n1,1,5\n1,2,4\n2,1,3\n2,2,4\n3,3,1\n3,1,2\n")
    toml = '[ratings]\nfile = "r.csv"\nmin_ratings_per_user = 2\nmin_ratings_per_item = 2\n'
    dataset, notices = read_with_notices(tmp_path / "s.toml", toml)
    assert (dataset.user_ids.tolist(), dataset.item_ids.tolist()) == (["1", "2"], ["1", "2"])
    assert notices == (
        "min_ratings_per_user = 2 and min_ratings_per_item = 2 leave out 1 users, 1 items and "
        "2 ratings, in 2 rounds",
    )
    with pytest.raises(DatasetError, match=r"leave no rating of 6. Write less"):
        read_source(tmp_path / "s.toml", toml.replace("item = 2", "item = 9"))


def test_items_and_users_bring_titles_genres_and_features(tmp_path):
    write_file(tmp_path / "data" / "r.csv", "client,sku,stars\na,x,3\nb,y,2\nb,z,1\n")
    write_file(
        tmp_path / "data" / "i.csv",
        'sku,name,brand,genre\nx,"Hello, ""you""",Sony|LG,A|B\nq,Q,,(no genres listed)\n',
    )
    write_file(tmp_path / "u.csv", "client,age,city\nb,30,Bern\nnobody,5,\n")
    dataset, notices = read_with_notices(
        tmp_path / "shop.toml",
        '[ratings]\nfile = "data/r.csv"\n[items]\nfile = "data/i.csv"\nfeatures = ["brand"]\n'
        '[users]\nfile = "u.csv"\nfeatures = ["age", "city"]\n',
    )
    assert dataset.item_ids.tolist() == ["q", "x", "y", "z"]
    assert dataset.titles.tolist() == ["Q", 'Hello, "you"', "", ""]
    assert dataset.genres.tolist() == ["", "A|B|brand Sony|brand LG", "", ""]
    assert dataset.user_traits.tolist() == ["", "age 30|city Bern"]
    assert notices == ("2 of 3 rated items are not in the item file and have no title, such as y",)


def test_without_an_item_file_titles_are_the_ids(tmp_path):
    dataset = read_source(tmp_path / "r.csv", "user,item,rating\n1,b,5\n1,a,4\n")
    assert (dataset.item_ids.tolist(), dataset.titles.tolist()) == (["a", "b"], ["a", "b"])


def test_an_item_with_two_lines_is_told(tmp_path):
    write_file(tmp_path / "r.csv", "user,item,rating\n1,b,5\n1,a,4\n")
    write_file(tmp_path / "i.csv", "item,title\na,A\nb,B\na,C\n")
    with pytest.raises(
        DatasetError, match=r"i.csv, line 4: an item has one line, and this one has one already"
    ):
        read_source(tmp_path / "s.toml", '[ratings]\nfile = "r.csv"\n[items]\nfile = "i.csv"\n')


def test_weights_of_views_count_by_their_logarithm_or_as_they_are(tmp_path):
    write_file(tmp_path / "v.csv", "user,item,n\n1,a,1\n1,b,7\n")
    toml = '[ratings]\nfile = "v.csv"\nimplicit = true\nweight = "n"\n'
    # log(1 + 1) and log(1 + 7), three times as much.
    assert read_source(tmp_path / "s.toml", toml).ratings.tolist() == pytest.approx([0.6931472, 2.0794415])
    assert read_source(tmp_path / "s.toml", toml + 'weight_scale = "linear"\n').ratings.tolist() == [1.0, 7.0]
    write_file(tmp_path / "v.csv", "user,item,n\n1,a,1\n1,b,0\n")
    with pytest.raises(DatasetError, match="line 3: a weight is a finite number above 0; got '0'"):
        read_source(tmp_path / "s.toml", toml)


def test_a_scale_is_held_to(tmp_path):
    write_file(tmp_path / "r.csv", "user,item,rating\n1,a,-10\n1,b,10\n2,a,11\n")
    with pytest.raises(DatasetError, match="line 4: a rating is a number from -10 to 10; got '11'"):
        read_source(tmp_path / "s.toml", '[ratings]\nfile = "r.csv"\nscale = [-10, 10]\n')


def test_a_known_set_can_be_thinned_under_a_name_of_its_own(tmp_path):
    toml = (
        'name = "core"\n[ratings]\nknown = "sample"\nmin_ratings_per_user = 100\nmin_ratings_per_item = 20\n'
    )
    dataset = read_source(tmp_path / "s.toml", toml)
    assert dataset.name == "core"
    assert np.bincount(dataset.user_index).min() >= 100
    assert np.bincount(dataset.item_index).min() >= 20
    assert dataset.titles[0].startswith("Synthetic item")


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        ("", "ratings: missing"),
        ("[ratings]\n", "ratings: exactly one of file, query, known is wanted; got none"),
        ('[ratings]\nfile = "a"\nknown = "sample"\n', "exactly one of file, query, known is wanted"),
        ('[ratings]\nquery = "select 1"\n', "query and database_url_env, .* belong together"),
        ('[ratings]\nfile = "a"\nusr = "x"\n', "ratings.usr: unknown key; known are file, query"),
        ('[ratings]\nfile = "a"\nscale = [5, 1]\n', r"ratings: scale is \[smallest, largest\]"),
        ('[ratings]\nfile = "a"\nscale = [1, nan]\n', r"ratings.scale\[1\]"),
        ('[ratings]\nfile = "a"\nimplicit = true\nrating = "r"\n', "says that nobody rated"),
        ('[ratings]\nfile = "a"\nweight = "w"\n', "write implicit = true beside it"),
        ('[ratings]\nfile = "a"\nduplicates = "first"\n', "ratings.duplicates: Input should be 'refuse'"),
        ('[ratings]\nfile = "a"\nmin_ratings_per_user = -1\n', "ratings.min_ratings_per_user"),
        ('[ratings]\nknown = "sample"\nuser = "u"\n', "a known set has its own columns; leave out user"),
        ('[ratings]\nfile = "r.csv"\nencoding = "klingon"\n', "the encoding must be one that Python knows"),
        (
            '[ratings]\nfile = "r.csv"\nuser = "x"\n',
            "user = 'x' names no column of .*r.csv; it has user, item",
        ),
        (
            '[ratings]\nfile = "r.csv"\n[users]\nfile = "r.csv"\ntitle = "x"\n',
            "users have an id and features",
        ),
        ("[ratings\n", "not valid TOML"),
    ],
)
def test_a_mistake_in_the_source_is_named_with_its_place(tmp_path, toml, message):
    write_file(tmp_path / "r.csv", "user,item,rating\n1,a,4\n1,b,5\n")
    with pytest.raises(DatasetError, match=message) as error:
        read_source(tmp_path / "s.toml", toml)
    assert str(error.value).startswith(f"{tmp_path}/")


def test_a_file_that_grows_while_it_is_read_is_told(tmp_path, monkeypatch):
    path = write_file(tmp_path / "r.csv", "user,item,rating\n1,a,4\n1,b,5\n")
    state, states = InputFile.state, []

    def growing(file):
        states.append(state(file))
        # The first look is for what was read before.
        if len(states) == 2:
            with path.open("a") as out:
                out.write("2,a,3\n")
        return states[-1]

    monkeypatch.setattr(InputFile, "state", growing)
    with pytest.raises(
        DatasetError, match=r"r.csv: it changed while it was read \(29 bytes before, 35 bytes after\)"
    ):
        read_source(path)


def test_a_part_that_is_added_while_a_folder_is_read_is_told(tmp_path, monkeypatch):
    def write_part(name, user):
        table = pa.table({"user": [user, user], "item": ["a", "b"], "rating": [4.0, 5.0]})
        pq.write_table(table, tmp_path / name)

    write_part("1.parquet", "1")
    states, looks = OwnSource.states, []

    def adding(source):
        looks.append(states(source))
        # The first look is for what was read before.
        if len(looks) == 2:
            write_part("2.parquet", "2")
        return looks[-1]

    monkeypatch.setattr(OwnSource, "states", adding)
    with pytest.raises(DatasetError, match=r"2.parquet: it changed while it was read \(not there before, "):
        read_source(tmp_path)
