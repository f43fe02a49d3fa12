"""Bayesian matrix factorisation, and myfm on the same features, measured in fresh processes."""

import importlib
import time
from typing import Any

import numpy as np
import scipy.sparse
from pydantic import TypeAdapter

from shared.datasets import split_ratings
from shared.domain.families.bayesian_mf import BayesianMf
from shared.domain.protocol import Protocol
from tests.benchmarks.prepared import open_dataset
from worker.families import bayesian_mf
from worker.families.contract import FitContext, FitData
from worker.metrics.ratings import rmse
from worker.process.memory import peak_memory_bytes, reset_peak_memory
from worker.trial import fit_data

PROTOCOL = Protocol()


def time_sampler(*, prepared: str, settings: dict[str, Any]) -> dict[str, float]:
    """RMSE on validation, which chooses nothing; CPU seconds of the fit and of a sweep; peak memory."""
    architecture = TypeAdapter(BayesianMf).validate_python(settings)
    data = _data(prepared)
    reset_peak_memory()
    clock: list[float] = []
    started = time.process_time()
    context = FitContext(on_epoch=lambda _: clock.append(time.process_time()))
    fitted = bayesian_mf.fit(architecture, None, data, context)
    seconds = time.process_time() - started
    scorer = bayesian_mf.make_scorer(architecture, fitted.weights, data)
    held = data.validation
    predictions = scorer.predict_ratings(held.user_index, held.item_index)
    return {
        "rmse": rmse(held.rating.astype(np.float64), predictions),
        "fit_seconds": seconds,
        "sweep_seconds": float(np.median(np.diff(clock))),
        "memory_peak": peak_memory_bytes(),
    }


def time_myfm(*, prepared: str, size: int, n_sweeps: int) -> dict[str, float]:
    """The same of myfm, whose rows are ids, implicit sums of either side, and the features of both."""
    myfm, gibbs = (importlib.import_module(name) for name in ("myfm", "myfm.gibbs"))
    data = _data(prepared)
    is_rated = data.by_user.copy()
    is_rated.data[:] = 1
    sides = [
        _side_rows(is_rated, data.user_features),
        _side_rows(is_rated.T.tocsr(), data.item_features),
    ]

    def blocks(indices: tuple[Any, Any]) -> list[Any]:
        """A row of a side, with all its columns, is given once and named by the ratings."""
        return [
            myfm.RelationBlock(index.astype(np.int64), rows.astype(np.float64))
            for index, (rows, _) in zip(indices, sides, strict=True)
        ]

    clock: list[float] = []

    def on_sweep(*_: object) -> tuple[bool, None]:
        clock.append(time.process_time())
        return False, None

    model = gibbs.MyFMGibbsRegressor(rank=size)
    started = time.process_time()
    model.fit(
        None,
        data.train.rating,
        X_rel=blocks((data.train.user_index, data.train.item_index)),
        n_iter=n_sweeps,
        n_kept_samples=n_sweeps - BayesianMf().burn_in,
        group_shapes=[n for _, shapes in sides for n in shapes],
        callback=on_sweep,
    )
    seconds = time.process_time() - started
    held = data.validation
    predictions = model.predict(None, X_rel=blocks((held.user_index, held.item_index)))
    return {
        "rmse": rmse(held.rating.astype(np.float64), predictions),
        "fit_seconds": seconds,
        "sweep_seconds": float(np.median(np.diff(clock))),
    }


def _data(prepared: str) -> FitData:
    dataset = open_dataset(prepared)
    return fit_data(dataset, split_ratings(dataset, PROTOCOL), PROTOCOL)


def _side_rows(is_rated: scipy.sparse.csr_matrix, features: Any) -> tuple[scipy.sparse.csr_matrix, list[int]]:
    """One row a user (an item): who it is, what was rated over the root of their number, its features."""
    n_rows = is_rated.shape[0]
    norms = np.sqrt(np.maximum(np.diff(is_rated.indptr), 1))
    parts = [scipy.sparse.identity(n_rows), scipy.sparse.diags(1 / norms) @ is_rated]
    if features is not None:
        parts.append(scipy.sparse.csr_matrix(features))
    return scipy.sparse.hstack(parts).tocsr(), [part.shape[1] for part in parts]
