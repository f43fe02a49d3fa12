"""Bayesian matrix factorisation by Gibbs sampling: the mean of the predictions of posterior samples.

Salakhutdinov, Mnih 2008, Bayesian probabilistic matrix factorization using Markov chain Monte Carlo; the
prior mean a linear function of features as in Macau (Simm et al. 2015), among them the implicit sums of SVD++
(Koren 2008) for users and, the other way round, for items (Rendle, Zhang, Koren 2019, On the difficulty of
evaluating baselines).

Users and items without training ratings are predicted from their prior mean: what their features say, else
the mean of the population.
"""

import hashlib
import io
import json
import logging
import time
import zipfile
from dataclasses import asdict

import numpy as np

from shared.domain.families.bayesian_mf import BayesianMf
from shared.domain.results import EpochRecord
from shared.domain.training import TrainingConfig
from worker.families.bayesian_mf.kernels import predict_pairs
from worker.families.bayesian_mf.posterior_mean import PosteriorMean
from worker.families.bayesian_mf.sampler import Sampler
from worker.families.contract import FitContext, FitData, Fitted, Weights
from worker.ranking.scorers import LinearScorer, Scorer

logger = logging.getLogger(__name__)

_FORMAT = "1"
_CHECKPOINT_SECONDS = 10.0


def fit(
    architecture: BayesianMf, training: TrainingConfig | None, data: FitData, context: FitContext
) -> Fitted:
    """Run the chain. It has no epochs and no use for `training`; its seed is the architecture's.

    The result depends on architecture and data alone, bit for bit on one kind of machine, whether or not the
    chain was stopped and resumed from the checkpoint, which is saved every ten seconds. `on_epoch` gets a
    record a sweep: training and validation squared errors, the latter of the mean so far (during burn-in, of
    the sweep alone), None without validation ratings, which are only looked at. Raises TrialError
    "not_finite_loss" when a sample cannot be drawn.
    """
    chain = _Chain(architecture, data, context)
    chain.run()
    return Fitted(chain.weights(), chain.sampler.n_parameters)


def make_scorer(architecture: BayesianMf, weights: Weights, data: FitData) -> Scorer:
    """Score: the mean predicted rating, one product of vectors and two offsets."""
    user_vectors, item_vectors, user_offsets, item_offsets = (
        weights[name].astype(np.float64)
        for name in ("user_vectors", "item_vectors", "user_offsets", "item_offsets")
    )
    return LinearScorer(user_vectors, item_vectors, user_offsets, item_offsets)


class _Chain:
    def __init__(self, architecture: BayesianMf, data: FitData, context: FitContext) -> None:
        self._architecture, self._data, self._context = architecture, data, context
        self.sampler = Sampler(architecture, data, context.check_stop)
        self._mean = PosteriorMean(data.n_users, data.n_items, architecture.size)
        self._validation_sum = np.zeros(len(data.validation))
        self._n_sweeps = 0

    def run(self) -> None:
        """All sweeps that are left."""
        belongs_to = "" if self._context.checkpoint is None else _digest(self._architecture, self._data)
        self._resume(belongs_to)
        saved_at = time.monotonic()
        while self._n_sweeps < self._architecture.sweeps:
            record = self._sweep()
            self._context.on_epoch(record)
            logger.debug("%s, noise precision %.4f", record, self.sampler.noise_precision)
            if self._context.checkpoint is not None and time.monotonic() - saved_at > _CHECKPOINT_SECONDS:
                self._context.checkpoint.save(self._pack(belongs_to))
                saved_at = time.monotonic()

    def weights(self) -> Weights:
        """Vectors and offsets in rating units, float32."""
        users, items, user_offsets, item_offsets = self._mean.mean()
        scale = np.float32(self.sampler.scale**0.5)
        return {
            "user_vectors": users * scale,
            "item_vectors": items * scale,
            "user_offsets": (self.sampler.mean + self.sampler.scale * user_offsets).astype(np.float32),
            "item_offsets": (self.sampler.scale * item_offsets).astype(np.float32),
        }

    def _sweep(self) -> EpochRecord:
        started = time.perf_counter()
        users, items, train_error = self.sampler.sweep()
        self._n_sweeps += 1
        validation = self._data.validation
        predictions = predict_pairs(validation.user_index, validation.item_index, users, items)
        if self._n_sweeps > self._architecture.burn_in:
            self._mean.add(users, items)
            self._validation_sum += predictions
            predictions = self._validation_sum / self._mean.n_samples
        val_error = val_rmse = None
        if len(validation):
            errors = self.sampler.mean + self.sampler.scale * predictions - validation.rating
            val_error = float((errors**2).mean())
            val_rmse = val_error**0.5
        return EpochRecord(self._n_sweeps, train_error, val_error, val_rmse, time.perf_counter() - started)

    def _pack(self, belongs_to: str) -> bytes:
        """An npz archive without pickles."""
        file = io.BytesIO()
        np.savez(
            file,
            allow_pickle=False,
            belongs_to=np.array(belongs_to),
            n_sweeps=np.array(self._n_sweeps),
            validation_sum=self._validation_sum,
            **{f"chain_{name}": array for name, array in self.sampler.arrays().items()},
            **{f"mean_{name}": array for name, array in self._mean.arrays().items()},
        )
        return file.getvalue()

    def _resume(self, belongs_to: str) -> None:
        """Go on from the checkpoint; with a warning from the start when it is damaged or of another trial."""
        content = None if self._context.checkpoint is None else self._context.checkpoint.load()
        if content is None:
            return
        try:
            with np.load(io.BytesIO(content), allow_pickle=False) as archive:
                arrays = {name: archive[name] for name in archive.files}
            if str(arrays["belongs_to"]) != belongs_to:
                logger.warning("checkpoint ignored: it belongs to another configuration, data set or version")
                return
            n_sweeps, validation_sum = int(arrays["n_sweeps"]), arrays["validation_sum"]
            mean = {name.removeprefix("mean_"): arrays[name] for name in arrays if name.startswith("mean_")}
            self.sampler.restore(
                {name.removeprefix("chain_"): arrays[name] for name in arrays if name.startswith("chain_")}
            )
            self._mean.restore(mean)
        except (zipfile.BadZipFile, EOFError, KeyError, OSError, ValueError) as error:
            logger.warning("checkpoint ignored, sampling starts over: it is damaged (%s)", error)
            return
        self._n_sweeps, self._validation_sum = n_sweeps, validation_sum
        logger.info("checkpoint read: %d sweeps are done", n_sweeps)


def _digest(architecture: BayesianMf, data: FitData) -> str:
    """Identifies what the chain depends on."""
    digest = hashlib.sha256(json.dumps(asdict(architecture), sort_keys=True).encode())
    digest.update(f"{_FORMAT}:{data.n_users}:{data.n_items}".encode())
    for observations in (data.train, data.validation):
        for array in (observations.user_index, observations.item_index, observations.rating):
            digest.update(np.ascontiguousarray(array).data)
    for features in (data.user_features, data.item_features):
        digest.update(b"none" if features is None else repr(features.shape).encode())
        if features is not None:
            digest.update(np.ascontiguousarray(features).data)
    return digest.hexdigest()
