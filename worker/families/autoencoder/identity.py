"""What a training of an autoencoder depends on."""

from dataclasses import asdict

from shared.domain.families.autoencoder import Autoencoder
from shared.domain.training import TrainingConfig
from worker.engine.checkpoint import identify
from worker.families.contract import FitData

_CODE_OF_RESULTS = ("worker/engine", "worker/families", "worker/ranking")


def belongs_to(architecture: Autoencoder, training: TrainingConfig, data: FitData) -> str:
    """64 hex digits: a checkpoint of another training is not resumed."""
    settings = {
        "architecture": asdict(architecture),
        "training": asdict(training),
        "data": [data.n_users, data.n_items, *data.rating_range, data.relevance_threshold],
    }
    parts = (data.train, data.validation)
    arrays = [array for part in parts for array in (part.user_index, part.item_index, part.rating)]
    return identify(_CODE_OF_RESULTS, settings, arrays)
