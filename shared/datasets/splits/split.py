"""What a split is."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.int64]


def _no_rows() -> Rows:
    return np.zeros(0, np.int64)


@dataclass(frozen=True, eq=False)
class Split:
    """Rows of the data set's rating arrays, each in at most one part, ascending.

    train: (n_train,) int64, learned from      validation: (n_validation,) int64, chooses epochs, settings and
    the winner; empty for a refit      test: (n_test,) int64, reports once and never chooses; empty where the
    protocol has none, and for a refit
    """

    train: Rows
    validation: Rows
    test: Rows = field(default_factory=_no_rows)

    def part(self, name: str) -> Rows:
        """The rows of `validation` or `test`."""
        return {"validation": self.validation, "test": self.test}[name]
