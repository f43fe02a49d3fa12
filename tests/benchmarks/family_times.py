"""Fits of families, measured in fresh processes."""

import importlib
import time
from dataclasses import asdict, astuple, replace
from typing import Any

import numpy as np
from pydantic import TypeAdapter

from shared.datasets import Dataset, Split, split_ratings
from shared.domain.families import FAMILIES, default_training_of
from shared.domain.families.ease import Ease
from shared.domain.families.item_knn import ItemKnn
from shared.domain.families.item_popularity import ItemPopularity
from shared.domain.families.user_item_bias import UserItemBias
from shared.domain.families.weighted_als import WeightedAls
from shared.domain.protocol import Protocol
from tests.benchmarks.prepared import open_dataset
from worker.families.contract import FitContext, FitData, Fitted
from worker.metrics import measure
from worker.observations import Observations
from worker.process.memory import peak_memory_bytes, reset_peak_memory
from worker.ranking.scorers import Scorer
from worker.ranking.top_k import recommend_all
from worker.trial import fit_data

PROTOCOL = Protocol()
CLASSES = (Ease, ItemKnn, ItemPopularity, UserItemBias, WeightedAls)
Architecture = Ease | ItemKnn | ItemPopularity | UserItemBias | WeightedAls
_BY_FAMILY: dict[str, type[Architecture]] = {one.family: one for one in CLASSES}


def time_fit(*, prepared: str, family: str, settings: dict[str, Any]) -> dict[str, float]:
    """Quality on validation, CPU seconds of the first and of the second fit, peak memory."""
    architecture: Architecture = TypeAdapter(_BY_FAMILY[family]).validate_python(settings)
    dataset = open_dataset(prepared)
    split = split_ratings(dataset, PROTOCOL)
    data = fit_data(dataset, split, PROTOCOL)
    reset_peak_memory()
    started = time.process_time()
    fit(architecture, data)
    first = time.process_time() - started
    started = time.process_time()
    fitted = fit(architecture, data)
    second = time.process_time() - started
    scorer = module_of(architecture).make_scorer(architecture, fitted.weights, data)
    started = time.process_time()
    quality = judge(scorer, dataset, split)
    lists = time.process_time() - started
    return {
        **quality,
        "first_seconds": first,
        "fit_seconds": second,
        "lists_seconds": lists,
        "memory_peak": peak_memory_bytes(),
    }


def time_epochs(
    *, prepared: str, family: str, settings: dict[str, Any], training: dict[str, Any]
) -> dict[str, float]:
    """Quality on validation after `max_epochs`, which validation does not choose; CPU seconds, peak memory.

    Without an objective to stop by, the last epoch is the model; patience is never used up.
    """
    architecture = TypeAdapter(FAMILIES[family]).validate_python(settings)
    config = replace(default_training_of(architecture), **training)
    dataset = open_dataset(prepared)
    split = split_ratings(dataset, PROTOCOL)
    data = fit_data(dataset, split, PROTOCOL)
    unjudged = replace(data, validation=Observations(*(array[:0] for array in astuple(data.validation))))
    reset_peak_memory()
    started = time.process_time()
    fitted = module_of(architecture).fit(architecture, config, unjudged, FitContext())
    seconds = time.process_time() - started
    scorer = module_of(architecture).make_scorer(architecture, fitted.weights, data)
    quality = judge(scorer, dataset, split)
    if architecture.predicts_ratings:
        predicted = scorer.predict_ratings(data.validation.user_index, data.validation.item_index)
        quality["rmse"] = float(np.sqrt(np.mean((predicted - data.validation.rating) ** 2)))
    return {
        **quality,
        "fit_seconds": seconds,
        "n_epochs": len(fitted.epochs),
        "memory_peak": peak_memory_bytes(),
    }


def cholesky(*, prepared: str, n_repeats: int) -> dict[str, float]:
    """CPU seconds of an EASE fit, and of LAPACK's inverse of a matrix over all items, turn by turn."""
    from scipy.linalg import lapack  # noqa: PLC0415

    dataset = open_dataset(prepared)
    data = fit_data(dataset, split_ratings(dataset, PROTOCOL), PROTOCOL)
    values = data.by_user / 5
    matrix = np.asarray((values.T @ values).toarray() + 300 * np.eye(data.n_items), np.float32, order="F")

    def invert() -> float:
        copy = matrix.copy(order="F")
        started = time.process_time()
        factor, _ = lapack.spotrf(copy, lower=1, overwrite_a=1, clean=0)
        lapack.spotri(factor, lower=1, overwrite_c=1)
        return time.process_time() - started

    def fit_ease() -> float:
        started = time.process_time()
        fit(Ease(), data)
        return time.process_time() - started

    fit_ease()
    pairs = [(invert(), fit_ease()) for _ in range(n_repeats)]
    return {"bare": min(bare for bare, _ in pairs), "ease": min(ease for _, ease in pairs)}


def als_beside_implicit(*, prepared: str, size: int, iterations: int, n_repeats: int) -> dict[str, float]:
    """CPU seconds and quality of weighted ALS and of implicit's, same size and iterations, turn by turn."""
    peer = importlib.import_module("implicit.cpu.als")
    dataset = open_dataset(prepared)
    split = split_ratings(dataset, PROTOCOL)
    data = fit_data(dataset, split, PROTOCOL)
    architecture = WeightedAls(size=size, iterations=iterations)
    ours, theirs = [], []
    fit(architecture, data)
    for _ in range(n_repeats):
        started = time.process_time()
        fitted = fit(architecture, data)
        ours.append(time.process_time() - started)
        model = peer.AlternatingLeastSquares(
            factors=size, iterations=iterations, num_threads=1, dtype=np.float32, random_state=0
        )
        started = time.process_time()
        model.fit(data.by_user, show_progress=False)
        theirs.append(time.process_time() - started)
    scorer = module_of(architecture).make_scorer(architecture, fitted.weights, data)
    vectors = {"user_vectors": model.user_factors, "item_vectors": model.item_factors}
    peer_scorer = module_of(architecture).make_scorer(architecture, vectors, data)
    return {
        "ours": min(ours),
        "theirs": min(theirs),
        "our_ndcg": judge(scorer, dataset, split)["ndcg"],
        "their_ndcg": judge(peer_scorer, dataset, split)["ndcg"],
    }


def module_of(architecture: Any) -> Any:
    return importlib.import_module(f"worker.families.{architecture.family}")


def fit(architecture: Architecture, data: FitData) -> Fitted:
    fitted: Fitted = module_of(architecture).fit(architecture, None, data, FitContext())
    return fitted


def judge(scorer: Scorer, dataset: Dataset, split: Split) -> dict[str, float]:
    """ndcg, recall and coverage at 20 on the held-out part of a split."""
    rankings = recommend_all(scorer, dataset, split, PROTOCOL)
    values = measure(scorer, dataset, split, PROTOCOL, rankings, predicts_ratings=False)["validation"]
    return {name: values[f"{name}@{PROTOCOL.k}"] for name in ("ndcg", "recall", "coverage")}


def settings_of(architecture: Any) -> dict[str, Any]:
    """The fields that are not at their default."""
    default = asdict(type(architecture)())
    return {name: value for name, value in asdict(architecture).items() if value != default[name]}
