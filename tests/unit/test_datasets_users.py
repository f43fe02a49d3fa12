"""What is known of users: read where the source has it, kept beside the ratings, not in the fingerprint."""

import hashlib
import zipfile
from dataclasses import replace

import numpy as np
import pytest

from shared.artifacts import write_artifact
from shared.datasets import load_prepared, split_ratings, store_prepared
from shared.datasets.prepare import Item, prepare_dataset, rating_table
from shared.datasets.sources.movielens import parse_ml_1m, parse_ml_100k
from shared.datasets.sources.raw_files import read_archive, read_folder
from shared.domain.protocol import Protocol
from shared.errors import DatasetError
from tests.factories import make_dataset
from tests.unit.test_datasets_movielens import MOVIES, RATINGS, files
from worker.trial import fit_data

USERS = "1::F::1::10::48067\n2::M::56::16::70072\n6040::M::25::6::11106\n"
TRAITS = ["age 1|gender F|occupation 10", "age 25|gender M|occupation 6"]


def ml_1m(users):
    return parse_ml_1m(files(**{"ratings.dat": RATINGS, "movies.dat": MOVIES, "users.dat": users}))


def ml_100k(users):
    texts = {
        "u.data": "1\t1\t3\t1\n2\t1\t4\t2\n",
        "u.item": "1|A|||http|0|1\n",
        "u.genre": "unknown|0\nAction|1\n",
    }
    return parse_ml_100k(files(**texts, **{"u.user": users}))


def test_users_of_ml_1m_have_age_group_gender_and_occupation():
    # User 2 rated nothing and is no user of the data set.
    assert ml_1m(USERS).user_traits.tolist() == TRAITS


def test_ages_of_ml_100k_become_the_groups_of_ml_1m():
    dataset = ml_100k("1|24|M|technician|85711\n2|7|F|other|94043\n")
    assert dataset.user_traits.tolist() == [
        "age 18|gender M|occupation technician",
        "age 1|gender F|occupation other",
    ]


def test_a_user_without_a_line_has_no_traits_and_without_the_file_nobody_has():
    assert ml_1m(USERS.replace("6040::", "6039::")).user_traits.tolist() == [TRAITS[0], ""]
    assert parse_ml_1m(files(**{"ratings.dat": RATINGS, "movies.dat": MOVIES})).user_traits is None


@pytest.mark.parametrize(
    "line",
    [
        "1::F::1::10",
        "one::F::1::10::4",
        "1::X::1::10::4",
        "1::F::old::10::4",
        "1::F::0::10::4",
        "1::F::1::::4",
    ],
)
def test_a_bad_line_of_users_is_told_with_file_line_and_rule(line):
    with pytest.raises(DatasetError, match=r"users.dat, line 2: a user line is 'user id::gender F or M::"):
        ml_1m(f"7::F::1::10::48067\n{line}\n")


def test_a_second_line_of_a_user_is_told():
    with pytest.raises(DatasetError, match="line 2: a user has one line, and user 1 has one already"):
        ml_1m("1::F::1::10::4\n01::M::1::10::4\n")


def test_folder_and_zip_may_have_the_file_or_not(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        for name, text in (("ratings.dat", RATINGS), ("users.dat", USERS)):
            (tmp_path / name).write_text(text)
            archive.writestr(f"x/{name}", text)
    checksum = f"sha256:{hashlib.sha256((tmp_path / 'x.zip').read_bytes()).hexdigest()}"

    for optional, expected in (
        (["users.dat"], ["ratings.dat", "users.dat"]),
        (["other.dat"], ["ratings.dat"]),
    ):
        assert list(read_folder(tmp_path, ["ratings.dat"], optional)) == expected
        assert list(read_archive(tmp_path / "x.zip", checksum, ["ratings.dat"], optional)) == expected


def test_the_fingerprint_is_that_of_the_ratings_alone():
    assert (
        ml_1m(USERS).fingerprint
        == parse_ml_1m(files(**{"ratings.dat": RATINGS, "movies.dat": MOVIES})).fingerprint
    )


def traits_of(n_users, *texts):
    return np.array([texts[user % len(texts)] for user in range(n_users)])


def test_traits_are_stored_beside_the_ratings_and_read_with_them(tmp_path):
    root, dataset = tmp_path.as_uri(), make_dataset()
    store_prepared(root, dataset)
    plain = load_prepared(root, dataset.fingerprint, tmp_path / "cache")
    # So version 0.1 stored it: a later sweep adds what it knows of the users.
    known = replace(dataset, user_traits=traits_of(dataset.n_users, "age 1", ""))
    store_prepared(root, known)
    store_prepared(root, known)

    loaded = load_prepared(root, dataset.fingerprint, tmp_path / "cache")

    assert plain.user_traits is None
    assert loaded.user_traits.tolist() == ["age 1", "", "age 1", ""]
    assert loaded.fingerprint == dataset.fingerprint
    # Who has no file of users any more leaves them as they are.
    store_prepared(root, dataset)
    assert load_prepared(root, dataset.fingerprint, tmp_path / "cache").user_traits is not None


def test_other_users_of_the_same_ratings_are_refused(tmp_path):
    dataset = make_dataset()
    store_prepared(tmp_path.as_uri(), replace(dataset, user_traits=traits_of(dataset.n_users, "age 1")))
    with pytest.raises(
        DatasetError, match=r"stored with other users .* the file of users must stay as it was"
    ):
        store_prepared(tmp_path.as_uri(), replace(dataset, user_traits=traits_of(dataset.n_users, "age 18")))


def test_a_damaged_file_of_users_is_told(tmp_path):
    dataset = make_dataset()
    store_prepared(tmp_path.as_uri(), dataset)
    write_artifact(f"{tmp_path.as_uri()}/datasets/{dataset.fingerprint}.users.npz", b"nonsense")
    with pytest.raises(DatasetError, match="must be an npz archive of user_traits"):
        load_prepared(tmp_path.as_uri(), dataset.fingerprint, tmp_path / "cache")


def test_what_families_get_are_columns_of_ones():
    dataset = replace(make_dataset(n_users=3), user_traits=np.array(["b|a", "", "c"]))
    split = split_ratings(dataset, Protocol())

    assert fit_data(dataset, split, Protocol()).user_features.tolist() == [[1, 1, 0], [0, 0, 0], [0, 0, 1]]
    assert fit_data(replace(dataset, user_traits=None), split, Protocol()).user_features is None


def test_prepare_puts_traits_in_the_order_of_the_ids():
    table = rating_table(
        np.array([10, 9]), np.array([1, 1]), np.array([3.0, 4.0]), np.array([0, 0]), where="here"
    )
    dataset = prepare_dataset("x", table, [Item("1")], traits={"10": ("ten",), "9": ("nine", "odd")})
    assert dataset.user_traits.tolist() == ["nine|odd", "ten"]
