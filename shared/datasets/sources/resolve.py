"""`DATASET=`: a known set, a file or folder of ratings, or a TOML source; and what is said of it."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from rich.progress import Progress

from shared.datasets.dataset import Dataset
from shared.datasets.sources.columns import SourceReport
from shared.datasets.sources.download import DownloadError
from shared.datasets.sources.input_file import InputFile, is_url
from shared.datasets.sources.known_sets import REGISTRY, files_of_known_set, read_known_set
from shared.datasets.sources.left_out import OnError
from shared.datasets.sources.own import OwnSource
from shared.datasets.sources.read_before import ReadBefore
from shared.datasets.sources.source_file import RatingsTable, SourceFile, check_name, read_source_file
from shared.errors import DatasetError
from shared.settings import Settings

DEFAULT_DATASET = "ml-1m"
FALLBACK_DATASET = "sample"
_LINES = (".csv", ".tsv", ".tab", ".txt", ".dat", ".data", ".parquet", ".pq")


@dataclass(frozen=True)
class SourceOptions:
    """What a person says beside `DATASET=`; None: as the TOML source has it."""

    name: str | None = None
    on_error: OnError | None = None
    max_skipped: int | None = None


@dataclass(frozen=True)
class ResolvedDataset:
    """A data set, what a person should know of it, and from where it can be read again.

    source: what `DATASET=` has to be for that: a known name, an absolute path or a URL
    notices: a line each, such as that it is not the data set that its name leads a person to expect
    """

    dataset: Dataset
    source: str
    notices: tuple[str, ...] = ()


def resolve_dataset(
    asked: str | None,
    settings: Settings,
    progress: Progress | None = None,
    options: SourceOptions | None = None,
    report: Callable[[SourceReport], None] = lambda _: None,
) -> ResolvedDataset:
    """The data set that was asked for; `report` is called with what was found in a person's own file.

    Without a name it is ml-1m, or sample and a notice when ml-1m cannot be had. Data that are there but
    broken are an error, never a reason to take others. Raises DatasetError: name unknown, files missing or
    broken; its subclass DownloadError: the data set is nowhere at hand and cannot be downloaded.
    """
    options = options or SourceOptions()
    if asked and asked not in REGISTRY:
        return _read_own(asked, settings, progress, options, report)
    if options != SourceOptions():
        raise DatasetError(
            f"NAME, ON_ERROR and MAX_SKIPPED are for your own ratings; {asked or DEFAULT_DATASET} is a known "
            "data set. Leave them out, or name a file: DATASET=ratings.csv."
        )
    if asked:
        return _known(asked, settings, progress)
    try:
        return _known(DEFAULT_DATASET, settings, progress)
    except DownloadError as error:
        notice = (
            f"No data set was named and {error} Going on with {FALLBACK_DATASET}, a small synthetic data set."
        )
        return ResolvedDataset(read_known_set(FALLBACK_DATASET, settings)[0], FALLBACK_DATASET, (notice,))


def _known(name: str, settings: Settings, progress: Progress | None) -> ResolvedDataset:
    states = [InputFile(str(path)).state() for path in files_of_known_set(name, settings)]
    before = ReadBefore(settings.cache_dir, name)
    if states and (found := before.find(states)):
        return ResolvedDataset(found.dataset, name, found.notices)
    dataset, notice = read_known_set(name, settings, progress)
    notices = (notice,) if notice else ()
    if states:
        before.remember(states, dataset, notices, None)
    return ResolvedDataset(dataset, name, notices)


def _read_own(
    asked: str,
    settings: Settings,
    progress: Progress | None,
    options: SourceOptions,
    report: Callable[[SourceReport], None],
) -> ResolvedDataset:
    source = own_source(asked, options)
    source.load_known = lambda name: read_known_set(name, settings, progress)[0]
    place = asked if is_url(asked) else str(Path(asked).expanduser().absolute())
    # A query has no state that would tell that its rows are as they were; a known set has files of its own.
    is_of_files = not source.has_query() and source.file.ratings.known is None
    before = ReadBefore(settings.cache_dir, place, (source.name, source.file))
    states = source.states() if is_of_files else []
    if states and (found := before.find(states)):
        if found.report:
            report(found.report)
        read_at = f"{datetime.fromtimestamp(found.read_at, UTC):%Y-%m-%d %H:%M} UTC"
        return ResolvedDataset(
            found.dataset, place, (*found.notices, f"{asked} is as it was when it was read at {read_at}")
        )
    reports: list[SourceReport] = []

    def note(one: SourceReport) -> None:
        reports.append(one)
        report(one)

    dataset = source.read(note)
    if states:
        before.remember(source.files_read, dataset, source.notices, reports[0] if reports else None)
    return ResolvedDataset(dataset, place, tuple(source.notices))


def own_source(asked: str, options: SourceOptions) -> OwnSource:
    """What to read and how; raises DatasetError for what is neither a known name nor like a file."""
    path = Path(asked).expanduser()
    if not (is_url(asked) or "/" in asked or path.suffix or path.exists()):
        raise DatasetError(
            f"DATASET is the path of a file of ratings (.csv, .tsv, .parquet, .toml), or one of "
            f"{', '.join(REGISTRY)}; got {asked!r}, and there is no such file here."
        )
    is_toml = path.suffix == ".toml" and not is_url(asked)
    file = read_source_file(path) if is_toml else SourceFile(ratings=RatingsTable(file=asked))
    changed = {
        name: value
        for name, value in (("on_error", options.on_error), ("max_skipped", options.max_skipped))
        if value is not None
    }
    name = options.name or file.name or _stem(asked)
    return OwnSource(
        check_name(name, tuple(REGISTRY)), file.model_copy(update=changed), path if is_toml else None
    )


def _stem(asked: str) -> str:
    """`ratings` of /data/ratings.csv.gz: the file's name without the ends that say what kind it is."""
    name = asked.rstrip("/").rpartition("/")[2]
    stem = Path(name).stem
    return Path(stem).stem if Path(stem).suffix.lower() in _LINES else stem
