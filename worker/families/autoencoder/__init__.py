"""Autoencoders of users, which rank items, and of items, which predict ratings.

Liang et al. 2018, Variational autoencoders for collaborative filtering; Sedhain et al. 2015, AutoRec.
"""

from shared.domain.families.autoencoder import Autoencoder
from shared.domain.training import TrainingConfig
from worker.families.contract import FitContext, FitData, Fitted, Weights
from worker.process.quiet import quiet_tensorflow
from worker.ranking.scorers import Scorer


def fit(
    architecture: Autoencoder, training: TrainingConfig | None, data: FitData, context: FitContext
) -> Fitted:
    """Train in epochs over batches of users or items; the model is that of the best epoch.

    Rows without training ratings teach nothing. A user without them gets the scores of an empty input, the
    same for everybody; an item that nobody rated is learned of as one that nobody rated. AutoRec predicts for
    such an item what the outputs give for an empty input, beside mean and user bias; for such a user the mean
    and the item's bias.
    """
    quiet_tensorflow()
    # They import it.
    from worker.families.autoencoder import items, users  # noqa: PLC0415

    if training is None:
        raise ValueError("an autoencoder is trained in epochs: it needs training settings")
    if architecture.kind == "autorec":
        return items.fit(architecture, training, data, context)
    return users.fit(architecture, training, data, context)


def make_scorer(architecture: Autoencoder, weights: Weights, data: FitData) -> Scorer:
    """Products of codes and outputs, exact in float64."""
    quiet_tensorflow()
    from worker.families.autoencoder import items, users  # noqa: PLC0415

    if architecture.kind == "autorec":
        return items.make_scorer(architecture, weights, data)
    return users.make_scorer(architecture, weights, data)
