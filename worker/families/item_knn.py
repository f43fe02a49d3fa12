"""Item k-nearest neighbours: Deshpande, Karypis 2004, Item-based top-N recommendation algorithms."""

from typing import Literal

import numpy as np
import numpy.typing as npt
import scipy.sparse

from shared.domain.families.item_knn import ItemKnn
from worker.families.contract import FitContext, FitData, Fitted, Weights
from worker.families.gram import co_occurrences
from worker.families.inputs import InputRule
from worker.ranking.item_item import ItemItemScorer, SparseItems
from worker.ranking.scorers import Float32s, Float64s

# Numbers of a block of similarities: 8 MB.
_BLOCK_NUMBERS = 2**20


def fit(architecture: ItemKnn, training: None, data: FitData, context: FitContext) -> Fitted:
    """For every item its `neighbours` most similar ones, the lower item_index first where they are alike.

    Similarities of 0 are left out. An item without input has no neighbours and is nobody's: it scores 0.
    Memory: n_items · neighbours weights and some blocks, never items squared.
    """
    inputs = InputRule.of(architecture.input, data).matrix(data.by_user)
    if architecture.similarity != "cosine":
        inputs.data = (inputs.data != 0).astype(np.float32)
    values = inputs.data.astype(np.float64)
    sizes = np.bincount(inputs.indices, weights=values**2, minlength=data.n_items).astype(np.float64)
    counts: list[npt.NDArray[np.integer]] = []
    neighbours: list[npt.NDArray[np.int32]] = []
    similarities: list[Float32s] = []
    for first, stop, products in co_occurrences(inputs, max(1, _BLOCK_NUMBERS // data.n_items)):
        context.check_stop()
        similarity = _similarity(
            architecture.similarity, products, sizes[first:stop, None], sizes, architecture.shrinkage
        )
        similarity[np.arange(stop - first), np.arange(first, stop)] = 0
        row, item = np.nonzero(_are_nearest(similarity, architecture.neighbours))
        counts.append(np.bincount(row, minlength=stop - first))
        neighbours.append(item.astype(np.int32))
        similarities.append(similarity[row, item].astype(np.float32))
    arrays: dict[str, npt.NDArray[np.generic]] = {
        "counts": np.concatenate(counts).astype(np.int64),
        "neighbours": np.concatenate(neighbours),
        "similarities": np.concatenate(similarities),
    }
    return Fitted(arrays, n_parameters=len(arrays["similarities"]))


def make_scorer(architecture: ItemKnn, weights: Weights, data: FitData) -> ItemItemScorer:
    """Scores are the sums of input times similarity over the item's neighbours that the user rated."""
    shape = (data.n_items, data.n_items)
    starts = np.concatenate(([0], np.cumsum(weights["counts"])))
    by_item = scipy.sparse.csc_matrix(
        (weights["similarities"], weights["neighbours"], starts), shape, dtype=np.float32
    )
    rule, items = InputRule.of(architecture.input, data), np.arange(data.n_items, dtype=np.int32)
    return ItemItemScorer.of(rule, data.by_user, items, SparseItems(by_item.tocsr()))


def _similarity(
    kind: Literal["cosine", "jaccard", "conditional"],
    products: Float64s,
    sizes: Float64s,
    other_sizes: Float64s,
    shrinkage: float,
) -> Float64s:
    """Of items (rows) to others (columns); with x the input of an item, over users, and 0 / 0 = 0:

    cosine: x·y / (|x| |y| + shrinkage)      jaccard: |x ∩ y| / (those in x or y + shrinkage)
    conditional: |x ∩ y| / (|y| + shrinkage), the share of those who rated the other that also rated the item

    products: x·y      sizes, other_sizes: x·x and y·y, which are counts for the last two
    """
    if kind == "cosine":
        denominator = np.sqrt(sizes) * np.sqrt(other_sizes)
    elif kind == "jaccard":
        denominator = sizes + other_sizes - products
    else:
        denominator = np.broadcast_to(other_sizes, products.shape).copy()
    denominator += shrinkage
    return np.asarray(np.divide(products, denominator, out=np.zeros_like(products), where=denominator > 0))


def _are_nearest(similarity: Float64s, n_nearest: int) -> npt.NDArray[np.bool_]:
    """The `n_nearest` largest of each row that are not 0, the first ones among equals."""
    n_columns = similarity.shape[1]
    if n_nearest >= n_columns:
        return np.asarray(similarity != 0)
    smallest = np.partition(similarity, n_columns - n_nearest, axis=1)[:, n_columns - n_nearest, None]
    nearer, as_near = similarity > smallest, similarity == smallest
    n_left = n_nearest - nearer.sum(axis=1, keepdims=True)
    nearest = nearer | (as_near & (np.cumsum(as_near, axis=1) <= n_left))
    return np.asarray(nearest & (similarity != 0))
