"""Items that a stored model holds similar: by its vectors of items, its item-item matrix or its neighbours.

Only arrays are read, from npz files; the Keras files of towers would need TensorFlow, which the page has not.
"""

import zipfile
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from shared.artifacts import cached_artifact
from shared.errors import RecsweepError
from shared.settings import load_settings
from shared.store.page.lists import MOST_TRIALS

N_SIMILAR = 10
# Whoever looks at a page does not wait for more to be read.
_MOST_BYTES = 300_000_000

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Similar:
    """Rows of the catalogue, the most similar first, with a number each; or why there are none."""

    places: tuple[tuple[int, float], ...] = ()
    measure: str = ""
    problem: str = ""


@lru_cache(maxsize=256)
def similar_items(model_url: str | None, item_index: int) -> Similar:
    """The ten items that the model of this address holds most similar to the one in this row."""
    if model_url is None:
        return Similar(problem="no model is stored")
    if not model_url.endswith(".npz"):
        return Similar(problem="towers keep their vectors in a Keras file, which the page does not read")
    try:
        return _similar_in(_read(model_url), item_index)
    except FileNotFoundError:
        problem = "its model file is gone, or lies elsewhere"
    except _TooLarge as error:
        problem = f"its model has {error.n_bytes / 1e9:.1f} GB, too much to read for a page"
    except (RecsweepError, OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        problem = f"its model file cannot be read: {error}"
    return Similar(problem=problem)


def _similar_in(arrays: dict[str, Array], item_index: int) -> Similar:
    for find in (_by_vectors, _by_matrix, _by_neighbours):
        found = find(arrays, item_index)
        if found is not None:
            return found
    return Similar(problem="its family has no vectors of items")


class _TooLarge(Exception):  # noqa: N818  Told to the reader, never raised further.
    def __init__(self, n_bytes: int) -> None:
        self.n_bytes = n_bytes


# What each way of finding reads. A factorization beside an EASE has vectors, and its matrix is not read.
_NEEDED = (("item_vectors",), ("items", "item_item"), ("counts", "neighbours", "similarities"))


# As many as one view shows: with fewer kept, each look at it would read all of them.
@lru_cache(maxsize=MOST_TRIALS)
def _read(model_url: str) -> dict[str, Array]:
    path = cached_artifact(model_url, load_settings().cache_dir)
    with zipfile.ZipFile(path) as archive:
        sizes = {one.filename.removesuffix(".npy"): one.file_size for one in archive.infolist()}
    needed = next((names for names in _NEEDED if sizes.keys() >= set(names)), ())
    n_bytes = sum(sizes[name] for name in needed)
    if n_bytes > _MOST_BYTES:
        raise _TooLarge(n_bytes)
    with np.load(path, allow_pickle=False) as archive:
        return {name: archive[name] for name in needed}


def _by_vectors(arrays: dict[str, Array], item_index: int) -> Similar | None:
    vectors = arrays.get("item_vectors")
    if vectors is None or vectors.ndim != 2:
        return None
    if item_index >= len(vectors):
        return Similar(problem="its model does not know the item")
    own = vectors[item_index].astype(np.float64)
    sizes = np.linalg.norm(vectors, axis=1) * np.linalg.norm(own)
    products = vectors @ own
    cosines = np.divide(products, sizes, out=np.zeros(len(vectors)), where=sizes > 0)
    return Similar(_best(cosines, np.arange(len(vectors)), item_index), "cosine of the vectors")


def _by_matrix(arrays: dict[str, Array], item_index: int) -> Similar | None:
    if "item_item" not in arrays or "items" not in arrays:
        return None
    items = arrays["items"]
    row = np.flatnonzero(items == item_index)
    if not len(row):
        return Similar(problem="its model does not know the item: nobody has rated it in training")
    weights = arrays["item_item"][row[0]].astype(np.float64)
    return Similar(_best(weights, items, item_index), "weight for whoever has the item")


def _by_neighbours(arrays: dict[str, Array], item_index: int) -> Similar | None:
    if not {"counts", "neighbours", "similarities"} <= arrays.keys():
        return None
    ends = np.cumsum(arrays["counts"])
    if item_index >= len(ends):
        return Similar(problem="its model does not know the item")
    own = slice(int(ends[item_index] - arrays["counts"][item_index]), int(ends[item_index]))
    values = arrays["similarities"][own].astype(np.float64)
    return Similar(_best(values, arrays["neighbours"][own], item_index), "similarity")


def _best(values: Array, items: Array, own: int) -> tuple[tuple[int, float], ...]:
    """The largest above 0, ties by the row of the catalogue."""
    order = np.lexsort((items, -values))
    order = order[(values[order] > 0) & (items[order] != own)][:N_SIMILAR]
    return tuple((int(items[place]), float(values[place])) for place in order)
