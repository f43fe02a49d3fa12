"""Prepared data sets in the artifact store: written once by the scheduler, mapped by every worker.

What is known of the users lies beside the ratings, in a file of its own: prepared data sets of version 0.1
have none and stay as they are, and so does a data set's fingerprint.
"""

import zipfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from io import BytesIO
from math import inf
from pathlib import Path

import numpy as np
import numpy.typing as npt

from shared.artifacts import (
    artifact_exists,
    cached_artifact,
    read_artifact,
    write_artifact,
    write_large_artifact,
)
from shared.datasets.dataset import Dataset, read_dataset
from shared.errors import DatasetError


def store_prepared(artifact_root: str, dataset: Dataset) -> None:
    """Put a data set where every worker finds it, once per fingerprint.

    Raises DatasetError when other traits of users are stored for these ratings: trials have learned from
    them, and workers keep copies.
    """
    url = _url(artifact_root, dataset.fingerprint)
    if dataset.user_traits is not None:
        _store_traits(_traits_url(artifact_root, dataset.fingerprint), dataset, dataset.user_traits)
    if not artifact_exists(url):
        write_large_artifact(url, dataset.write)


def has_prepared(artifact_root: str, fingerprint: str) -> bool:
    """Whether `load_prepared` finds a file of this fingerprint."""
    folders = (artifact_root, artifact_root.rpartition("/")[0])
    return any(artifact_exists(_url(folder, fingerprint)) for folder in folders)


def load_prepared(artifact_root: str, fingerprint: str, cache_dir: Path) -> Dataset:
    """The data set of this fingerprint, mapped; raises DatasetError when it is gone or damaged.

    Version 0.1 put it beside the folders of the databases, not into them: it is found there too.
    """
    above = artifact_root.rpartition("/")[0]
    for folder in (artifact_root, above):
        try:
            dataset = read_dataset(cached_artifact(_url(folder, fingerprint), cache_dir))
        except FileNotFoundError:
            continue
        return replace(dataset, user_traits=_load_traits((artifact_root, above), fingerprint, cache_dir))
    url = _url(artifact_root, fingerprint)
    raise DatasetError(f"the prepared data set {url} is gone: `make sweep` prepares it again")


def replace_prepared(artifact_root: str, fingerprint: str, dataset: Dataset, cache_dir: Path) -> None:
    """Put other ratings in place of those of a fingerprint, wherever they lie, and drop the copies here.

    For those who were forgotten: the file keeps the name under which trials look for it.
    """
    for folder in (artifact_root, artifact_root.rpartition("/")[0]):
        if artifact_exists(_url(folder, fingerprint)):
            content = BytesIO()
            dataset.write(content)
            write_artifact(_url(folder, fingerprint), content.getvalue())
        if dataset.user_traits is not None and artifact_exists(_traits_url(folder, fingerprint)):
            write_artifact(_traits_url(folder, fingerprint), _pack_traits(dataset.user_traits))
    remove_copies(fingerprint, cache_dir)


def remove_copies(fingerprint: str, cache_dir: Path, older_than: float = inf) -> None:
    """Remove what this machine keeps of a prepared data set, if it is older than this time (seconds)."""
    for copy in cache_dir.glob(f"{fingerprint}.*"):
        with suppress(FileNotFoundError):
            if copy.stat().st_mtime < older_than:
                copy.unlink()


def _store_traits(url: str, dataset: Dataset, traits: npt.NDArray[np.str_]) -> None:
    if not artifact_exists(url):
        write_artifact(url, _pack_traits(traits))
    elif not np.array_equal(_read_traits(url, read_artifact(url)), traits):
        raise DatasetError(
            f"the ratings of {dataset.name} are stored with other users ({url}), from which trials have "
            "learned; the file of users must stay as it was. Restore it, or run `make clean` to begin anew."
        )


def _pack_traits(traits: npt.NDArray[np.str_]) -> bytes:
    content = BytesIO()
    np.savez_compressed(content, allow_pickle=False, user_traits=traits)
    return content.getvalue()


def _load_traits(folders: Sequence[str], fingerprint: str, cache_dir: Path) -> npt.NDArray[np.str_] | None:
    for folder in folders:
        url = _traits_url(folder, fingerprint)
        try:
            return _read_traits(url, cached_artifact(url, cache_dir).read_bytes())
        except FileNotFoundError:
            continue
    return None


def _read_traits(url: str, content: bytes) -> npt.NDArray[np.str_]:
    try:
        with np.load(BytesIO(content), allow_pickle=False) as archive:
            traits: npt.NDArray[np.str_] = archive["user_traits"]
            return traits
    except (ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise DatasetError(
            f"{url} must be an npz archive of user_traits; it is something else or cut short ({error}). "
            "Remove the file and sweep again to have it written anew."
        ) from error


def _traits_url(folder: str, fingerprint: str) -> str:
    return f"{folder}/datasets/{fingerprint}.users.npz"


def _url(folder: str, fingerprint: str) -> str:
    return f"{folder}/datasets/{fingerprint}.npz"
