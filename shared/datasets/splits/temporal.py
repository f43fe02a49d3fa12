"""`split = "temporal"`: learn from the past, be judged by what came later."""

from shared.datasets.dataset import Dataset
from shared.datasets.splits.cutting import cut
from shared.datasets.splits.split import Split
from shared.domain.protocol import Protocol
from shared.errors import DatasetError


def temporal_split(dataset: Dataset, protocol: Protocol) -> Split:
    """The latest ratings are for the test, those before for validation; equal times as the source has them.

    So nothing in training is later than the first that is held out. Raises DatasetError without times.
    """
    times = dataset.timestamps
    if len(times) and times.min() == times.max():
        raise DatasetError(
            f'split = "temporal" needs the times of ratings; those of data set {dataset.name} are all '
            f'{times[0]}. Supply times or take split = "random".'
        )
    return cut(times, protocol)
