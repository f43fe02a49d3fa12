"""AutoRec: the ratings of an item by its users go through a sigmoid code, and come out for every user.

Sedhain et al. 2015, AutoRec: autoencoders meet collaborative filtering, eq. 1 and 2. Unlike there a rating is
what it differs from the prediction of user_item_bias, and those of an item are weighted by one over the root
of their number: what few people say of an item is heard as well as what many say.
"""

from dataclasses import replace
from functools import lru_cache

import numpy as np
import scipy.sparse
import tensorflow as tf

from shared.domain.families.autoencoder import Autoencoder
from shared.domain.families.user_item_bias import UserItemBias
from shared.domain.training import TrainingConfig
from worker.engine.fitting import Judgement, fit_in_epochs, fitted_of, judge_scorer
from worker.engine.losses import squared_error_of_rated
from worker.engine.optimizers import Optimizer
from worker.engine.row_batches import rated_rows
from worker.engine.row_epoch import RowBatch, RowEpoch, Tensors, compile_row_epoch
from worker.engine.row_training import RowTrainer
from worker.families import user_item_bias
from worker.families.autoencoder.encoder import (
    NamedArrays,
    drop,
    encode_batch,
    encode_rows,
    initial_parameters,
    squared_kernels,
)
from worker.families.autoencoder.identity import belongs_to
from worker.families.contract import FitContext, FitData, Fitted, Weights
from worker.ranking.scorers import Float32s, LinearScorer

_CACHE_SIZE = 4
_OUTPUT_START = np.float32(0.1)


def fit(architecture: Autoencoder, training: TrainingConfig, data: FitData, context: FitContext) -> Fitted:
    """Minimise Σ over rated pairs of (r - mean - biases - output)² + l2 Σ kernels²."""
    biases = user_item_bias.fit(UserItemBias(), None, data, context).weights
    residuals = _residuals(data, biases)
    inputs, targets, ones = _weighted(residuals).data, residuals.data, np.ones(residuals.nnz, np.float32)

    def channels_of(epoch: int) -> tuple[Float32s, ...]:
        return drop(inputs, architecture.dropout, training.random_seed, epoch), targets, ones

    def judge(weights: NamedArrays) -> Judgement:
        return judge_scorer(make_scorer(architecture, {**weights, **biases}, data), data.validation, context)

    initial = initial_parameters(architecture, data.n_users, training.random_seed)
    # Outputs start near the mean: what random outputs say of a user, few ratings do not unlearn.
    initial["output_kernel"] *= _OUTPUT_START
    # A user whom nothing is known of is predicted the mean and the item's bias.
    initial["output_kernel"][:, np.bincount(residuals.indices, minlength=data.n_users) == 0] = 0
    trainer = RowTrainer(
        residuals,
        channels_of,
        lambda optimizer, batch_size: _compile(architecture, optimizer, batch_size, data.n_users),
        initial,
        training=training,
        check_stop=context.check_stop,
        judge=judge,
        fixed={"l2": np.array(architecture.l2 / max(1, len(rated_rows(residuals))), np.float32)},
    )
    progress = fit_in_epochs(trainer, training, context, lambda: belongs_to(architecture, training, data))
    fitted = fitted_of(progress, sum(array.size for array in (*initial.values(), *biases.values())))
    return replace(fitted, weights={**fitted.weights, **biases})


def make_scorer(architecture: Autoencoder, weights: Weights, data: FitData) -> LinearScorer:
    """The predicted rating: mean + both biases + the user's output for the code of the item."""
    codes = encode_rows(architecture, weights, _weighted(_residuals(data, weights)))
    return LinearScorer(
        user_vectors=np.ascontiguousarray(weights["output_kernel"].T.astype(np.float64)),
        item_vectors=codes,
        user_offsets=weights["output_bias"].astype(np.float64) + weights["user_bias"] + weights["mean"],
        item_offsets=weights["item_bias"],
    )


def _residuals(data: FitData, biases: Weights) -> scipy.sparse.csr_matrix:
    """(n_items, n_users) float32: what the ratings are above mean and biases."""
    by_item = data.by_user.T.tocsr()
    by_item.sort_indices()
    expected = biases["mean"] + biases["user_bias"][by_item.indices]
    expected += np.repeat(biases["item_bias"], np.diff(by_item.indptr))
    values = (by_item.data - expected).astype(np.float32)
    return scipy.sparse.csr_matrix((values, by_item.indices, by_item.indptr), by_item.shape)


def _weighted(residuals: scipy.sparse.csr_matrix) -> scipy.sparse.csr_matrix:
    """Each row times the root of (the mean number of entries of a row that has any / its own number)."""
    counts = np.diff(residuals.indptr)
    mean = residuals.nnz / max(1, np.count_nonzero(counts))
    weights = np.repeat(np.sqrt(mean / np.maximum(counts, 1)), counts)
    values = (residuals.data * weights).astype(np.float32)
    return scipy.sparse.csr_matrix((values, residuals.indices, residuals.indptr), residuals.shape)


@lru_cache(maxsize=_CACHE_SIZE)
def _compile(architecture: Autoencoder, optimizer: Optimizer, batch_size: int, n_users: int) -> RowEpoch:
    def loss(parameters: Tensors, batch: RowBatch) -> tf.Tensor:
        inputs, values, is_rated = batch.channels
        code, _ = encode_batch(architecture, parameters, inputs)
        outputs = tf.matmul(code, parameters["output_kernel"]) + parameters["output_bias"]
        errors = squared_error_of_rated(outputs, values, is_rated)
        return batch.mean(errors) + batch.fixed["l2"] * squared_kernels(parameters)

    return compile_row_epoch(loss, optimizer, batch_size, n_users, f"{architecture}")
