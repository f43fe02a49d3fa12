"""The size of the item table that belongs to a protocol."""

from shared.datasets.dataset import Dataset
from shared.datasets.ids import is_integer_id
from shared.domain.protocol import Protocol
from shared.errors import DatasetError


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
