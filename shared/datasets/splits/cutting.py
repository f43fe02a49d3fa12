"""Cut an order of ratings into training, validation and test."""

from decimal import ROUND_FLOOR, Decimal
from typing import Any

import numpy as np
import numpy.typing as npt

from shared.datasets.splits.split import Split
from shared.domain.protocol import Protocol
from shared.errors import DatasetError


def cut(keys: npt.NDArray[Any], protocol: Protocol) -> Split:
    """The rows with the smallest keys for training, then validation, then test, by the protocol's fractions.

    Of equal keys the first rows are the smallest. keys: (n_ratings,), numbers; they are not sorted, which
    would take ten times as long.

    floor(n (1 - validation - test)) rows are for training, floor(n test) for the test. Raises DatasetError
    when a part that is asked for would be empty.
    """
    n_ratings = len(keys)
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
    is_train, is_no_test = _are_smallest(keys, n_train), _are_smallest(keys, n_train + n_validation)
    return Split(*(np.flatnonzero(part) for part in (is_train, is_no_test & ~is_train, ~is_no_test)))


def _are_smallest(keys: npt.NDArray[Any], n: int) -> npt.NDArray[np.bool_]:
    """(n_ratings,): whether each is one of the n smallest, the first ones among equals."""
    largest = np.partition(keys, n - 1)[n - 1]
    are_smallest = keys < largest
    equal = np.flatnonzero(keys == largest)
    are_smallest[equal[: n - np.count_nonzero(are_smallest)]] = True
    return np.asarray(are_smallest)


def _floor(number: Decimal) -> int:
    return int(number.to_integral_value(ROUND_FLOOR))
