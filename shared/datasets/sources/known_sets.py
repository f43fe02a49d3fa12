"""The known data sets: where each is found, and what happens when it is not."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from rich.progress import Progress

from shared.datasets.dataset import Dataset
from shared.datasets.sources.download import DownloadError, fetch_archive
from shared.datasets.sources.movielens import (
    ML_1M_FILES,
    ML_1M_USERS,
    ML_10M_FILES,
    ML_100K_FILES,
    ML_100K_USERS,
    ML_CSV_FILES,
    parse_ml_1m,
    parse_ml_10m,
    parse_ml_100k,
    parse_ml_csv,
)
from shared.datasets.sources.raw_files import RawFile, find_files, read_archive, read_folder
from shared.datasets.sources.sample import generate_sample
from shared.errors import DatasetError
from shared.settings import Settings

DEFAULT_DATASET = "ml-1m"
FALLBACK_DATASET = "sample"


@dataclass(frozen=True)
class Counts:
    """How large a data set is: users with a rating, items of the catalogue, ratings."""

    n_users: int
    n_items: int
    n_ratings: int

    def __str__(self) -> str:
        return f"{self.n_users:,} users, {self.n_items:,} items and {self.n_ratings:,} ratings"


@dataclass(frozen=True)
class Archive:
    """A published zip archive and how its files are read.

    checksum: "sha256:" or "md5:" and hex digits; it and `counts` are None for an archive that changes.
    optional: files that may be missing      folder_name: of the folder within, None where it is the name
    """

    url: str
    checksum: str | None
    counts: Counts | None
    file_names: tuple[str, ...]
    parse: Callable[[Mapping[str, RawFile]], Dataset]
    optional: tuple[str, ...] = ()
    folder_name: str | None = None


@dataclass(frozen=True)
class Source:
    """One known data set: an archive, or a function that generates it."""

    name: str
    origin: Archive | Callable[[], Dataset]


@dataclass(frozen=True)
class ResolvedDataset:
    """A data set, and the one line to print when it is not the one that its name leads a person to expect.

    `source`: what has to be named to read it again.
    """

    dataset: Dataset
    source: str
    notice: str | None = None


def _of_csv(name: str, checksum: str | None = None, counts: Counts | None = None) -> Source:
    archive = Archive(_url(name), checksum, counts, ML_CSV_FILES, partial(parse_ml_csv, name))
    return Source(name, archive)


def _url(name: str) -> str:
    return f"https://files.grouplens.org/datasets/movielens/{name}.zip"


REGISTRY: Mapping[str, Source] = {
    source.name: source
    for source in (
        Source(
            "ml-1m",
            Archive(
                _url("ml-1m"),
                "sha256:a6898adb50b9ca05aa231689da44c217cb524e7ebd39d264c56e2832f2c54e20",
                Counts(n_users=6_040, n_items=3_883, n_ratings=1_000_209),
                ML_1M_FILES,
                parse_ml_1m,
                ML_1M_USERS,
            ),
        ),
        Source(
            "ml-100k",
            Archive(
                _url("ml-100k"),
                "sha256:50d2a982c66986937beb9ffb3aa76efe955bf3d5c6b761f4e3a7cd717c6a3229",
                Counts(n_users=943, n_items=1_682, n_ratings=100_000),
                ML_100K_FILES,
                parse_ml_100k,
                ML_100K_USERS,
            ),
        ),
        Source(
            "ml-10m",
            Archive(
                _url("ml-10m"),
                "md5:ce571fd55effeba0271552578f2648bd",
                Counts(n_users=69_878, n_items=10_681, n_ratings=10_000_054),
                ML_10M_FILES,
                parse_ml_10m,
                folder_name="ml-10M100K",
            ),
        ),
        _of_csv("ml-20m", "md5:cd245b17a1ae2cc31bb14903e1204af3", Counts(138_493, 27_278, 20_000_263)),
        _of_csv("ml-25m", "md5:6b51fb2759a8657d3bfcbfc42b592ada", Counts(162_541, 62_423, 25_000_095)),
        _of_csv("ml-32m", "md5:d472be332d4daa821edc399621853b57", Counts(200_948, 87_585, 32_000_204)),
        # GroupLens makes these anew from time to time.
        _of_csv("ml-latest-small"),
        _of_csv("ml-latest"),
        Source("sample", generate_sample),
    )
}


def resolve_dataset(
    name: str | None, settings: Settings, progress: Progress | None = None
) -> ResolvedDataset:
    """The named data set, with a notice when a folder holds other data under that name.

    Without a name it is ml-1m, or sample and a notice when ml-1m cannot be had. Data that are there but
    broken are an error, never a reason to take others. Raises DatasetError: name unknown, files missing or
    broken; its subclass DownloadError: the data set is nowhere at hand and cannot be downloaded.
    """
    if name:
        return _read(name, settings, progress)
    try:
        return _read(DEFAULT_DATASET, settings, progress)
    except DownloadError as error:
        notice = (
            f"No data set was named and {error} Going on with {FALLBACK_DATASET}, a small synthetic data set."
        )
        return replace(_read(FALLBACK_DATASET, settings, progress), notice=notice)


def load_dataset(name: str, settings: Settings, progress: Progress | None = None) -> Dataset:
    """Read from DATA_DIR (folder or zip), else from the archive in `settings.cache_dir`, downloaded first.

    `progress` shows the download. Errors as in `resolve_dataset`.
    """
    return _read(name, settings, progress).dataset


def _read(name: str, settings: Settings, progress: Progress | None) -> ResolvedDataset:
    if name not in REGISTRY:
        raise DatasetError(f"the known data sets are {', '.join(REGISTRY)}; got {name!r}. Name one of them.")
    archive = REGISTRY[name].origin
    if not isinstance(archive, Archive):
        return ResolvedDataset(archive(), name)
    data_dir = settings.data_dir.expanduser() if settings.data_dir else None
    place = find_files(data_dir, name, archive.file_names, archive.folder_name) if data_dir else None
    if (
        place is not None
        and place == data_dir
        and place.name in _folder_names() - {name, archive.folder_name}
    ):
        # Files of the same names belong to several sets.
        place = None
    if place is None:
        place = _download(name, archive, data_dir, settings, progress)
    if not place.is_dir():
        files = read_archive(place, archive.checksum, archive.file_names, archive.optional)
    else:
        files = read_folder(place, archive.file_names, archive.optional)
    dataset = archive.parse(files)
    return ResolvedDataset(dataset, name, _other_counts(dataset, archive.counts, place))


def _folder_names() -> set[str | None]:
    """Under which names the known sets lie, each by its own and by that in its archive."""
    in_archives = {
        source.origin.folder_name for source in REGISTRY.values() if isinstance(source.origin, Archive)
    }
    return {*REGISTRY, *in_archives}


def _other_counts(dataset: Dataset, published: Counts | None, place: Path) -> str | None:
    """What to say of data that are not the published ones."""
    counts = Counts(dataset.n_users, dataset.n_items, dataset.n_ratings)
    if published is None or counts == published:
        return None
    return (
        f"{place} does not hold the published {dataset.name}: it has {counts}, published are {published}. "
        "If that is not meant, unpack the whole archive into it."
    )


def _download(
    name: str, archive: Archive, data_dir: Path | None, settings: Settings, progress: Progress | None
) -> Path:
    try:
        return fetch_archive(archive.url, archive.checksum, settings.cache_dir / "downloads", progress)
    except DownloadError as error:
        looked = f"not in DATA_DIR ({data_dir})" if data_dir else "not at hand (DATA_DIR is not set)"
        raise DownloadError(
            f"data set {name} is {looked} and {error}. "
            f"Set DATA_DIR to a folder that holds {name}/ or {name}.zip, or take DATASET=sample."
        ) from error
