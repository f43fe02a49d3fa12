"""Reads small sources for tests, as `DATASET=` does."""

from pathlib import Path

from shared.datasets import Dataset, SourceOptions, resolve_dataset
from shared.settings import Settings


def write_file(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def read_source(path: Path, content: str | bytes | None = None, **options: object) -> Dataset:
    """The data set of the file, written first where a content is given."""
    return read_with_notices(path, content, **options)[0]


def read_with_notices(
    path: Path, content: str | bytes | None = None, **options: object
) -> tuple[Dataset, tuple[str, ...]]:
    """The same, and what is said of it."""
    if content is not None:
        write_file(path, content)
    settings = Settings(_env_file=None, state_dir=path.parent / "state")
    resolved = resolve_dataset(str(path), settings, None, SourceOptions(**options))
    return resolved.dataset, resolved.notices


def rows_of(dataset: Dataset) -> list[tuple[str, str, float]]:
    """User, item and rating of each row."""
    users, items = dataset.user_ids[dataset.user_index], dataset.item_ids[dataset.item_index]
    return list(zip(users.tolist(), items.tolist(), dataset.ratings.tolist(), strict=True))
