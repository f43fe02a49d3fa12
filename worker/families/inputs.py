"""What a rating is worth as the input of a model of lists."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.sparse

from shared.domain.families.ease import Input
from worker.families.contract import FitData
from worker.ranking.scorers import Float32s


@dataclass(frozen=True)
class InputRule:
    """From ratings to values.

    `largest`: the rating that is worth 1 as "stars".
    `threshold`: from this rating up one counts "from_threshold".
    """

    kind: Input
    largest: float
    threshold: float

    @classmethod
    def of(cls, kind: Input, data: FitData) -> "InputRule":
        """The rule of a data set. Where no rating is above 0, the largest size is worth 1."""
        smallest, largest = data.rating_range
        return cls(kind, largest if largest > 0 else max(abs(smallest), 1.0), data.relevance_threshold)

    def is_kept(self, ratings: Float32s) -> npt.NDArray[np.bool_]:
        """Whether each rating is an observation at all."""
        if self.kind == "from_threshold":
            return np.asarray(ratings >= self.threshold)
        return np.ones(len(ratings), np.bool_)

    def values(self, ratings: Float32s) -> Float32s:
        """The values of ratings that are kept."""
        if self.kind == "stars":
            return (ratings / np.float32(self.largest)).astype(np.float32, copy=False)
        return np.ones(len(ratings), np.float32)

    def matrix(self, by_user: scipy.sparse.csr_matrix) -> scipy.sparse.csr_matrix:
        """The ratings that are kept, with their values (0 too), in the order of `by_user`."""
        if self.kind != "from_threshold":
            return scipy.sparse.csr_matrix(
                (self.values(by_user.data), by_user.indices, by_user.indptr), by_user.shape
            )
        kept = self.is_kept(by_user.data)
        ends = np.concatenate(([0], np.cumsum(kept)))[by_user.indptr].astype(by_user.indptr.dtype)
        return scipy.sparse.csr_matrix(
            (self.values(by_user.data[kept]), by_user.indices[kept], ends), by_user.shape
        )
