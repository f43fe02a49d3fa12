"""The known data sets: where each is found, and what happens when it is not."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from rich.progress import Progress

from shared.datasets.dataset import Dataset
from shared.datasets.sources.download import DownloadError, fetch_archive
from shared.datasets.sources.movielens import (
    ML_1M_FILES,
    ML_1M_USERS,
    ML_100K_FILES,
    ML_100K_USERS,
    parse_ml_1m,
    parse_ml_100k,
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
    """A published zip archive and how its files are read. sha256: 64 hex digits.

    optional: files that may be missing.
    """

    url: str
    sha256: str
    counts: Counts
    file_names: tuple[str, ...]
    optional: tuple[str, ...]
    parse: Callable[[Mapping[str, RawFile]], Dataset]


@dataclass(frozen=True)
class Source:
    """One known data set: an archive, or a function that generates it."""

    name: str
    origin: Archive | Callable[[], Dataset]


@dataclass(frozen=True)
class ResolvedDataset:
    """A data set, and the one line to print when it is not the one that its name leads a person to expect."""

    dataset: Dataset
    notice: str | None = None


REGISTRY: Mapping[str, Source] = {
    source.name: source
    for source in (
        Source(
            "ml-1m",
            Archive(
                "https://files.grouplens.org/datasets/movielens/ml-1m.zip",
                "a6898adb50b9ca05aa231689da44c217cb524e7ebd39d264c56e2832f2c54e20",
                Counts(n_users=6_040, n_items=3_883, n_ratings=1_000_209),
                ML_1M_FILES,
                ML_1M_USERS,
                parse_ml_1m,
            ),
        ),
        Source(
            "ml-100k",
            Archive(
                "https://files.grouplens.org/datasets/movielens/ml-100k.zip",
                "50d2a982c66986937beb9ffb3aa76efe955bf3d5c6b761f4e3a7cd717c6a3229",
                Counts(n_users=943, n_items=1_682, n_ratings=100_000),
                ML_100K_FILES,
                ML_100K_USERS,
                parse_ml_100k,
            ),
        ),
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
        return ResolvedDataset(_read(FALLBACK_DATASET, settings, progress).dataset, notice)


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
        return ResolvedDataset(archive())
    data_dir = settings.data_dir.expanduser() if settings.data_dir else None
    place = find_files(data_dir, name, archive.file_names) if data_dir else None
    if place is None:
        place = _download(name, archive, data_dir, settings, progress)
    if not place.is_dir():
        files = read_archive(place, archive.sha256, archive.file_names, archive.optional)
        return ResolvedDataset(archive.parse(files))
    dataset = archive.parse(read_folder(place, archive.file_names, archive.optional))
    return ResolvedDataset(dataset, _other_counts(dataset, archive.counts, place))


def _other_counts(dataset: Dataset, published: Counts, folder: Path) -> str | None:
    """What to say of a folder whose data are not the published ones; an archive has its checksum instead."""
    counts = Counts(dataset.n_users, dataset.n_items, dataset.n_ratings)
    if counts == published:
        return None
    return (
        f"{folder} does not hold the published {dataset.name}: it has {counts}, published are {published}. "
        "If that is not meant, unpack the whole archive into it."
    )


def _download(
    name: str, archive: Archive, data_dir: Path | None, settings: Settings, progress: Progress | None
) -> Path:
    try:
        return fetch_archive(archive.url, archive.sha256, settings.cache_dir / "downloads", progress)
    except DownloadError as error:
        looked = f"not in DATA_DIR ({data_dir})" if data_dir else "not at hand (DATA_DIR is not set)"
        raise DownloadError(
            f"data set {name} is {looked} and {error}. "
            f"Set DATA_DIR to a folder that holds {name}/ or {name}.zip, or take DATASET=sample."
        ) from error
