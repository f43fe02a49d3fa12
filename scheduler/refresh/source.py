"""From where a data set is read again."""

from collections.abc import Sequence

from shared.datasets import REGISTRY
from shared.errors import SpecError
from shared.store import DatasetVersion


def source_of(versions: Sequence[DatasetVersion]) -> str:
    """What has to be read: the source that was read last, or the known set of this name."""
    name = versions[0].name
    known = [(one.source_read_at, one.source) for one in versions if one.source and one.source_read_at]
    if known:
        return max(known)[1]
    if name in REGISTRY:
        # Stored by version 0.1, which noted no source and knew no other.
        return name
    raise SpecError(
        f"nobody knows where {name} was read: name its source once more with make sweep DATASET=…"
    )
