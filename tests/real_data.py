"""What tests need that is not everywhere: real data sets, from the folder of DATA_DIR, and a browser."""

import os
import shutil
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

from shared.datasets import REGISTRY
from shared.datasets.sources.known_sets import Archive
from shared.datasets.sources.raw_files import find_files
from shared.errors import DatasetError

MARKER = "needs_data(name): left out, and said so at the end, unless DATA_DIR holds this data set"


_BROWSER = "Chromium"
_BROWSER_TESTS = Path(__file__).parent / "page"


@cache
def find_browser() -> str | None:
    """The Chromium of this machine."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


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
        if item.path.is_relative_to(_BROWSER_TESTS) and find_browser() is None:
            missing.append(_BROWSER)
        counts.update(missing)
        (left_out if missing else kept).append(item)
    if left_out:
        items[:] = kept
        config.hook.pytest_deselected(items=left_out)
    return counts


def left_out_line(counts: Counter[str]) -> str:
    """What the run says at its end."""
    parts = [f"{n_tests} tests need {name}" for name, n_tests in sorted(counts.items())]
    remedies = []
    if set(counts) - {_BROWSER}:
        remedies.append("set DATA_DIR to a folder that holds NAME/ or NAME.zip")
    if _BROWSER in counts:
        remedies.append("install Chromium (Debian: apt-get install chromium)")
    return f"left out: {', '.join(parts)}; {'; '.join(remedies)}"
