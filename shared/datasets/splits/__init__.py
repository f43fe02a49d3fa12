"""Which ratings are learned from and which judge: pure functions of a data set and a protocol."""

from collections.abc import Callable, Mapping

from shared.datasets.dataset import Dataset
from shared.datasets.splits.embedding_rows import n_item_rows
from shared.datasets.splits.leave_last_out import leave_last_out_split
from shared.datasets.splits.random import random_split
from shared.datasets.splits.refit import refit_split
from shared.datasets.splits.split import Split
from shared.datasets.splits.temporal import temporal_split
from shared.domain.protocol import Protocol

SPLITS: Mapping[str, Callable[[Dataset, Protocol], Split]] = {
    "random": lambda dataset, protocol: random_split(dataset.n_ratings, protocol),
    "temporal": temporal_split,
    "leave_last_out": leave_last_out_split,
}


def split_ratings(dataset: Dataset, protocol: Protocol) -> Split:
    """The split of `protocol.split`; raises DatasetError where the data set does not allow it."""
    return SPLITS[protocol.split](dataset, protocol)


__all__ = ["SPLITS", "Split", "n_item_rows", "random_split", "refit_split", "split_ratings"]
