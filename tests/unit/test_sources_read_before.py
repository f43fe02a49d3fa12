"""A source that is as it was is not read again; whatever has changed of it or of how it is read, is."""

import os

import pytest

from shared.datasets import SourceOptions, resolve_dataset
from shared.datasets.sources import own, read_before
from shared.datasets.sources.read_before import forget_sources
from shared.settings import Settings
from tests.sources import write_file

RATINGS = "user,item,rating,time\n1,a,4,100\n1,b,5,200\n2,a,3,300\n"
LONG_AGO = (1_600_000_000, 1_600_000_000)


@pytest.fixture
def read(tmp_path, monkeypatch):
    """`read(path)` gives the resolved data set and whether the source was read for it."""
    monkeypatch.setattr(read_before, "SMALLEST_BYTES", 1)
    settings = Settings(_env_file=None, state_dir=tmp_path / "state")
    collect, n_read = own.collect_ratings, []
    monkeypatch.setattr(own, "collect_ratings", lambda *given: n_read.append(None) or collect(*given))

    def run(path, **options):
        n_read.clear()
        reports = []
        resolved = resolve_dataset(str(path), settings, None, SourceOptions(**options), reports.append)
        assert reports[0].examples
        return resolved, bool(n_read)

    run.cache_dir = settings.cache_dir
    return run


@pytest.fixture
def path(tmp_path):
    path = write_file(tmp_path / "ratings.csv", RATINGS)
    os.utime(path, LONG_AGO)
    return path


def test_the_second_time_it_is_mapped_with_all_that_was_said(read, path):
    write_file(path, RATINGS.removesuffix("\n"))
    os.utime(path, LONG_AGO)
    first, was_read = read(path)
    second, was_read_again = read(path)
    assert (was_read, was_read_again) == (True, False)
    assert second.dataset.fingerprint == first.dataset.fingerprint
    assert second.notices[:-1] == first.notices
    assert "the last line has no line end" in second.notices[0]
    assert f"{path} is as it was when it was read at 20" in second.notices[-1]


def test_a_file_of_the_same_content_but_another_time_is_known_by_its_checksum(read, path):
    read(path)
    os.utime(path, (1_700_000_000, 1_700_000_000))
    assert not read(path)[1]


@pytest.mark.parametrize(
    ("content", "time"),
    # Longer; of the same length at another time; of the same length, just written: its time says nothing.
    [(RATINGS + "3,b,1,400\n", LONG_AGO), (RATINGS.replace("5", "1"), (1_700_000_000,) * 2)],
)
def test_a_file_that_has_changed_is_read(read, path, content, time):
    first, _ = read(path)
    write_file(path, content)
    os.utime(path, time)
    second, was_read = read(path)
    assert was_read
    assert second.dataset.fingerprint != first.dataset.fingerprint
    assert not read(path)[1]


def test_a_file_written_again_within_a_tick_of_the_clock_is_read(read, path):
    os.utime(path)
    now = path.stat().st_mtime_ns
    read(path)
    write_file(path, RATINGS.replace("5", "1"))
    os.utime(path, ns=(now, now))
    assert read(path)[1]


def test_other_options_read_again_and_one_source_keeps_one_copy(read, path):
    read(path)
    assert read(path, name="shop")[1]
    assert read(path, on_error="skip")[1]
    assert len(list(read.cache_dir.glob("sources/*.npz"))) == 1


def test_views_features_and_users_are_remembered(read, tmp_path):
    write_file(tmp_path / "v.csv", "user,item\n1,a\n2,b\n")
    write_file(tmp_path / "u.csv", "user,age\n1,30\n")
    toml = write_file(
        tmp_path / "s.toml", '[ratings]\nfile = "v.csv"\n[users]\nfile = "u.csv"\nfeatures = ["age"]\n'
    )
    first, _ = read(toml)
    second, was_read = read(toml)
    assert not was_read
    assert second.dataset.is_implicit
    assert second.dataset.user_traits.tolist() == first.dataset.user_traits.tolist() == ["age 30", ""]
    write_file(tmp_path / "u.csv", "user,age\n1,31\n")
    assert read(toml)[1]


@pytest.mark.parametrize("end", ["npz", "json"])
def test_what_is_damaged_or_gone_is_read_again(read, path, end):
    read(path)
    (kept,) = read.cache_dir.glob(f"sources/*.{end}")
    kept.write_bytes(kept.read_bytes()[:-50])
    assert read(path)[1]
    kept.unlink()
    assert read(path)[1]
    assert not read(path)[1]


def test_nothing_is_kept_where_there_is_no_room(read, path, monkeypatch, caplog):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(read_before, "write_large_artifact", full)
    assert read(path)[1]
    assert "is not kept for the next time: [Errno 28] No space left" in caplog.text
    assert read(path)[1]


def test_forgetting_lets_go_of_everything(read, path):
    read(path)
    forget_sources(read.cache_dir)
    assert list(read.cache_dir.glob("sources/*")) == []
    assert read(path)[1]
