"""SVD++, trained in TensorFlow: biased matrix factorisation with the items that a user rated in the model.

Koren 2008, Factorization meets the neighborhood, eq. 15. While a rating is learned from, its own item is left
out of the user's sum: the sum is to say what the others say of it, as it will of an item not rated yet.

A user without training ratings is predicted the mean rating plus the item's bias, an item without them the
mean plus the user's bias. Half of a user's vector is learned in training, so that a history alone is not
scored.
"""

from shared.domain.families.svd_plus_plus import SvdPlusPlus
from shared.domain.training import TrainingConfig
from worker.families.contract import FitContext, FitData, Fitted, Weights
from worker.families.matrix_factorization.scorer import factor_scorer
from worker.process.quiet import quiet_tensorflow
from worker.ranking.scorers import Scorer


def fit(
    architecture: SvdPlusPlus, training: TrainingConfig | None, data: FitData, context: FitContext
) -> Fitted:
    """Train in epochs; the model is that of the best one, by the sweep's objective where there is one.

    Deterministic by `training.random_seed`, whether or not it was stopped and resumed. The user vectors of
    the weights have the sums in them: a model is scored as any factors are.
    """
    quiet_tensorflow()
    # They import it.
    from worker.families.svd_plus_plus.training import train  # noqa: PLC0415

    if training is None:
        raise ValueError("SVD++ is trained in epochs: it needs training settings")
    return train(architecture, training, data, context)


def make_scorer(architecture: SvdPlusPlus, weights: Weights, data: FitData) -> Scorer:
    """Score: the predicted rating."""
    return factor_scorer(weights, predicts_ratings=True)
