"""AutoRec: the ratings of an item by its users go through a sigmoid code, and come out for every user.

Sedhain et al. 2015, AutoRec: autoencoders meet collaborative filtering, eq. 1 and 2.
"""

from functools import lru_cache

import numpy as np
import scipy.sparse
import tensorflow as tf

from shared.domain.families.autoencoder import Autoencoder
from shared.domain.training import TrainingConfig
from worker.engine.fitting import Judgement, fit_in_epochs, fitted_of, judge_scorer
from worker.engine.losses import squared_error_of_rated
from worker.engine.optimizers import Optimizer
from worker.engine.row_batches import rated_rows
from worker.engine.row_epoch import RowBatch, RowEpoch, Tensors, compile_row_epoch
from worker.engine.row_training import RowTrainer
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
    """Minimise Σ over rated pairs of (r - mean - output)² + l2 Σ kernels²."""
    inputs = _inputs(data)
    values, ones = inputs.data, np.ones(inputs.nnz, np.float32)

    def channels_of(epoch: int) -> tuple[Float32s, ...]:
        return drop(values, architecture.dropout, training.random_seed, epoch), values, ones

    def judge(weights: NamedArrays) -> Judgement:
        return judge_scorer(make_scorer(architecture, weights, data), data.validation, context)

    initial = initial_parameters(architecture, data.n_users, training.random_seed)
    # Outputs start near the mean: what random outputs say of a user, few ratings do not unlearn.
    initial["output_kernel"] *= _OUTPUT_START
    # A user whom nothing is known of is predicted the mean.
    initial["output_kernel"][:, np.bincount(inputs.indices, minlength=data.n_users) == 0] = 0
    trainer = RowTrainer(
        inputs,
        channels_of,
        lambda optimizer, batch_size: _compile(architecture, optimizer, batch_size, data.n_users),
        initial,
        training=training,
        check_stop=context.check_stop,
        judge=judge,
        fixed={"l2": np.array(architecture.l2 / max(1, len(rated_rows(inputs))), np.float32)},
    )
    progress = fit_in_epochs(trainer, training, context, lambda: belongs_to(architecture, training, data))
    return fitted_of(progress, sum(array.size for array in initial.values()))


def make_scorer(architecture: Autoencoder, weights: Weights, data: FitData) -> LinearScorer:
    """The predicted rating: mean + the user's output for the code of the item."""
    codes = encode_rows(architecture, weights, _inputs(data))
    return LinearScorer(
        user_vectors=np.ascontiguousarray(weights["output_kernel"].T.astype(np.float64)),
        item_vectors=codes,
        user_offsets=weights["output_bias"].astype(np.float64) + _mean(data),
        item_offsets=np.zeros(data.n_items),
    )


def _mean(data: FitData) -> float:
    """Of the training ratings, as a float32; the middle of the scale where there are none."""
    ratings = data.train.rating if len(data.train) else np.array(data.rating_range)
    return float(np.float32(ratings.mean(dtype=np.float64)))


def _inputs(data: FitData) -> scipy.sparse.csr_matrix:
    """(n_items, n_users) float32: what the ratings are above the mean."""
    by_item = data.by_user.T.tocsr()
    by_item.sort_indices()
    values = by_item.data - np.float32(_mean(data))
    return scipy.sparse.csr_matrix((values, by_item.indices, by_item.indptr), by_item.shape)


@lru_cache(maxsize=_CACHE_SIZE)
def _compile(architecture: Autoencoder, optimizer: Optimizer, batch_size: int, n_users: int) -> RowEpoch:
    def loss(parameters: Tensors, batch: RowBatch) -> tf.Tensor:
        inputs, values, is_rated = batch.channels
        code, _ = encode_batch(architecture, parameters, inputs)
        outputs = tf.matmul(code, parameters["output_kernel"]) + parameters["output_bias"]
        errors = squared_error_of_rated(outputs, values, is_rated)
        return batch.mean(errors) + batch.fixed["l2"] * squared_kernels(parameters)

    return compile_row_epoch(loss, optimizer, batch_size, n_users, f"{architecture}")
