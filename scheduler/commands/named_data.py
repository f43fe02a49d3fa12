"""The data set that a command was asked for."""

from shared.console import console
from shared.datasets import Dataset, download_progress, resolve_dataset
from shared.settings import Settings


def read_named_data(name: str | None, settings: Settings) -> Dataset:
    """Read or download it, and say when it is not what the name leads a person to expect."""
    with download_progress(console) as progress:
        resolved = resolve_dataset(name, settings, progress)
    if resolved.notice:
        console.print(resolved.notice, style="yellow")
    return resolved.dataset
