"""The training of matrix factorisation: on ratings, or on batches of users against all items."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import numpy as np
import scipy.sparse

from shared.domain.families.matrix_factorization import MatrixFactorization
from shared.domain.training import TrainingConfig
from worker.engine.checkpoint import TrainingProgress, identify
from worker.engine.factor_training import FactorTrainer
from worker.engine.fitting import EpochTrainer, Judgement, fit_in_epochs, fitted_of, judge_scorer
from worker.engine.row_training import RowTrainer
from worker.families.beside_ease import BesideEase, add_ease, with_ease
from worker.families.contract import FitContext, FitData, Fitted, Weights
from worker.families.inputs import InputRule
from worker.families.matrix_factorization.losses import compile_rating_epoch, compile_user_epoch
from worker.families.matrix_factorization.scorer import factor_scorer
from worker.ranking.scorers import Float32s

# The source that a trained model depends on: a checkpoint of another is not resumed.
_CODE_OF_RESULTS = ("worker/engine", "worker/families/matrix_factorization")
# Of the numbers that vectors start from: small beside what they become.
_START_SCALE = {"squared_error": 0.05}
_OTHER_START_SCALE = 0.1
# Losses for which a bias of the user is more than one number beside all scores.
_KNOW_USER_BIASES = ("squared_error", "squared_error_with_zeros", "bce")

Judge = Callable[[Weights], Judgement]


def train(
    architecture: MatrixFactorization, training: TrainingConfig, data: FitData, context: FitContext
) -> Fitted:
    """Train with early stopping."""
    beside = BesideEase.fit(architecture.ease_weight, architecture.ease_l2, data, context)

    def judge(weights: Weights) -> Judgement:
        scorer = factor_scorer(weights, predicts_ratings=architecture.predicts_ratings)
        return judge_scorer(add_ease(scorer, beside), data.validation, context)

    make: Callable[..., EpochTrainer[Any]]
    make = _rating_trainer if architecture.loss == "squared_error" else _user_trainer
    trainer = make(architecture, training, data, context, judge)
    progress: TrainingProgress[Any] = fit_in_epochs(
        trainer, training, context, lambda: _identify(architecture, training, data)
    )
    learned = [array for name, array in progress.best.items() if name != "mean"]
    return with_ease(fitted_of(progress, sum(array.size for array in learned)), beside)


def _rating_trainer(
    architecture: MatrixFactorization,
    training: TrainingConfig,
    data: FitData,
    context: FitContext,
    judge: Judge,
) -> FactorTrainer:
    """Tables of vectors, each with its bias behind it; ratings less their mean."""
    ratings = data.train
    mean = np.float32(ratings.rating.mean(dtype=np.float64)) if len(ratings) else np.float32(0)
    size = architecture.size

    def name_weights(users: Float32s, items: Float32s) -> Weights:
        weights = {"user_vectors": users[:, :size], "item_vectors": items[:, :size], "mean": np.array(mean)}
        if architecture.biases:
            weights |= {"user_biases": users[:, size], "item_biases": items[:, size]}
        return {name: array.copy() for name, array in weights.items()}

    counts = _count(data.by_user)
    vectors = _start(architecture, training, counts)
    user_l2, item_l2, exponent = architecture.penalties
    users, items = (
        np.pad(vectors[name], ((0, 0), (0, int(architecture.biases))))
        for name in ("user_vectors", "item_vectors")
    )
    return FactorTrainer(
        type(ratings)(ratings.user_index, ratings.item_index, ratings.rating - mean),
        lambda optimizer, batch_size: compile_rating_epoch(architecture, optimizer, batch_size),
        users,
        items,
        (_ridge(user_l2, counts[0], exponent - 1), _ridge(item_l2, counts[1], exponent - 1)),
        training=training,
        check_stop=context.check_stop,
        name_weights=name_weights,
        judge=judge,
    )


def _user_trainer(
    architecture: MatrixFactorization,
    training: TrainingConfig,
    data: FitData,
    context: FitContext,
    judge: Judge,
) -> RowTrainer:
    """Users' vectors as a table of which a step sees its users; the items' are all seen."""
    targets = _targets(architecture, data)
    counts = _count(targets)
    initial = _start(architecture, training, counts)
    tables = ["user_vectors"]
    if architecture.biases:
        initial["item_biases"] = np.zeros(data.n_items, np.float32)
        if architecture.loss in _KNOW_USER_BIASES:
            initial["user_biases"] = np.zeros((data.n_users, 1), np.float32)
            tables.append("user_biases")
    values = targets.data
    # The loss over the items knows of no single rating: the penalty of items is shared by the users.
    n_learning = max(1, int((counts[0] > 0).sum()))
    user_l2, item_l2, exponent = architecture.penalties
    channels = (values,) if architecture.loss == "softmax" else (values, np.ones_like(values))
    return RowTrainer(
        targets,
        lambda _epoch: channels,
        lambda optimizer, batch_size: compile_user_epoch(architecture, optimizer, batch_size, data.n_items),
        initial,
        training=training,
        check_stop=context.check_stop,
        judge=judge,
        tables=tables,
        fixed={
            "user_ridge": _ridge(user_l2, counts[0], exponent),
            "item_ridge": _ridge(item_l2 / n_learning, counts[1], exponent),
        },
    )


def _targets(architecture: MatrixFactorization, data: FitData) -> scipy.sparse.csr_matrix:
    """What each rating is worth; a rating below 0 is worth 0."""
    matrix = InputRule.of(architecture.target, data).matrix(data.by_user)
    values = np.maximum(matrix.data, 0) ** np.float32(architecture.target_exponent)
    return scipy.sparse.csr_matrix((values.astype(np.float32), matrix.indices, matrix.indptr), matrix.shape)


def _count(matrix: scipy.sparse.csr_matrix) -> tuple[Float32s, Float32s]:
    """Entries of each row and of each column."""
    rows, columns = np.diff(matrix.indptr), np.bincount(matrix.indices, minlength=matrix.shape[1])
    return rows.astype(np.float32), columns.astype(np.float32)


def _ridge(l2: float, counts: Float32s, exponent: float) -> Float32s:
    """l2 n^exponent; a row without ratings counts as one with one."""
    return np.asarray(l2 * np.maximum(counts, 1) ** exponent, np.float32)


def _start(
    architecture: MatrixFactorization, training: TrainingConfig, counts: tuple[Float32s, Float32s]
) -> dict[str, Float32s]:
    """Small random vectors, and zero for whoever has no ratings: these are all that they ever learn."""
    rng = np.random.default_rng(training.random_seed)
    scale = _START_SCALE.get(architecture.loss, _OTHER_START_SCALE)
    return {
        name: (rng.normal(scale=scale, size=(len(one), architecture.size)) * (one > 0)[:, np.newaxis]).astype(
            np.float32
        )
        for name, one in zip(("user_vectors", "item_vectors"), counts, strict=True)
    }


def _identify(architecture: MatrixFactorization, training: TrainingConfig, data: FitData) -> str:
    targets = _targets(architecture, data)
    return identify(
        _CODE_OF_RESULTS,
        {
            "architecture": asdict(architecture),
            "penalties": architecture.penalties,
            "training": asdict(training),
        },
        [
            *(targets.data, targets.indices, targets.indptr, data.train.rating),
            *(data.validation.user_index, data.validation.item_index, data.validation.rating),
        ],
    )
