"""Seconds an epoch of the engine and of Keras `fit`; called in fresh processes."""

import importlib
import math
import time
from statistics import median
from typing import Any

from shared.domain.families.tower import Tower
from shared.domain.results import EpochRecord
from shared.domain.training import TrainingConfig
from tests.benchmarks.prepared import open_dataset
from tests.benchmarks.training_ratings import synthetic_data, training_data
from worker.families.tower.training import TrainingData, train
from worker.process.memory import peak_memory_bytes

_WARM_UP_STEPS = 50
_MIN_STEPS = 50


def _data(prepared: str | None, synthetic: dict[str, int] | None) -> TrainingData:
    if prepared is not None:
        return training_data(open_dataset(prepared))
    return synthetic_data(**(synthetic or {}))


def time_engine(
    *,
    architecture: dict[str, Any],
    training: dict[str, Any],
    n_epochs: int,
    prepared: str | None = None,
    synthetic: dict[str, int] | None = None,
) -> dict[str, Any]:
    """Whole epochs as a trial trains them: shuffle, steps, validation. The first includes the compile."""
    data = _data(prepared, synthetic)
    before = peak_memory_bytes()
    epochs: list[EpochRecord] = []
    config = TrainingConfig(**{**training, "max_epochs": n_epochs, "patience": n_epochs})
    train(
        Tower(**architecture),
        config,
        data,
        checkpoint=None,
        on_epoch=epochs.append,
        check_stop=lambda: None,
    )
    later = [epoch.seconds for epoch in epochs[1:]]
    return {
        "epoch_seconds": median(later),
        "compile_seconds": epochs[0].seconds - median(later),
        "n_ratings": len(data.train),
        "n_steps": math.ceil(len(data.train) / config.batch_size),
        "memory_before": before,
        "memory_peak": peak_memory_bytes(),
    }


def time_fit(
    *,
    prepared: str,
    architectures: list[dict[str, Any]],
    training: dict[str, Any],
    budget_seconds: float,
    n_repeats: int = 3,
    compile_options: dict[str, Any] | None = None,
) -> list[dict[str, Any]]:
    """Keras `fit` of the same Keras model on so many whole batches as take about `budget_seconds`.

    Steps are scaled to those of an epoch; so are those of `evaluate`, which `fit` runs for validation.
    """
    data = training_data(open_dataset(prepared))
    config = TrainingConfig(**training)
    return [
        _time_one_fit(Tower(**architecture), data, config, budget_seconds, n_repeats, compile_options or {})
        for architecture in architectures
    ]


def _time_one_fit(  # noqa: PLR0917  Passed on once.
    architecture: Tower,
    data: TrainingData,
    config: TrainingConfig,
    budget_seconds: float,
    n_repeats: int,
    compile_options: dict[str, Any],
) -> dict[str, Any]:
    keras = importlib.import_module("keras")
    build_model = importlib.import_module("worker.families.tower.model").build_model
    model = build_model(architecture, data.n_users, data.n_item_rows, config.random_seed).training
    optimizer = keras.optimizers.get(
        {
            "class_name": config.optimizer,
            "config": {"learning_rate": config.learning_rate},
        }
    )
    model.compile(optimizer=optimizer, loss="mse", **compile_options)
    n_epoch_steps, n_validation_steps = (
        math.ceil(len(ratings) / config.batch_size) for ratings in (data.train, data.validation)
    )

    def part(ratings: Any, n_steps: int) -> tuple[list[Any], Any]:
        stop = n_steps * config.batch_size
        columns = [ratings.user_index[:stop, None], ratings.item_index[:stop, None]]
        return columns, ratings.rating[:stop, None]

    class Clock(keras.callbacks.Callback):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.seconds: list[float] = []

        def on_epoch_begin(self, epoch: int, logs: object = None) -> None:
            self._started = time.perf_counter()

        def on_epoch_end(self, epoch: int, logs: object = None) -> None:
            self.seconds.append(time.perf_counter() - self._started)

    def fit(n_steps: int, n_epochs: int) -> list[float]:
        clock = Clock()
        inputs, targets = part(data.train, n_steps)
        model.fit(
            inputs, targets, batch_size=config.batch_size, epochs=n_epochs, verbose=0, callbacks=[clock]
        )
        return clock.seconds

    def choose(step_seconds: float, n_available: int) -> int:
        return min(n_available, max(_MIN_STEPS, int(budget_seconds / step_seconds)))

    # The first epoch traces the step, the second tells its time.
    n_probe = min(_WARM_UP_STEPS, n_epoch_steps)
    n_steps = choose(fit(n_probe, 2)[1] / n_probe, n_epoch_steps)
    fit_seconds = median(fit(n_steps, n_repeats))

    def evaluate(n_steps: int) -> float:
        inputs, targets = part(data.validation, n_steps)
        started = time.perf_counter()
        model.evaluate(inputs, targets, batch_size=config.batch_size, verbose=0)
        return time.perf_counter() - started

    n_probe = min(_WARM_UP_STEPS, n_validation_steps)
    evaluate(n_probe)
    n_evaluated = min(n_validation_steps, choose(evaluate(n_probe) / n_probe, n_validation_steps) // 2 + 1)
    evaluate_seconds = evaluate(n_evaluated)
    return {
        "train_seconds": fit_seconds / n_steps * n_epoch_steps,
        "validation_seconds": evaluate_seconds / n_evaluated * n_validation_steps,
        "n_steps": n_steps,
        "n_epoch_steps": n_epoch_steps,
    }
