"""Training and validation ratings, and the size of the item table that belongs to a protocol."""

from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal

import numpy as np
import numpy.typing as npt

from shared.datasets.dataset import Dataset
from shared.datasets.ids import is_integer_id
from shared.domain.protocol import Protocol
from shared.errors import DatasetError


@dataclass(frozen=True, eq=False)
class Split:
    """Rows of the data set's rating arrays, each in exactly one of the two, ascending.

    train: (n_train,) int64      validation: (n_validation,) int64
    """

    train: npt.NDArray[np.int64]
    validation: npt.NDArray[np.int64]


def split_ratings(n_ratings: int, protocol: Protocol) -> Split:
    """Random split by `protocol.split_seed`: floor(n_ratings * (1 - validation_fraction)) for training.

    The permutation orders the raw output of PCG64, which NumPy keeps stable across versions; that of
    `Generator.permutation` may change. Raises DatasetError when a side would be empty.
    """
    # Decimal: 10 * (1 - 0.9) is 0.9999999999999998 in binary floating point, and its floor 0.
    train_fraction = 1 - Decimal(repr(protocol.validation_fraction))
    n_train = int((n_ratings * train_fraction).to_integral_value(ROUND_FLOOR))
    if not 0 < n_train < n_ratings:
        raise DatasetError(
            f"training and validation need at least one rating each; {n_ratings} ratings with "
            f"validation_fraction {protocol.validation_fraction} give {n_train} for training. "
            "Supply more ratings or change the fraction."
        )
    random_order = np.argsort(np.random.PCG64(protocol.split_seed).random_raw(n_ratings), kind="stable")
    return Split(train=np.sort(random_order[:n_train]), validation=np.sort(random_order[n_train:]))


def n_item_rows(dataset: Dataset, protocol: Protocol) -> int:
    """Rows of the item embedding; always enough for every `item_index`.

    "catalogue": the number of items. "max_id": the largest item id, raises DatasetError unless all ids are
    integers from 1.
    """
    if protocol.embedding_rows == "catalogue":
        return dataset.n_items
    for item_id in dataset.item_ids.tolist():
        if not is_integer_id(item_id) or int(item_id) < 1:
            raise DatasetError(
                'embedding_rows = "max_id" needs item ids that are integers from 1; data set '
                f'{dataset.name} has {item_id!r}. Use embedding_rows = "catalogue".'
            )
    return int(dataset.item_ids[-1])
