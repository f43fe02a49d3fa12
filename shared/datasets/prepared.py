"""Prepared data sets in the artifact store: written once by the scheduler, read by every worker."""

from io import BytesIO
from pathlib import Path

from shared.artifacts import artifact_exists, cached_artifact, write_artifact
from shared.datasets.dataset import Dataset, read_dataset
from shared.errors import DatasetError


def store_prepared(artifact_root: str, dataset: Dataset) -> None:
    """Put a data set where every worker finds it, once per fingerprint."""
    url = _url(artifact_root, dataset.fingerprint)
    if not artifact_exists(url):
        content = BytesIO()
        dataset.write(content)
        write_artifact(url, content.getvalue())


def load_prepared(artifact_root: str, fingerprint: str, cache_dir: Path) -> Dataset:
    """The data set of this fingerprint; raises DatasetError when it is gone or damaged.

    Version 0.1 put it beside the folders of the databases, not into them: it is found there too.
    """
    above = artifact_root.rpartition("/")[0]
    for folder in (artifact_root, above):
        try:
            return read_dataset(cached_artifact(_url(folder, fingerprint), cache_dir))
        except FileNotFoundError:
            continue
    url = _url(artifact_root, fingerprint)
    raise DatasetError(f"the prepared data set {url} is gone: `make sweep` prepares it again")


def _url(folder: str, fingerprint: str) -> str:
    return f"{folder}/datasets/{fingerprint}.npz"
