"""How far a training has come, and its form as bytes to resume from."""

import io
import logging
import zipfile
from dataclasses import astuple, dataclass, fields

import numpy as np
import numpy.typing as npt

from shared.domain.records import EpochRecord
from worker.engine.state import TrainingState, state_from_arrays, state_to_arrays
from worker.families.tower.weights import Weights

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class TrainingProgress:
    """The state after the last epoch, the weights of the best one, and the record of each.

    The best epoch is the first with the lowest val_loss; before any epoch there is none, and `best` holds the
    initial weights.
    """

    state: TrainingState
    best: Weights
    epochs: tuple[EpochRecord, ...] = ()

    @property
    def best_epoch(self) -> int:
        """Number of the best epoch, counted from 1; 0 before any."""
        if not self.epochs:
            return 0
        return min(self.epochs, key=lambda record: (record.val_loss, record.epoch)).epoch

    def is_over(self, max_epochs: int, patience: int) -> bool:
        """Whether all epochs are done, or the last `patience` of them brought no better val_loss."""
        n_epochs = len(self.epochs)
        return n_epochs >= max_epochs or (n_epochs > 0 and n_epochs - self.best_epoch >= patience)


def pack_progress(progress: TrainingProgress, belongs_to: str) -> bytes:
    """An npz archive without pickles. `belongs_to` identifies configuration, data and code."""
    file = io.BytesIO()
    np.savez(
        file,
        allow_pickle=False,
        belongs_to=np.array(belongs_to),
        epochs=np.array([astuple(record) for record in progress.epochs], np.float64),
        **state_to_arrays(progress.state),
        **{f"best_{number}": array for number, array in enumerate(_flatten(progress.best))},
    )
    return file.getvalue()


def unpack_progress(content: bytes, belongs_to: str, fresh: TrainingProgress) -> TrainingProgress:
    """What `pack_progress` wrote; `fresh`, with a warning, when it is damaged or of another training."""
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        if str(arrays["belongs_to"]) != belongs_to:
            logger.warning("checkpoint ignored: it belongs to another configuration, data set or version")
            return fresh
        return TrainingProgress(
            state=state_from_arrays(arrays, fresh.state),
            best=_unflatten([arrays[f"best_{number}"] for number in range(len(_flatten(fresh.best)))]),
            epochs=tuple(_read_record(row) for row in arrays["epochs"]),
        )
    except (zipfile.BadZipFile, EOFError, KeyError, OSError, ValueError) as error:
        logger.warning("checkpoint ignored, training starts over: it is damaged (%s)", error)
        return fresh


def _flatten(weights: Weights) -> list[npt.NDArray[np.float32]]:
    dense = [array for layer in weights.dense for array in layer]
    return [weights.user_embedding, weights.item_embedding, *dense]


def _unflatten(arrays: list[npt.NDArray[np.float32]]) -> Weights:
    return Weights(arrays[0], arrays[1], tuple(zip(arrays[2::2], arrays[3::2], strict=True)))


def _read_record(row: npt.NDArray[np.float64]) -> EpochRecord:
    values = dict(zip((field.name for field in fields(EpochRecord)), row.tolist(), strict=True))
    return EpochRecord(**{**values, "epoch": int(values["epoch"])})
