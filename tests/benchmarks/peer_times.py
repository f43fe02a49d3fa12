"""What a person would pick instead, timed; called in fresh processes of the peers' venv."""

import importlib
import math
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from shared.datasets import split_ratings
from shared.domain.families.tower import Tower
from shared.domain.training import TrainingConfig
from tests.benchmarks.prepared import PROTOCOL, open_dataset

LEARNING_RATE = 0.001


def search_grid(
    *, prepared: str, architectures: list[dict[str, Any]], batch_size: int, n_steps: list[int]
) -> dict[str, Any]:
    """Seconds of one KerasTuner GridSearch over the architectures for each number of training steps.

    Every trial is one epoch of that many steps, with a ninth as many for validation.
    """
    keras, keras_tuner = (importlib.import_module(name) for name in ("keras", "keras_tuner"))
    build_model = importlib.import_module("worker.families.tower.model").build_model
    data = importlib.import_module("tests.benchmarks.training_ratings").training_data(open_dataset(prepared))

    def build(parameters: Any) -> Any:
        number = parameters.Choice("architecture", list(range(len(architectures))))
        model = build_model(Tower(**architectures[number]), data.n_users, data.n_item_rows, 0).training
        model.compile(optimizer=keras.optimizers.Adamax(LEARNING_RATE), loss="mse")
        return model

    def part(ratings: Any, n_parts: int) -> tuple[list[Any], Any]:
        stop = n_parts * batch_size
        return [ratings.user_index[:stop, None], ratings.item_index[:stop, None]], ratings.rating[:stop, None]

    def search(n_parts: int) -> float:
        with tempfile.TemporaryDirectory(prefix="recsweep-bench-") as folder:
            started = time.perf_counter()
            tuner = keras_tuner.GridSearch(
                build, objective=keras_tuner.Objective("val_loss", "min"), directory=folder
            )
            inputs, targets = part(data.train, n_parts)
            tuner.search(
                inputs,
                targets,
                validation_data=part(data.validation, -(-n_parts // 9)),
                batch_size=batch_size,
                epochs=1,
                verbose=0,
                callbacks=[keras.callbacks.EarlyStopping(patience=2)],
            )
            return time.perf_counter() - started

    search(n_steps[0])
    return {
        "seconds": [search(n) for n in n_steps],
        "n_epoch_steps": math.ceil(len(data.train) / batch_size),
    }


def run_trials(
    *, prepared: str, architectures: list[dict[str, Any]], max_epochs: int
) -> list[dict[str, Any]]:
    """Our trials one after another: training, saving, all lists, all metrics; nothing but the database."""
    run_trial = importlib.import_module("worker.trial").run_trial
    store = importlib.import_module("shared.store")
    config_type = importlib.import_module("shared.domain.trial").TrialConfig
    dataset = open_dataset(prepared)
    results = []
    for number, architecture in enumerate(architectures):
        config = config_type(
            architecture=Tower(**architecture), training=TrainingConfig(max_epochs=max_epochs)
        )
        claim = store.Claim(number, 1, 1, config.label, config, PROTOCOL, dataset.name, dataset.fingerprint)
        with tempfile.TemporaryDirectory(prefix="recsweep-bench-") as folder:
            started = time.perf_counter()
            result = run_trial(claim, dataset, Path(folder).as_uri(), lambda _: None, lambda: None)
            elapsed = time.perf_counter() - started
        results.append({"seconds": elapsed, "n_epochs": len(result.epochs), "rmse": result.val_rmse})
    return results


def fit_surprise(*, prepared: str, n_epochs: int) -> dict[str, float]:
    """Surprise SVD (biased MF, 50 wide) on the training ratings: seconds, and RMSE on the others."""
    surprise, pandas = (importlib.import_module(name) for name in ("surprise", "pandas"))
    users, items, ratings, split = _columns(prepared)
    frame = pandas.DataFrame({"user": users, "item": items, "rating": ratings}).iloc[split.train]
    train = surprise.Dataset.load_from_df(frame, surprise.Reader()).build_full_trainset()
    model = surprise.SVD(n_factors=50, n_epochs=n_epochs, random_state=0)
    seconds, cpu_seconds = _timed(lambda: model.fit(train))
    rows = split.validation
    test = list(zip(users[rows].tolist(), items[rows].tolist(), ratings[rows].tolist(), strict=True))
    predictions = model.test(test)
    rmse = math.sqrt(sum((one.r_ui - one.est) ** 2 for one in predictions) / len(predictions))
    return {"seconds": seconds, "cpu_seconds": cpu_seconds, "n_epochs": n_epochs, "rmse": rmse}


def fit_cornac(*, prepared: str, n_epochs: int) -> dict[str, float]:
    """Cornac MF (biased, 50 wide), one thread: seconds, and RMSE on the others."""
    data_module, models = (importlib.import_module(f"cornac.{name}") for name in ("data", "models"))
    users, items, ratings, split = _columns(prepared)
    triples = zip(users[split.train], items[split.train], ratings[split.train], strict=True)
    train = data_module.Dataset.build(list(triples))
    model = models.MF(k=50, max_iter=n_epochs, num_threads=1, early_stop=False, seed=0, verbose=False)
    seconds, cpu_seconds = _timed(lambda: model.fit(train))
    known_users, known_items = train.uid_map, train.iid_map
    errors = [
        model.rate(known_users[user], known_items[item]) - rating
        for user, item, rating in zip(
            *(column[split.validation] for column in (users, items, ratings)), strict=True
        )
        if user in known_users and item in known_items
    ]
    return {
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
        "n_epochs": n_epochs,
        "rmse": float(np.sqrt(np.mean(np.square(errors)))),
    }


def _columns(prepared: str) -> tuple[Any, Any, Any, Any]:
    dataset = open_dataset(prepared)
    split = split_ratings(dataset, PROTOCOL)
    return dataset.user_index, dataset.item_index, dataset.ratings, split


def _timed(call: Any) -> tuple[float, float]:
    """Seconds by the clock, and of the processor."""
    started = time.perf_counter(), time.process_time()
    call()
    return time.perf_counter() - started[0], time.process_time() - started[1]
