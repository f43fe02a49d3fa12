"""How far a training has come, and its form as bytes to resume from."""

import hashlib
import io
import json
import logging
import math
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, fields, replace
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from shared.domain.results import EpochRecord
from shared.version import source_fingerprint

logger = logging.getLogger(__name__)

Array = npt.NDArray[Any]
State = TypeVar("State")


@dataclass(frozen=True, eq=False)
class TrainingProgress(Generic[State]):
    """The state after the last epoch, the weights of the best one, and the record of each.

    state: tensors, nested in any way      best: named arrays; before any epoch the initial weights

    Epochs are judged by the first of these that they have: objective, val_loss, val_rmse. The best is the
    first with the best value. Where they have none of the three, it is the last, and patience has no meaning.
    `is_larger_better`: whether more of the objective is better; of the other two less is.
    """

    state: State
    best: Mapping[str, Array]
    epochs: tuple[EpochRecord, ...] = ()
    is_larger_better: bool = True

    @property
    def best_epoch(self) -> int:
        """Number of the best epoch, counted from 1; 0 before any."""
        if not self.epochs:
            return 0
        values = [self._badness(record) for record in self.epochs]
        if None in values:
            return len(values)
        return min(range(len(values)), key=lambda place: (values[place], place)) + 1

    def is_over(self, max_epochs: int, patience: int) -> bool:
        """Whether all epochs are done, or the last `patience` of them were no better than one before."""
        n_epochs = len(self.epochs)
        return n_epochs >= max_epochs or (n_epochs > 0 and n_epochs - self.best_epoch >= patience)

    def _badness(self, record: EpochRecord) -> float | None:
        if record.objective is not None:
            return -record.objective if self.is_larger_better else record.objective
        return record.val_loss if record.val_loss is not None else record.val_rmse


def identify(
    folders: Sequence[str], settings: Mapping[str, object], arrays: Sequence[npt.NDArray[Any] | None]
) -> str:
    """64 hex digits of all that a training depends on: a checkpoint of another one is not resumed.

    `folders` of the source that computes it, such as `worker/engine`; `settings` in any form that JSON has.
    """
    parts = {
        "code": source_fingerprint(*folders),
        "libraries": [tf.__version__, np.__version__],
        "settings": settings,
    }
    digest = hashlib.sha256(json.dumps(parts, sort_keys=True).encode())
    for array in arrays:
        digest.update(b"none" if array is None else f"{array.dtype} {array.shape}".encode())
        if array is not None:
            digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def pack_progress(progress: TrainingProgress[Any], belongs_to: str) -> bytes:
    """An npz archive without pickles. `belongs_to` identifies configuration, data and code."""
    file = io.BytesIO()
    np.savez(
        file,
        allow_pickle=False,
        belongs_to=np.array(belongs_to),
        # What an epoch does not have is NaN here.
        epochs=np.array([astuple(record) for record in progress.epochs], np.float64),
        **_state_arrays(progress.state),
        **{f"best_{name}": array for name, array in progress.best.items()},
    )
    return file.getvalue()


def unpack_progress(
    content: bytes, belongs_to: str, fresh: TrainingProgress[State]
) -> TrainingProgress[State]:
    """What `pack_progress` wrote; `fresh`, with a warning, when it is damaged or of another training."""
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        if str(arrays["belongs_to"]) != belongs_to:
            logger.warning("checkpoint ignored: it belongs to another configuration, data set or version")
            return fresh
        return replace(
            fresh,
            state=_read_state(arrays, fresh.state),
            best={name: arrays[f"best_{name}"] for name in fresh.best},
            epochs=tuple(_read_record(row) for row in arrays["epochs"]),
        )
    except (zipfile.BadZipFile, EOFError, KeyError, OSError, ValueError) as error:
        logger.warning("checkpoint ignored, training starts over: it is damaged (%s)", error)
        return fresh


def _state_arrays(state: object) -> dict[str, Array]:
    """Every tensor under a name of its own."""
    return {f"state_{number}": tensor.numpy() for number, tensor in enumerate(tf.nest.flatten(state))}


def _read_state(arrays: Mapping[str, Array], template: State) -> State:
    """Undo `_state_arrays`; ValueError when an array is missing or not shaped as in `template`."""
    tensors = []
    for number, like in enumerate(tf.nest.flatten(template)):
        array = arrays.get(f"state_{number}")
        if array is None or array.shape != tuple(like.shape) or array.dtype != like.dtype.as_numpy_dtype:
            raise ValueError(f"state_{number} must be {like.dtype.name} of shape {tuple(like.shape)}")
        tensors.append(tf.constant(array))
    state: State = tf.nest.pack_sequence_as(template, tensors)
    return state


def _read_record(row: npt.NDArray[np.float64]) -> EpochRecord:
    values: dict[str, Any] = {
        field.name: None if math.isnan(value) else value
        for field, value in zip(fields(EpochRecord), row.tolist(), strict=True)
    }
    return EpochRecord(**{**values, "epoch": int(values["epoch"])})
