"""Autoencoders of users: the items a user rated go through a code, and come out as scores of all items."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import scipy.sparse
import tensorflow as tf

from shared.domain.families.autoencoder import Autoencoder
from shared.domain.training import TrainingConfig
from worker.engine.fitting import Judgement, fit_in_epochs, fitted_of, judge_scorer
from worker.engine.losses import softmax_loss, squared_error_with_zeros
from worker.engine.optimizers import Optimizer
from worker.engine.row_batches import fitting_batch_size, rated_rows
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
from worker.families.beside_ease import BesideEase, add_ease, with_ease
from worker.families.contract import FitContext, FitData, Fitted, Weights
from worker.families.inputs import InputRule
from worker.ranking.scorers import Float32s, Float64s, Indices, LinearScorer, Scorer

_CACHE_SIZE = 4


def fit(architecture: Autoencoder, training: TrainingConfig, data: FitData, context: FitContext) -> Fitted:
    """Minimise the loss, summed over users, + l2 Σ kernels²."""
    rated = data.by_user
    inputs = normalised(InputRule.of(architecture.input, data), rated).data
    target_rule = InputRule.of(architecture.target, data)
    targets = _values(target_rule, rated.data)
    counts = target_rule.is_kept(rated.data).astype(np.float32)

    def channels_of(epoch: int) -> tuple[Float32s, ...]:
        kept = drop(inputs, architecture.dropout, training.random_seed, epoch)
        return (kept, targets) if architecture.loss == "softmax" else (kept, targets, counts)

    beside = BesideEase.fit(architecture.ease_weight, architecture.ease_l2, data, context)

    def judge(weights: NamedArrays) -> Judgement:
        scorer = add_ease(_code_scorer(architecture, weights, data), beside)
        return judge_scorer(scorer, data.validation, context)

    initial = initial_parameters(architecture, data.n_items, training.random_seed)
    n_rows = max(1, len(rated_rows(rated)))
    n_steps = -(-n_rows // fitting_batch_size(training.batch_size, rated))
    trainer = RowTrainer(
        rated,
        channels_of,
        lambda optimizer, batch_size: _compile(architecture, optimizer, batch_size, data.n_items),
        initial,
        training=training,
        check_stop=context.check_stop,
        judge=judge,
        fixed={
            "l2": np.array(architecture.l2 / n_rows, np.float32),
            "kl_steps": np.array(n_steps * architecture.kl_epochs, np.float32),
        },
    )
    progress = fit_in_epochs(trainer, training, context, lambda: belongs_to(architecture, training, data))
    return with_ease(fitted_of(progress, sum(array.size for array in initial.values())), beside)


def make_scorer(architecture: Autoencoder, weights: Weights, data: FitData) -> Scorer:
    """Score: the output of the item for the code of the user, and ease_weight times EASE's score."""
    beside = BesideEase.read(architecture.ease_weight, architecture.ease_l2, weights, data)
    return add_ease(_code_scorer(architecture, weights, data), beside)


def _code_scorer(architecture: Autoencoder, weights: NamedArrays, data: FitData) -> "CodeScorer":
    rule = InputRule.of(architecture.input, data)
    return CodeScorer(
        user_vectors=encode_rows(architecture, weights, normalised(rule, data.by_user)),
        item_vectors=np.ascontiguousarray(weights["output_kernel"].T.astype(np.float64)),
        user_offsets=np.zeros(data.n_users),
        item_offsets=weights["output_bias"].astype(np.float64),
        predicts_ratings=False,
        architecture=architecture,
        weights=weights,
        rule=rule,
    )


def normalised(rule: InputRule, by_user: scipy.sparse.csr_matrix) -> scipy.sparse.csr_matrix:
    """The inputs of users, each row of length 1 or, without any, 0; ratings that do not count are 0."""
    values = _values(rule, by_user.data)
    lengths = np.sqrt(_row_sums(by_user, values.astype(np.float64) ** 2))
    shares = values / np.repeat(np.where(lengths > 0, lengths, 1), np.diff(by_user.indptr))
    arrays = (shares.astype(np.float32), by_user.indices, by_user.indptr)
    return scipy.sparse.csr_matrix(arrays, by_user.shape)


@dataclass(frozen=True, eq=False, kw_only=True)
class CodeScorer(LinearScorer):
    """Products of codes and outputs; a history has a code like any user."""

    architecture: Autoencoder
    weights: Weights
    rule: InputRule

    def score_history(self, item_index: Indices, ratings: Float32s) -> Float64s:
        """For the training ratings of a user: that user's scores."""
        order = np.argsort(item_index, kind="stable")
        row = scipy.sparse.csr_matrix(
            (ratings[order].astype(np.float32), item_index[order], np.array([0, len(order)])),
            (1, self.n_items),
        )
        code = encode_rows(self.architecture, self.weights, normalised(self.rule, row))[0]
        return np.asarray(np.einsum("ij,j->i", self.item_vectors, code) + self.item_offsets)


def _values(rule: InputRule, ratings: Float32s) -> Float32s:
    """What each rating is worth, 0 where it does not count; never negative, whatever the scale."""
    values = np.where(rule.is_kept(ratings), rule.values(ratings), 0)
    return np.maximum(values, 0).astype(np.float32)


def _row_sums(matrix: scipy.sparse.csr_matrix, values: Float64s) -> Float64s:
    """(n_rows,): the sums of a value an entry, added one after the other."""
    n_rows = matrix.shape[0]
    row = np.repeat(np.arange(n_rows), np.diff(matrix.indptr))
    return np.bincount(row, weights=values, minlength=n_rows).astype(np.float64, copy=False)


@lru_cache(maxsize=_CACHE_SIZE)
def _compile(architecture: Autoencoder, optimizer: Optimizer, batch_size: int, n_items: int) -> RowEpoch:
    def loss(parameters: Tensors, batch: RowBatch) -> tf.Tensor:
        code, log_variance = encode_batch(architecture, parameters, batch.channels[0])
        row_losses = tf.zeros(batch_size)
        if log_variance is not None:
            # How far the distribution of the code is from the standard normal one (Kingma, Welling 2014,
            # appendix B).
            divergence = tf.exp(log_variance) + tf.square(code) - 1 - log_variance
            share = tf.cast(batch.step, tf.float32) / tf.maximum(batch.fixed["kl_steps"], 1.0)
            row_losses += architecture.kl_weight * tf.minimum(1.0, share) * 0.5 * tf.reduce_sum(divergence, 1)
            noise = tf.random.stateless_normal(tf.shape(code), tf.stack([batch.seed, batch.step]))
            code += noise * tf.exp(log_variance / 2)
        outputs = tf.matmul(code, parameters["output_kernel"]) + parameters["output_bias"]
        if architecture.loss == "softmax":
            row_losses += softmax_loss(outputs, batch.channels[1])
        else:
            _, target, is_rated = batch.channels
            row_losses += squared_error_with_zeros(outputs, target, is_rated, architecture.zero_weight)
        return batch.mean(row_losses) + batch.fixed["l2"] * squared_kernels(parameters)

    return compile_row_epoch(loss, optimizer, batch_size, n_items, f"{architecture}")
