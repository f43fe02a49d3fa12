"""A data set without some of its users, as if its source had never had them."""

from collections.abc import Collection
from dataclasses import replace

import numpy as np

from shared.datasets.dataset import Dataset
from shared.errors import DatasetError


def without_users(dataset: Dataset, user_ids: Collection[str]) -> Dataset:
    """Neither their ids nor their ratings; the others keep their order, and the catalogue stays whole.

    Users whom the data set does not have change nothing. Raises DatasetError when no rating would be left.
    """
    is_kept = ~np.isin(dataset.user_ids, np.array(sorted(user_ids), dtype=np.str_))
    rows = is_kept[dataset.user_index]
    if not rows.any():
        raise DatasetError(
            f"a data set needs a rating; {dataset.name} has none without those who were forgotten"
        )
    new_index = (np.cumsum(is_kept) - 1).astype(np.int32)
    return replace(
        dataset,
        user_ids=dataset.user_ids[is_kept],
        user_index=new_index[dataset.user_index[rows]],
        item_index=dataset.item_index[rows],
        ratings=dataset.ratings[rows],
        timestamps=dataset.timestamps[rows],
        user_traits=None if dataset.user_traits is None else dataset.user_traits[is_kept],
    )
