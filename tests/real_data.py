"""The real data sets for tests: those in the folder that DATA_DIR names, and nowhere else."""

import os
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

from shared.datasets import REGISTRY
from shared.datasets.sources.known_sets import Archive
from shared.datasets.sources.raw_files import find_files
from shared.errors import DatasetError

MARKER = "needs_data(name): left out, and said so at the end, unless DATA_DIR holds this data set"


@cache
def data_dir_with(name: str) -> Path | None:
    """DATA_DIR when it holds the named set; a DATA_DIR that is no folder ends the run."""
    if not os.environ.get("DATA_DIR"):
        return None
    folder = Path(os.environ["DATA_DIR"]).expanduser().resolve()
    origin = REGISTRY[name].origin
    assert isinstance(origin, Archive)
    try:
        return folder if find_files(folder, name, origin.file_names) else None
    except DatasetError as error:
        raise pytest.UsageError(str(error)) from error


def leave_out(config: pytest.Config, items: list[pytest.Item]) -> Counter[str]:
    """Take tests out whose data set is not at hand; gives how many need which."""
    kept, left_out, counts = [], [], Counter[str]()
    for item in items:
        needed = [mark.args[0] for mark in item.iter_markers("needs_data")]
        missing = [name for name in needed if data_dir_with(name) is None]
        counts.update(missing)
        (left_out if missing else kept).append(item)
    if left_out:
        items[:] = kept
        config.hook.pytest_deselected(items=left_out)
    return counts


def left_out_line(counts: Counter[str]) -> str:
    """What the run says at its end."""
    parts = ", ".join(f"{n_tests} tests need {name}" for name, n_tests in sorted(counts.items()))
    return f"left out: {parts}; set DATA_DIR to a folder that holds NAME/ or NAME.zip"
