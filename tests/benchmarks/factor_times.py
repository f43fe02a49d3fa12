"""Fits of factors in epochs, measured in fresh processes."""

import importlib
import time
from dataclasses import replace
from typing import Any

import numpy as np
from pydantic import TypeAdapter

from shared.datasets import split_ratings
from shared.domain.families import FAMILIES, default_training_of
from shared.domain.families.tower import Tower
from shared.domain.protocol import Protocol
from shared.domain.results import EpochRecord
from shared.domain.training import TrainingConfig
from tests.benchmarks.prepared import open_dataset
from tests.benchmarks.training_ratings import training_data
from worker.families.contract import FitContext
from worker.families.registry import family_of
from worker.families.tower.training import train
from worker.metrics import measure
from worker.process.memory import peak_memory_bytes, reset_peak_memory
from worker.ranking.top_k import recommend_all
from worker.trial import fit_data

PROTOCOL = Protocol()


def time_fit(*, prepared: str, family: str, settings: dict[str, Any]) -> dict[str, Any]:
    """Quality on validation, CPU seconds of the fit and of an epoch with all compiled, peak memory.

    `first_seconds`: of an epoch before, which compiles; a worker keeps what is compiled for all its trials.
    Nothing is ranked after an epoch, so that lists are those of the last one; rating predictions are those of
    the epoch with the smallest validation RMSE, as in a sweep.
    """
    architecture = TypeAdapter(FAMILIES[family]).validate_python(settings)
    dataset = open_dataset(prepared)
    split = split_ratings(dataset, PROTOCOL)
    data = fit_data(dataset, split, PROTOCOL)
    reset_peak_memory()
    clock: list[float] = []
    records: list[EpochRecord] = []

    def on_epoch(record: EpochRecord) -> None:
        clock.append(time.process_time())
        records.append(record)

    module, training = family_of(architecture), default_training_of(architecture)
    started = time.process_time()
    module.fit(architecture, replace(training, max_epochs=1), data, FitContext())
    first_seconds = time.process_time() - started
    started = time.process_time()
    fitted = module.fit(architecture, training, data, FitContext(on_epoch=on_epoch))
    seconds = time.process_time() - started
    scorer = module.make_scorer(architecture, fitted.weights, data)
    predicts = architecture.predicts_ratings
    rankings = recommend_all(scorer, dataset, split, PROTOCOL)
    values = measure(scorer, dataset, split, PROTOCOL, rankings, predicts_ratings=predicts)["validation"]
    return {
        **{name: values[f"{name}@{PROTOCOL.k}"] for name in ("ndcg", "recall", "coverage")},
        "rmse": values.get("rmse"),
        "seconds": seconds,
        "first_seconds": first_seconds,
        "epoch_seconds": float(np.mean(np.diff(clock))),
        "until": [(record.val_rmse, at - started) for record, at in zip(records, clock, strict=True)],
        "memory_peak": peak_memory_bytes(),
    }


def epoch_beside_tower(*, prepared: str, n_epochs: int) -> dict[str, float]:
    """CPU seconds of an epoch of softmax matrix factorisation and of a tower of 2020, turn by turn."""
    dataset = open_dataset(prepared)
    data = fit_data(dataset, split_ratings(dataset, PROTOCOL), PROTOCOL)
    factors = TypeAdapter(FAMILIES["matrix_factorization"]).validate_python({})
    module = importlib.import_module("worker.families.matrix_factorization")
    tower_data = training_data(dataset)

    def factor_epoch() -> float:
        training = replace(default_training_of(factors), max_epochs=n_epochs)
        return _epoch_seconds(
            lambda on_epoch: module.fit(factors, training, data, FitContext(on_epoch=on_epoch))
        )

    def tower_epoch() -> float:
        return _epoch_seconds(
            lambda on_epoch: train(
                Tower("concatenate", 50, (64, 32, 1)),
                TrainingConfig(max_epochs=n_epochs, patience=n_epochs),
                tower_data,
                checkpoint=None,
                on_epoch=on_epoch,
                check_stop=lambda: None,
            )
        )

    pairs = [(factor_epoch(), tower_epoch()) for _ in range(2)]
    return {"factors": min(ours for ours, _ in pairs), "tower": min(other for _, other in pairs)}


def _epoch_seconds(fit: Any) -> float:
    """CPU seconds of the fastest epoch after the first, which compiles."""
    clock: list[float] = []
    fit(lambda _: clock.append(time.process_time()))
    return float(np.diff(clock).min())
