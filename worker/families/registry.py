"""The code of each family by its name; a module is imported when its family is first needed."""

import importlib
import io
import typing
import zipfile

import numpy as np

from shared.domain.families import Architecture
from shared.domain.training import TrainingConfig
from shared.errors import TrialError
from worker.families.contract import FitContext, FitData, Fitted, Weights
from worker.ranking.scorers import Scorer

NPZ = ".npz"
_FAMILY = "family"


class Family(typing.Protocol):
    """What a module of this package offers; see worker/families/contract.py."""

    def fit(
        self,
        architecture: typing.Any,  # noqa: ANN401  Its own configuration.
        training: TrainingConfig | None,
        data: FitData,
        context: FitContext,
    ) -> Fitted:
        """Learn from `data.train`."""

    def make_scorer(self, architecture: typing.Any, weights: Weights, data: FitData) -> Scorer:  # noqa: ANN401
        """What ranks and predicts."""


def family_of(architecture: Architecture) -> Family:
    """The code of an architecture's family."""
    return typing.cast(Family, importlib.import_module(f"worker.families.{architecture.family}"))


def file_suffix(family: Family) -> str:
    """How the names of its model files end."""
    return str(getattr(family, "FILE_SUFFIX", NPZ))


def write_model(family: Family, fitted: Fitted, file: typing.BinaryIO) -> None:
    """Write the model as `read_model` reads it; no code is in it, but the name of the family."""
    if fitted.file is not None:
        file.write(fitted.file)
        return
    arrays = {**fitted.weights, _FAMILY: np.array(_name_of(family))}
    np.savez(file, allow_pickle=False, **arrays)


def pack_model(family: Family, fitted: Fitted) -> bytes:
    """What `write_model` writes."""
    content = io.BytesIO()
    write_model(family, fitted, content)
    return content.getvalue()


def read_model(family: Family, content: bytes) -> Weights:
    """The weights in a model file of this family; raises TrialError for anything else."""
    own = getattr(family, "read_model", None)
    if own is not None:
        return typing.cast(Weights, own(content))
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except (ValueError, EOFError, zipfile.BadZipFile, TypeError) as error:
        raise TrialError(
            "artifact", f"a model file must be an npz archive of arrays; it is not: {error}"
        ) from error
    saved_by = str(arrays.pop(_FAMILY, "unknown"))
    if saved_by != _name_of(family):
        raise TrialError(
            "artifact", f"a model file must be of the trial's family {_name_of(family)}; it is of {saved_by}"
        )
    return arrays


def _name_of(family: Family) -> str:
    """The module's own: that is how `family_of` finds it."""
    return str(family.__name__).rpartition(".")[2]  # type: ignore[attr-defined]  # It is a module.
