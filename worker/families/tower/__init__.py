"""Two embeddings, a merge and dense layers: the architectures of 2020, trained in TensorFlow."""

import tempfile
import zipfile
from pathlib import Path

from shared.domain.families.tower import Tower
from shared.domain.training import TrainingConfig
from shared.errors import TrialError
from worker.families.contract import FitContext, FitData, Fitted, Weights
from worker.families.pair_targets import pair_targets
from worker.process.quiet import quiet_tensorflow
from worker.ranking.scorers import Scorer

FILE_SUFFIX = ".keras"


def fit(architecture: Tower, training: TrainingConfig | None, data: FitData, context: FitContext) -> Fitted:
    """Train with early stopping; the model is that of the best epoch.

    The best is that of the sweep's objective where it judges lists, else of the validation loss. Users and
    items without training ratings keep their initial rows, except that `l2` and unrated items that are drawn
    move the items'.
    """
    quiet_tensorflow()
    # They import it.
    from worker.families.tower.training import TrainingData, fit_tower  # noqa: PLC0415

    if training is None:
        raise ValueError("a tower is trained in epochs: it needs training settings")
    trained = fit_tower(
        architecture,
        training,
        TrainingData(
            data.n_users,
            data.n_item_rows or data.n_items,
            pair_targets(architecture, data.train, data),
            pair_targets(architecture, data.validation, data),
            n_items=data.n_items,
        ),
        context,
        lambda weights: make_scorer(architecture, weights, data),
    )
    with tempfile.TemporaryDirectory(prefix="recsweep-") as temporary:
        path = Path(temporary) / f"model{FILE_SUFFIX}"
        trained.model.save(path)
        file = path.read_bytes()
    weights = trained.model.weights()
    return Fitted(
        weights.named(),
        trained.model.n_parameters,
        epochs=trained.epochs,
        best_epoch=trained.best_epoch,
        val_loss=trained.val_loss,
        val_rmse=trained.val_rmse,
        file=file,
        summary=trained.model.summary(),
    )


def make_scorer(architecture: Tower, weights: Weights, data: FitData) -> Scorer:
    """Linear where the head is, else compiled."""
    quiet_tensorflow()
    from worker.families.tower.scorer import weights_scorer  # noqa: PLC0415
    from worker.families.tower.weights import from_named  # noqa: PLC0415

    return weights_scorer(architecture, from_named(weights), data.n_items)


def read_model(content: bytes) -> Weights:
    """The weights in a file of Keras, which is read in safe mode; raises TrialError for anything else."""
    quiet_tensorflow()
    from worker.families.tower.model import load_model, weights_of  # noqa: PLC0415

    with tempfile.TemporaryDirectory(prefix="recsweep-") as temporary:
        path = Path(temporary) / f"model{FILE_SUFFIX}"
        path.write_bytes(content)
        try:
            return weights_of(load_model(path)).named()
        except (ValueError, KeyError, TypeError, AttributeError, OSError, zipfile.BadZipFile) as error:
            reason = str(error).replace(str(path), "the file").partition("\n")[0]
            raise TrialError(
                "artifact",
                f"a model file must be a tower as Keras saves it, without code; it is not: {reason}",
            ) from error
