"""Searches that a person would write with Keras `fit`, timed; called in fresh processes of the peers' venv.

Each gives (seconds since its start, RMSE on validation) of every epoch of every trial, in order.
"""

import importlib
import math
import tempfile
import time
from pathlib import Path
from typing import Any

from shared.domain.families.tower import Tower
from tests.benchmarks.prepared import open_dataset

Timeline = list[tuple[float, float]]


def search_with_optuna(
    *, prepared: str, space: dict[str, Any], n_trials: int, n_processes: int, max_epochs: int, seed: int
) -> Timeline:
    """Optuna's TPE with constant liar, in processes of joblib that share a journal, as its guide has it."""
    joblib, optuna = importlib.import_module("joblib"), importlib.import_module("optuna")
    with tempfile.TemporaryDirectory(prefix="recsweep-bench-") as folder:
        journal = str(Path(folder) / "journal.log")
        started = time.time()
        optuna.create_study(study_name="bench", storage=_storage(optuna, journal), direction="minimize")
        share = [n_trials // n_processes + (number < n_trials % n_processes) for number in range(n_processes)]
        found = joblib.Parallel(n_jobs=n_processes)(
            joblib.delayed(optimize)(prepared, journal, space, count, max_epochs, seed + number)
            for number, count in enumerate(share)
        )
    return sorted((at - started, rmse) for timeline in found for at, rmse in timeline)


def optimize(  # noqa: PLR0917  What joblib passes on.
    prepared: str, journal: str, space: dict[str, Any], n_trials: int, max_epochs: int, seed: int
) -> Timeline:
    """One of the processes."""
    optuna = importlib.import_module("optuna")
    optuna.logging.disable_default_handler()
    problem = _Problem(prepared, max_epochs)
    sampler = optuna.samplers.TPESampler(seed=seed, constant_liar=True)
    study = optuna.load_study(study_name="bench", storage=_storage(optuna, journal), sampler=sampler)

    def objective(trial: Any) -> float:
        point = {
            name: trial.suggest_float(name, axis["from"], axis["to"], log=True)
            if isinstance(axis, dict)
            else trial.suggest_categorical(name, axis)
            for name, axis in space.items()
        }
        return problem.train(point)

    study.optimize(objective, n_trials=n_trials)
    return problem.timeline


def search_with_hyperband(*, prepared: str, space: dict[str, Any], max_epochs: int, seed: int) -> Timeline:
    """KerasTuner's Hyperband, once through its brackets, in one process with all cores."""
    keras_tuner = importlib.import_module("keras_tuner")
    problem = _Problem(prepared, max_epochs)

    def build(parameters: Any) -> Any:
        point = {
            name: parameters.Float(name, axis["from"], axis["to"], sampling="log")
            if isinstance(axis, dict)
            else parameters.Choice(name, axis)
            for name, axis in space.items()
        }
        return problem.build(point)

    class Tuner(keras_tuner.Hyperband):  # type: ignore[misc,name-defined]  # It ships no types.
        def run_trial(self, trial: Any, *arguments: Any, **settings: Any) -> Any:
            batch_size = trial.hyperparameters.get("batch_size")
            return super().run_trial(trial, *arguments, **settings, batch_size=batch_size)

    started = time.time()
    with tempfile.TemporaryDirectory(prefix="recsweep-bench-") as folder:
        tuner = Tuner(
            build,
            objective=keras_tuner.Objective("val_loss", "min"),
            max_epochs=max_epochs,
            seed=seed,
            directory=folder,
        )
        inputs, targets = problem.train_part
        tuner.search(
            inputs, targets, validation_data=problem.validation_part, verbose=0, callbacks=problem.callbacks()
        )
    return [(at - started, rmse) for at, rmse in problem.timeline]


class _Problem:
    """The data and the model, the same as ours; `timeline`: time of day and RMSE after every epoch."""

    def __init__(self, prepared: str, max_epochs: int) -> None:
        self._keras = importlib.import_module("keras")
        self._build = importlib.import_module("worker.families.tower.model").build_model
        module = importlib.import_module("tests.benchmarks.training_ratings")
        self._data = module.training_data(open_dataset(prepared))
        self._max_epochs = max_epochs
        self.timeline: Timeline = []
        self.train_part = _columns(self._data.train)
        self.validation_part = _columns(self._data.validation)

    def build(self, point: dict[str, Any]) -> Any:
        """A compiled model."""
        tower = Tower(point["merge"], point["embedding_size"], (32, 1))
        model = self._build(tower, self._data.n_users, self._data.n_item_rows, 0).training
        model.compile(optimizer=self._keras.optimizers.Adam(point["learning_rate"]), loss="mse")
        return model

    def callbacks(self) -> list[Any]:
        """Early stopping as ours, and the timeline, which the copies of a tuner share."""
        timeline = self.timeline

        def note(_epoch: int, logs: dict[str, float]) -> None:
            timeline.append((time.time(), math.sqrt(logs["val_loss"])))

        stopping = self._keras.callbacks.EarlyStopping(monitor="val_loss", patience=2)
        return [stopping, self._keras.callbacks.LambdaCallback(on_epoch_end=note)]

    def train(self, point: dict[str, Any]) -> float:
        """The best RMSE of one trial."""
        inputs, targets = self.train_part
        history = self.build(point).fit(
            inputs,
            targets,
            validation_data=self.validation_part,
            batch_size=point["batch_size"],
            epochs=self._max_epochs,
            verbose=0,
            callbacks=self.callbacks(),
        )
        return math.sqrt(min(history.history["val_loss"]))


def _columns(ratings: Any) -> tuple[list[Any], Any]:
    return [ratings.user_index[:, None], ratings.item_index[:, None]], ratings.rating[:, None]


def _storage(optuna: Any, journal: str) -> Any:
    backend = importlib.import_module("optuna.storages.journal")
    return optuna.storages.JournalStorage(backend.JournalFileBackend(journal))
