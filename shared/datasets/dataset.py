"""The prepared data set: ids in order, ratings as contiguous indices, and what is known of the items."""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from shared.datasets.mapped_arrays import DamagedArchive, map_arrays, write_arrays
from shared.errors import DatasetError

_ARRAYS = ("user_ids", "item_ids", "user_index", "item_index", "ratings", "timestamps", "titles", "genres")


@dataclass(frozen=True, eq=False)
class Dataset:
    """Ratings with contiguous indices from 0. No array can be written to: workers share their memory.

    Ids are text. They are in ascending order, numbers as numbers when all of them are integers, so that
    `item_index` order is the order in which ties are broken.

    user_ids: (n_users,) str      item_ids: (n_items,) str; items without ratings are included
    user_index, item_index: (n_ratings,) int32      ratings: (n_ratings,) float32
    timestamps: (n_ratings,) int64 seconds; 0 where the source has none
    titles: (n_items,) str, empty where unknown      genres: (n_items,) str joined by "|", empty for none
    user_traits: (n_users,) str joined by "|", such as "age 25|gender F", empty for none; None where the
    source knows no users. They are no part of the fingerprint, nor of the file: version 0.1 knew none.
    is_implicit: nobody rated: `ratings` are 1, or weights, of what users viewed or bought. No part of the
    fingerprint, nor of the file: what is trained on them does not ask.
    """

    name: str
    is_synthetic: bool
    user_ids: npt.NDArray[np.str_]
    item_ids: npt.NDArray[np.str_]
    user_index: npt.NDArray[np.int32]
    item_index: npt.NDArray[np.int32]
    ratings: npt.NDArray[np.float32]
    timestamps: npt.NDArray[np.int64]
    titles: npt.NDArray[np.str_]
    genres: npt.NDArray[np.str_]
    user_traits: npt.NDArray[np.str_] | None = None
    is_implicit: bool = False

    def __post_init__(self) -> None:
        for name in (*_ARRAYS, "user_traits"):
            array = getattr(self, name)
            if array is not None and array.flags.writeable:
                # A view: whoever made the array keeps theirs as it is.
                object.__setattr__(self, name, array.view())
                getattr(self, name).flags.writeable = False

    @property
    def n_users(self) -> int:
        """Users with at least one rating."""
        return len(self.user_ids)

    @property
    def n_items(self) -> int:
        """Items of the catalogue, rated or not."""
        return len(self.item_ids)

    @property
    def n_ratings(self) -> int:
        """Observations, training and validation together."""
        return len(self.ratings)

    @cached_property
    def rating_range(self) -> tuple[float, float]:
        """Smallest and largest rating observed."""
        return float(self.ratings.min()), float(self.ratings.max())

    @cached_property
    def fingerprint(self) -> str:
        """32 hex digits of the SHA-256 over every array but `user_traits`: the same ratings have the same."""
        digest = hashlib.sha256()
        for name in _ARRAYS:
            array = getattr(self, name)
            # NumPy pads text to the longest entry: hash the entries, not the padding.
            is_text = array.dtype.kind == "U"
            digest.update(f"{name}:{len(array)}:".encode())
            digest.update("\0".join(array.tolist()).encode() if is_text else np.ascontiguousarray(array).data)
        return digest.hexdigest()[:32]

    def write(self, file: BinaryIO) -> None:
        """Write as an npz archive that can be mapped; `user_traits` are not in it."""
        arrays = {name: getattr(self, name) for name in _ARRAYS}
        write_arrays(
            file, {"name": np.array(self.name), "is_synthetic": np.array(self.is_synthetic), **arrays}
        )


def read_dataset(path: Path) -> Dataset:
    """What `Dataset.write` wrote, mapped, or what version 0.1 wrote; never unpickles.

    Raises FileNotFoundError, and DatasetError for anything else and for a file that was altered.
    """
    try:
        arrays = map_arrays(path)
        name, is_synthetic = str(arrays["name"]), bool(arrays["is_synthetic"])
        columns: dict[str, Any] = {name: arrays[name] for name in _ARRAYS}
        return Dataset(name=name, is_synthetic=is_synthetic, **columns)
    except (DamagedArchive, KeyError) as error:
        raise DatasetError(
            f"a prepared data set is an npz archive as Dataset.write gives; {path} is something else, was "
            f"altered or cut short ({error}). Remove the file and sweep again to have it written anew."
        ) from error
