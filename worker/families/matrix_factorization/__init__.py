"""Matrix factorisation, trained in TensorFlow.

Losses: squared error of ratings with biases, Koren, Bell, Volinsky 2009; of all pairs, with weak zeros, Hu,
Koren, Volinsky 2008; softmax over all items, Liang et al. 2018, eq. 2; BPR, Rendle et al. 2009; cross-entropy
of all pairs, He et al. 2017, Neural collaborative filtering, eq. 7, with a weight instead of a sample.

A user without training ratings has the zero vector and no bias: with biases the score of an item is its bias,
or the predicted rating the mean rating plus it; without, all scores are equal. An item without training
ratings is predicted the mean rating plus the user's bias; a loss that knows the unrated pairs has seen nobody
rate it, and puts it last or near it. A user's vector is learned in training: a history is not scored.
"""

from shared.domain.families.matrix_factorization import MatrixFactorization
from shared.domain.training import TrainingConfig
from worker.families.beside_ease import BesideEase, add_ease
from worker.families.contract import FitContext, FitData, Fitted, Weights
from worker.families.matrix_factorization.scorer import factor_scorer
from worker.process.quiet import quiet_tensorflow
from worker.ranking.scorers import Scorer


def fit(
    architecture: MatrixFactorization, training: TrainingConfig | None, data: FitData, context: FitContext
) -> Fitted:
    """Train in epochs; the model is that of the best one, by the sweep's objective where there is one.

    Deterministic by `training.random_seed`, whether or not it was stopped and resumed.
    """
    quiet_tensorflow()
    # They import it.
    from worker.families.matrix_factorization.training import train  # noqa: PLC0415

    if training is None:
        raise ValueError("matrix factorisation is trained in epochs: it needs training settings")
    return train(architecture, training, data, context)


def make_scorer(architecture: MatrixFactorization, weights: Weights, data: FitData) -> Scorer:
    """Score: user vector · item vector, plus mean and biases, and EASE's, where there are any."""
    beside = BesideEase.read(architecture.ease_weight, architecture.ease_l2, weights, data)
    return add_ease(factor_scorer(weights, predicts_ratings=architecture.predicts_ratings), beside)
