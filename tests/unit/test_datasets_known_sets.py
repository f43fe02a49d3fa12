"""Where data are looked for, in which order, and what is said when they are missing or broken."""

import dataclasses
import hashlib
import re
import zipfile

import pytest

from shared.datasets import resolve_dataset
from shared.datasets.sources import known_sets
from shared.datasets.sources.download import DownloadError
from shared.datasets.sources.known_sets import REGISTRY, Archive, Counts, load_dataset
from shared.errors import DatasetError
from shared.settings import Settings

RATINGS = "1::10::5::978300760\n2::10::3::978302109\n2::20::4::978302110\n"
MOVIES = "10::Ten (1999)::Drama\n20::Twenty (1999)::Comedy\n"


@pytest.fixture
def settings(tmp_path):
    data_dir = tmp_path / "data"
    data_dir.mkdir()
    return Settings(_env_file=None, data_dir=data_dir, state_dir=tmp_path / "state")


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    """Whoever comes to the download is told that there is no network."""

    def fail(url, *args):
        raise DownloadError(f"{url} cannot be downloaded: no connection to the server")

    monkeypatch.setattr(known_sets, "fetch_archive", fail)


def write_folder(folder, ratings=RATINGS, movies=MOVIES):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "ratings.dat").write_bytes(ratings.encode("latin-1"))
    (folder / "movies.dat").write_bytes(movies.encode("latin-1"))


def write_zip(archive, monkeypatch, members):
    """Write a zip archive and make it the published ml-1m."""
    archive.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(archive, "w") as opened:
        for name, text in members.items():
            opened.writestr(name, text.encode("latin-1"))
    publish(monkeypatch, archive.read_bytes())


def publish(monkeypatch, content):
    publish_as(monkeypatch, checksum=sha256_of(content))


def sha256_of(content):
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def publish_as(monkeypatch, **facts):
    source = REGISTRY["ml-1m"]
    origin = dataclasses.replace(source.origin, **facts)
    monkeypatch.setattr(
        known_sets, "REGISTRY", REGISTRY | {"ml-1m": dataclasses.replace(source, origin=origin)}
    )


WHOLE = {"ml-1m/README": "", "ml-1m/ratings.dat": RATINGS, "ml-1m/movies.dat": MOVIES}


def test_a_folder_in_data_dir_is_read(settings):
    write_folder(settings.data_dir / "ml-1m")
    dataset = load_dataset("ml-1m", settings)
    assert (dataset.name, dataset.n_users, dataset.n_items, dataset.n_ratings) == ("ml-1m", 2, 2, 3)


def test_data_dir_may_be_the_folder_itself(settings):
    write_folder(settings.data_dir)
    assert load_dataset("ml-1m", settings).n_ratings == 3


@pytest.mark.parametrize("prefix", ["ml-1m/", ""])
def test_a_zip_in_data_dir_is_read(settings, monkeypatch, prefix):
    members = {f"{prefix}ratings.dat": RATINGS, f"{prefix}movies.dat": MOVIES}
    write_zip(settings.data_dir / "ml-1m.zip", monkeypatch, members)
    assert load_dataset("ml-1m", settings).n_ratings == 3


def test_folder_and_zip_give_the_same_data(settings, monkeypatch):
    write_zip(settings.data_dir / "ml-1m.zip", monkeypatch, WHOLE)
    from_zip = load_dataset("ml-1m", settings)
    write_folder(settings.data_dir / "ml-1m")
    assert load_dataset("ml-1m", settings).fingerprint == from_zip.fingerprint


def test_a_folder_is_taken_before_a_zip(settings):
    write_folder(settings.data_dir / "ml-1m")
    (settings.data_dir / "ml-1m.zip").write_bytes(b"other")
    assert load_dataset("ml-1m", settings).n_ratings == 3


def test_a_downloaded_archive_is_read(settings, monkeypatch):
    def fetch(url, checksum, folder, progress):
        assert folder == settings.cache_dir / "downloads"
        return folder / "ml-1m.zip"

    write_zip(settings.cache_dir / "downloads" / "ml-1m.zip", monkeypatch, WHOLE)
    monkeypatch.setattr(known_sets, "fetch_archive", fetch)
    assert load_dataset("ml-1m", settings).n_ratings == 3


def test_every_archive_comes_by_https_with_a_checksum_unless_it_changes():
    archives = {
        name: source.origin for name, source in REGISTRY.items() if isinstance(source.origin, Archive)
    }
    latest = ["ml-latest", "ml-latest-small"]
    assert sorted(archives) == ["ml-100k", "ml-10m", "ml-1m", "ml-20m", "ml-25m", "ml-32m", *latest]
    for name, archive in archives.items():
        assert archive.url == f"https://files.grouplens.org/datasets/movielens/{name}.zip"
        if name in latest:
            assert (archive.checksum, archive.counts) == (None, None)
        else:
            assert re.fullmatch("sha256:[0-9a-f]{64}|md5:[0-9a-f]{32}", archive.checksum)


def test_an_unknown_name_is_told_with_the_known_ones(settings):
    with pytest.raises(DatasetError, match=r"the known data sets are ml-1m, .*, sample; got 'ml-2m'"):
        load_dataset("ml-2m", settings)


def test_a_named_set_that_cannot_be_had_is_an_error_with_the_remedy(settings):
    with pytest.raises(DownloadError) as caught:
        resolve_dataset("ml-1m", settings)
    message = str(caught.value)
    assert message.startswith(f"data set ml-1m is not in DATA_DIR ({settings.data_dir}) and https://")
    assert message.endswith(
        "Set DATA_DIR to a folder that holds ml-1m/ or ml-1m.zip, or take DATASET=sample."
    )


@pytest.mark.parametrize("name", [None, ""])
def test_with_no_name_and_no_data_the_sample_is_taken_with_one_line_of_notice(settings, name):
    resolved = resolve_dataset(name, settings)
    assert (resolved.dataset.name, resolved.dataset.is_synthetic) == ("sample", True)
    assert "no connection to the server" in resolved.notices[0]
    assert "Going on with sample, a small synthetic data set." in resolved.notices[0]
    assert "\n" not in resolved.notices[0]


@pytest.mark.parametrize("name", [None, "ml-1m"])
def test_ml_1m_is_taken_without_notice_when_it_is_there_as_published(settings, monkeypatch, name):
    publish_as(monkeypatch, counts=Counts(n_users=2, n_items=2, n_ratings=3))
    write_folder(settings.data_dir / "ml-1m")
    resolved = resolve_dataset(name, settings)
    assert (resolved.dataset.name, resolved.notices) == ("ml-1m", ())


@pytest.mark.parametrize(
    ("ratings", "movies", "found"),
    [
        (RATINGS[: RATINGS.index("2::10")], MOVIES, "1 users, 2 items and 1 ratings"),
        (RATINGS[: RATINGS.index("2::20")], MOVIES, "2 users, 2 items and 2 ratings"),
        # A film that nobody rated is missing at the end of the item file.
        (RATINGS[: RATINGS.index("2::20")], MOVIES[: MOVIES.index("20::")], "2 users, 1 items and 2 ratings"),
        (RATINGS + "2::30::4::978302111\n", MOVIES + "30::More::Drama\n", "2 users, 3 items and 4 ratings"),
    ],
)
def test_a_folder_with_other_data_than_the_published_is_told_with_both_counts(
    settings, monkeypatch, ratings, movies, found
):
    publish_as(monkeypatch, counts=Counts(n_users=2, n_items=2, n_ratings=3))
    folder = settings.data_dir / "ml-1m"
    write_folder(folder, ratings, movies)
    resolved = resolve_dataset("ml-1m", settings)
    assert resolved.dataset.name == "ml-1m"
    assert resolve_dataset(None, settings).notices == resolved.notices
    assert f"{folder} does not hold the published ml-1m: it has {found}, " in resolved.notices[0]
    assert "published are 2 users, 2 items and 3 ratings." in resolved.notices[0]
    assert "\n" not in resolved.notices[0]


def test_the_published_counts_are_those_of_the_readmes():
    origins = {name: source.origin for name, source in REGISTRY.items() if name.startswith("ml-")}
    assert {name: str(origin.counts) for name, origin in origins.items() if origin.counts} == {
        "ml-1m": "6,040 users, 3,883 items and 1,000,209 ratings",
        "ml-100k": "943 users, 1,682 items and 100,000 ratings",
        # Users with a rating: the readme of ml-10m counts 71,567 with those who only gave tags.
        "ml-10m": "69,878 users, 10,681 items and 10,000,054 ratings",
        "ml-20m": "138,493 users, 27,278 items and 20,000,263 ratings",
        "ml-25m": "162,541 users, 62,423 items and 25,000,095 ratings",
        "ml-32m": "200,948 users, 87,585 items and 32,000,204 ratings",
    }


def test_the_sample_needs_no_data_dir(settings):
    elsewhere = settings.model_copy(update={"data_dir": settings.data_dir / "nowhere"})
    assert resolve_dataset("sample", elsewhere).dataset.name == "sample"


@pytest.mark.parametrize("missing", ["ratings.dat", "movies.dat"])
def test_with_no_name_broken_data_are_an_error_and_no_reason_for_the_sample(settings, missing):
    folder = settings.data_dir / "ml-1m"
    write_folder(folder)
    (folder / missing).unlink()
    with pytest.raises(DatasetError, match=f"{re.escape(str(folder))}: .*; {missing} is missing"):
        resolve_dataset(None, settings)


def test_a_file_missing_in_data_dir_itself_is_told(settings):
    (settings.data_dir / "movies.dat").write_text(MOVIES)
    with pytest.raises(DatasetError, match=r"ratings\.dat is missing"):
        load_dataset("ml-1m", settings)


@pytest.mark.parametrize("name", ["ml-20m", "ml-25m", "ml-32m", "ml-latest-small", "ml-latest"])
def test_the_sets_in_csv_are_read_from_a_folder(settings, name):
    folder = settings.data_dir / name
    folder.mkdir()
    (folder / "ratings.csv").write_text("userId,movieId,rating,timestamp\n1,7,0.5,9\n1,9,4.5,10\n")
    (folder / "movies.csv").write_text('movieId,title,genres\n7,"Seven, the (1995)",Drama\n9,Nine,Drama\n')
    resolved = resolve_dataset(name, settings)
    assert (resolved.dataset.name, resolved.dataset.titles[0]) == (name, "Seven, the (1995)")
    if name.startswith("ml-latest"):
        assert resolved.notices == ()
    else:
        assert (
            f"does not hold the published {name}: it has 1 users, 2 items and 2 ratings"
            in resolved.notices[0]
        )


def test_a_data_dir_that_has_the_name_of_another_set_holds_that_set(settings):
    # ml-1m and ml-10m have files of the same names.
    for name, other in (("ml-1m", "ml-10m"), ("ml-10M100K", "ml-1m")):
        folder = settings.data_dir / name
        write_folder(folder)
        with pytest.raises(DownloadError, match=f"data set {other} is not in DATA_DIR"):
            load_dataset(other, settings.model_copy(update={"data_dir": folder}))


@pytest.mark.parametrize("folder", ["ml-10m", "ml-10M100K"])
def test_the_folder_of_ml_10m_may_have_the_name_that_it_has_in_the_archive(settings, folder):
    write_folder(settings.data_dir / folder, ratings="1::10::0.5::9\n", movies=MOVIES.replace("Ten", "Ténor"))
    # Its text is UTF-8.
    movies = settings.data_dir / folder / "movies.dat"
    movies.write_bytes(movies.read_bytes().decode("latin-1").encode())
    dataset = load_dataset("ml-10m", settings)
    assert (dataset.name, dataset.titles[0], dataset.ratings[0]) == ("ml-10m", "Ténor (1999)", 0.5)


def test_a_zip_whose_content_changes_is_taken_as_it_is(settings):
    members = {
        "ml-latest-small/ratings.csv": "userId,movieId,rating,timestamp\n3,7,5.0,9\n",
        "ml-latest-small/movies.csv": "movieId,title,genres\n7,Seven,Drama\n",
        "ml-latest-small/links.csv": "movieId,imdbId,tmdbId\n",
    }
    with zipfile.ZipFile(settings.data_dir / "ml-latest-small.zip", "w") as opened:
        for name, text in members.items():
            opened.writestr(name, text)
    resolved = resolve_dataset("ml-latest-small", settings)
    assert (resolved.dataset.user_ids.tolist(), resolved.notices) == (["3"], ())


def test_a_data_dir_that_does_not_exist_is_told(settings):
    nowhere = settings.model_copy(update={"data_dir": settings.data_dir / "nowhere"})
    with pytest.raises(DatasetError, match=r"DATA_DIR must be a folder; there is none at .*nowhere"):
        resolve_dataset(None, nowhere)


def test_a_zip_with_another_checksum_is_refused_with_both_checksums_and_the_remedy(settings, monkeypatch):
    archive = settings.data_dir / "ml-1m.zip"
    write_zip(archive, monkeypatch, WHOLE)
    publish(monkeypatch, b"published")
    expected, got = (sha256_of(content) for content in (b"published", archive.read_bytes()))
    with pytest.raises(DatasetError) as caught:
        load_dataset("ml-1m", settings)
    message = str(caught.value)
    assert f"{archive}: expected the archive of {expected}, got {got}" in message
    assert f"if it is meant to differ, unpack it into the folder {settings.data_dir / 'ml-1m'}." in message
    assert "cut short" not in message


def test_a_truncated_zip_is_told(settings, monkeypatch):
    archive = settings.data_dir / "ml-1m.zip"
    write_zip(archive, monkeypatch, WHOLE)
    archive.write_bytes(archive.read_bytes()[:200])
    with pytest.raises(DatasetError, match=r"\(200 bytes, cut short or no zip archive at all\)"):
        resolve_dataset(None, settings)


def test_a_zip_without_a_file_that_is_needed_is_told(settings, monkeypatch):
    archive = settings.data_dir / "ml-1m.zip"
    write_zip(archive, monkeypatch, {"ml-1m/ratings.dat": RATINGS})
    with pytest.raises(DatasetError, match=r"needs a file movies\.dat; the archive has none"):
        load_dataset("ml-1m", settings)


def test_a_bad_line_in_a_zip_is_told_with_archive_member_and_line(settings, monkeypatch):
    archive = settings.data_dir / "ml-1m.zip"
    write_zip(archive, monkeypatch, WHOLE | {"ml-1m/ratings.dat": RATINGS + "1::x\n"})
    with pytest.raises(DatasetError, match=f"{re.escape(str(archive))}:ml-1m/ratings.dat, line 4: "):
        load_dataset("ml-1m", settings)


def test_a_file_that_cannot_be_read_is_told(settings):
    write_folder(settings.data_dir / "ml-1m")
    (settings.data_dir / "ml-1m" / "movies.dat").unlink()
    (settings.data_dir / "ml-1m" / "movies.dat").mkdir()
    with pytest.raises(DatasetError, match=r"movies\.dat cannot be read: Is a directory"):
        load_dataset("ml-1m", settings)
