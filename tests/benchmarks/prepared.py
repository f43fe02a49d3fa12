"""The ratings that benchmarks train on, put once into a file that every fresh process reads."""

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from shared.datasets import Dataset, load_prepared, resolve_dataset, split_ratings, store_prepared
from shared.domain.protocol import Protocol
from shared.errors import DatasetError
from shared.settings import load_settings

PROTOCOL = Protocol(embedding_rows="max_id")


def movielens_1m() -> Dataset:
    """The published ratings, in DATA_DIR or downloaded; without them, a message and exit."""
    try:
        resolved = resolve_dataset("ml-1m", load_settings())
    except DatasetError as error:
        sys.exit(f"the benchmarks measure on MovieLens 1M: {error}")
    if resolved.notices:
        sys.exit(f"the benchmarks measure on MovieLens 1M as published: {resolved.notices[0]}")
    return resolved.dataset


@contextmanager
def prepared_dataset() -> Iterator[str]:
    """Path of MovieLens 1M as an npz archive; removed in the end."""
    dataset = movielens_1m()
    with tempfile.TemporaryDirectory(prefix="recsweep-bench-") as folder:
        store_prepared(Path(folder).as_uri(), dataset)
        path = Path(folder) / "datasets" / f"{dataset.fingerprint}.npz"
        print(f"\nMovieLens 1M: {len(split_ratings(dataset, PROTOCOL).train):,} training ratings.")
        yield str(path)


def open_dataset(path: str) -> Dataset:
    folder = Path(path).parent.parent
    return load_prepared(folder.as_uri(), Path(path).stem, folder)
