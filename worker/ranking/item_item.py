"""Scores of an item-item model: what a user rated, times a matrix."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse

from worker.ranking.scorers import SAFETY, UNIT_ROUNDOFF_32, Float32s, Float64s, Indices


@dataclass(frozen=True, eq=False)
class ItemItemScorer:
    """Score of item i: the sum over the items j of a user's history of history[j] · matrix[j, i].

    history: (n_users, n_items) CSR float32, the input values of each user
    matrix: (n_items, n_items) float32
    Whoever has no history scores 0 everywhere.
    """

    history: scipy.sparse.csr_matrix
    matrix: Float32s

    @property
    def n_items(self) -> int:
        """Items of the catalogue."""
        return len(self.matrix)

    @cached_property
    def _largest_of_row(self) -> Float64s:
        """(n_items,): the largest weight that an item of a history can have."""
        return np.asarray(np.abs(self.matrix).max(axis=1, initial=0), np.float64)

    def score_block(self, user_index: Indices) -> Float32s:
        """A sparse matrix times a dense one."""
        return np.asarray(self.history[user_index] @ self.matrix, np.float32)

    def error_bound(self, user_index: Indices) -> Float64s:
        """(n + 1) u Σ |history| max|matrix|, n terms in any order: Higham, Accuracy and Stability, 3.1."""
        block = abs(self.history[user_index])
        n_terms = np.diff(block.indptr)
        size = np.asarray(block @ self._largest_of_row, np.float64)
        bound: Float64s = SAFETY * (n_terms + 1) * UNIT_ROUNDOFF_32 * size
        return bound

    def score_pairs(self, user_index: Indices, item_index: Indices) -> Float64s:
        """User by user: the rows of the history, of which the columns that are asked for are added up."""
        scores = np.zeros(len(user_index))
        order = np.argsort(user_index, kind="stable")
        starts = np.flatnonzero(np.diff(user_index[order], prepend=-1))
        for first, stop in zip(starts, [*starts[1:], len(order)], strict=True):
            places = order[first:stop]
            user = int(user_index[places[0]])
            rows = slice(self.history.indptr[user], self.history.indptr[user + 1])
            values = self.history.data[rows].astype(np.float64)
            weights = self.matrix[np.ix_(self.history.indices[rows], item_index[places])]
            scores[places] = values @ weights.astype(np.float64)
        return scores

    def predict_ratings(self, user_index: Indices, item_index: Indices) -> Float64s:
        """Its scores are no ratings."""
        raise NotImplementedError("an item-item model predicts no ratings")
