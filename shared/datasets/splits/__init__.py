"""Which ratings are learned from and which judge: pure functions of a data set and a protocol."""

from shared.datasets.splits.random import Split, n_item_rows, split_ratings

__all__ = ["Split", "n_item_rows", "split_ratings"]
