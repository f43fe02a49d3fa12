"""Cut an order of ratings into training, validation and test."""

from decimal import ROUND_FLOOR, Decimal

import numpy as np
import numpy.typing as npt

from shared.datasets.splits.split import Split
from shared.domain.protocol import Protocol
from shared.errors import DatasetError


def cut(order: npt.NDArray[np.intp], protocol: Protocol) -> Split:
    """The first rows for training, then validation, then test, by the fractions of the protocol.

    floor(n (1 - validation - test)) rows are for training, floor(n test) for the test. Raises DatasetError
    when a part that is asked for would be empty.
    """
    n_ratings = len(order)
    # Decimal: 10 * (1 - 0.9) is 0.9999999999999998 in binary floating point, and its floor 0.
    validation, test = (
        Decimal(repr(fraction)) for fraction in (protocol.validation_fraction, protocol.test_fraction)
    )
    n_train = _floor(n_ratings * (1 - validation - test))
    n_test = _floor(n_ratings * test)
    n_validation = n_ratings - n_train - n_test
    if n_train < 1 or n_validation < 1 or (protocol.test_fraction > 0 and n_test < 1):
        raise DatasetError(
            f"each part of a split needs at least one rating; {n_ratings} ratings with validation_fraction "
            f"{protocol.validation_fraction} and test_fraction {protocol.test_fraction} give {n_train} for "
            f"training, {n_validation} for validation, {n_test} for test. Supply more ratings or change them."
        )
    parts = np.split(order.astype(np.int64), [n_train, n_train + n_validation])
    return Split(*(np.sort(part) for part in parts))


def _floor(number: Decimal) -> int:
    return int(number.to_integral_value(ROUND_FLOOR))
