"""The ratings that benchmarks train on, put once into a file that every fresh process reads."""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from shared.datasets import Dataset, load_dataset, read_dataset, split_ratings
from shared.domain.protocol import Protocol
from shared.errors import DatasetError
from shared.settings import PROJECT_ROOT, load_settings

PROTOCOL = Protocol(embedding_rows="max_id")
_BESIDE_PROJECT = PROJECT_ROOT.parent / "shared" / "data"


def set_data_dir() -> None:
    """Name the folder beside the project as DATA_DIR where none is named and it is there."""
    if not os.environ.get("DATA_DIR") and _BESIDE_PROJECT.is_dir():
        os.environ["DATA_DIR"] = str(_BESIDE_PROJECT)


@contextmanager
def prepared_dataset() -> Iterator[str]:
    """Path of MovieLens 1M as an npz archive; removed in the end. Without the data, a message and exit."""
    set_data_dir()
    try:
        dataset = load_dataset("ml-1m", load_settings())
    except DatasetError as error:
        sys.exit(f"the benchmarks measure on MovieLens 1M: {error}")
    with tempfile.TemporaryDirectory(prefix="recsweep-bench-") as folder:
        path = Path(folder) / "ml-1m.npz"
        with path.open("wb") as file:
            dataset.write(file)
        print(f"\nMovieLens 1M: {len(split_ratings(dataset.n_ratings, PROTOCOL).train):,} training ratings.")
        yield str(path)


def open_dataset(path: str) -> Dataset:
    return read_dataset(Path(path).read_bytes())
