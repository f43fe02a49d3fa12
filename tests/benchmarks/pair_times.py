"""Families that learn from pairs, measured in fresh processes: what they reach, and what an epoch costs."""

import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from typing import Any

from pydantic import TypeAdapter

from shared.datasets import split_ratings
from shared.domain.families import FAMILIES
from shared.domain.families.neural_mf import NeuralMf
from shared.domain.families.tower import Tower
from shared.domain.protocol import Protocol
from shared.domain.training import TrainingConfig
from tests.benchmarks.fresh_process import measure
from tests.benchmarks.prepared import open_dataset
from tests.benchmarks.report import judge, megabytes, seconds
from worker.families.contract import FitContext
from worker.families.registry import family_of
from worker.metrics import measure as measure_quality
from worker.observations import Observations
from worker.process.memory import peak_memory_bytes, reset_peak_memory
from worker.ranking.top_k import recommend_all
from worker.trial import fit_data

_PROTOCOL = Protocol()
_MULTIPLY = Tower("multiply", 64, (1,), biases=True)
_LARGE_BATCHES = TrainingConfig(optimizer="adam", learning_rate=0.003, batch_size=4096)
MEMORY_BAR = 1.5e9

# Architecture, training whose number of epochs was chosen on a ninth of the training ratings, metric, bar.
PAIRS: list[tuple[Tower | NeuralMf, TrainingConfig, str, float | None]] = [
    (replace(_MULTIPLY, l2=0.1), replace(_LARGE_BATCHES, max_epochs=8), "rmse", 0.87),
    (
        replace(_MULTIPLY, loss="squared_error_with_zeros", l2=0.001),
        replace(_LARGE_BATCHES, max_epochs=5),
        "ndcg@20",
        0.25,
    ),
    (NeuralMf(), replace(NeuralMf.default_training, max_epochs=5), "ndcg@20", 0.25),
    (
        NeuralMf(size=32, loss="squared_error", l2=0.02),
        replace(NeuralMf.default_training, max_epochs=6),
        "rmse",
        0.87,
    ),
]


def time_pairs(*, prepared: str, family: str, settings: dict[str, Any], training: dict[str, Any]) -> Any:
    """Quality on validation, which nothing looks at before: every epoch is trained, and the last one kept."""
    architecture = TypeAdapter(FAMILIES[family]).validate_python(settings)
    dataset = open_dataset(prepared)
    split = split_ratings(dataset, _PROTOCOL)
    whole = fit_data(dataset, split, _PROTOCOL)
    held = whole.validation
    nothing = Observations(held.user_index[:0], held.item_index[:0], held.rating[:0])
    data = replace(whole, validation=nothing)
    reset_peak_memory()
    started = time.process_time()
    module = family_of(architecture)
    fitted = module.fit(architecture, TrainingConfig(**training), data, FitContext())
    fit_seconds = time.process_time() - started
    scorer = module.make_scorer(architecture, fitted.weights, data)
    started = time.process_time()
    rankings = recommend_all(scorer, dataset, split, _PROTOCOL)
    lists_seconds = time.process_time() - started
    predicts = architecture.predicts_ratings
    quality = measure_quality(scorer, dataset, split, _PROTOCOL, rankings, predicts_ratings=predicts)
    return {
        **quality["validation"],
        "fit_seconds": fit_seconds,
        "lists_seconds": lists_seconds,
        "memory_peak": peak_memory_bytes(),
    }


def pair_rows(prepared: str) -> Iterator[tuple[object, ...]]:
    for architecture, training, metric, bar in PAIRS:
        measured = measure(
            "pair_times:time_pairs",
            prepared=prepared,
            family=architecture.family,
            settings=asdict(architecture),
            training=asdict(training),
        )
        value = measured[metric]
        is_met = bar is None or (value <= bar if metric == "rmse" else value >= bar)
        sign = "≤" if metric == "rmse" else "≥"
        is_met = is_met and measured["memory_peak"] <= MEMORY_BAR
        yield (
            architecture.label.replace("_", " "),
            training.max_epochs,
            f"{measured['rmse']:.4f}" if "rmse" in measured else "",
            f"{measured['ndcg@20']:.4f}",
            f"{measured['recall@20']:.4f}",
            f"{measured['coverage@20']:.3f}",
            seconds(measured["fit_seconds"]),
            seconds(measured["lists_seconds"]),
            megabytes(measured["memory_peak"]),
            "" if bar is None else f"{metric} {sign} {bar}: {judge(is_met=is_met)}",
        )
