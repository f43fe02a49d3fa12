"""Ratings that a model learns from or is judged by."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, eq=False)
class Observations:
    """Ratings as arrays of one length.

    user_index, item_index: (n_ratings,) int32      rating: (n_ratings,) float32
    """

    user_index: npt.NDArray[np.int32]
    item_index: npt.NDArray[np.int32]
    rating: npt.NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.rating)
