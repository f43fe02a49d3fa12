"""Data sets: where they come from, how they are read, prepared and split."""

from shared.datasets.dataset import Dataset, read_dataset
from shared.datasets.forgetting import without_users
from shared.datasets.ids import canonical_id, is_integer_id, sort_ids
from shared.datasets.prepared import has_prepared, load_prepared, replace_prepared, store_prepared
from shared.datasets.sources.download import DownloadError, download_progress
from shared.datasets.sources.known_sets import REGISTRY, load_dataset
from shared.datasets.sources.resolve import ResolvedDataset, SourceOptions, resolve_dataset
from shared.datasets.splits import Split, n_item_rows, refit_split, split_ratings

__all__ = [
    "REGISTRY",
    "Dataset",
    "DownloadError",
    "ResolvedDataset",
    "SourceOptions",
    "Split",
    "canonical_id",
    "download_progress",
    "has_prepared",
    "is_integer_id",
    "load_dataset",
    "load_prepared",
    "n_item_rows",
    "read_dataset",
    "refit_split",
    "replace_prepared",
    "resolve_dataset",
    "sort_ids",
    "split_ratings",
    "store_prepared",
    "without_users",
]
