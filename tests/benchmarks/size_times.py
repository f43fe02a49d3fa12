"""What a worker does with ratings of any size, in fresh processes: wall and CPU time, peak memory."""

import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import TypeAdapter

from shared.datasets import Dataset, Split, split_ratings, store_prepared
from shared.domain.families import FAMILIES, default_training_of
from shared.domain.protocol import Protocol
from shared.domain.results import EpochRecord
from shared.domain.trial import TrialConfig
from shared.errors import TrialError
from shared.store import Claim
from tests.benchmarks.large_ratings import as_dataset, generate_ml_32m
from tests.benchmarks.prepared import open_dataset
from worker.families.contract import FitContext, FitData
from worker.families.registry import family_of
from worker.memory_need import require_memory
from worker.process.memory import peak_memory_bytes, reset_peak_memory
from worker.ranking.scorers import LinearScorer
from worker.ranking.top_k import recommend_all
from worker.trial import fit_data, run_trial

PROTOCOL = Protocol(objective="ndcg@20")
_N_FACTORS = 64


def prepare(*, folder: str, share: float) -> dict[str, Any]:
    """Make up ratings of this share of MovieLens 32M and store them as a sweep does."""
    dataset = as_dataset(generate_ml_32m(share))
    reset_peak_memory()
    measured = _timed(lambda: store_prepared(Path(folder).as_uri(), dataset))
    path = Path(folder) / "datasets" / f"{dataset.fingerprint}.npz"
    sizes = {"n_users": dataset.n_users, "n_items": dataset.n_items, "n_ratings": dataset.n_ratings}
    return {**measured, **sizes, "path": str(path)}


def time_reading(*, prepared: str) -> dict[str, Any]:
    """Mapping the file, its check, the split, and the copies that are learned from."""
    reset_peak_memory()
    return _timed(lambda: _learned_from(prepared))


def time_epoch(*, prepared: str, family: str, settings: dict[str, Any], n_epochs: int) -> dict[str, Any]:
    """The last of some epochs, the first of which compiles; no lists are judged."""
    architecture = TypeAdapter(FAMILIES[family]).validate_python(settings)
    _, _, data = _learned_from(prepared)
    seconds: list[float] = []
    clock = [time.process_time()]

    def on_epoch(record: EpochRecord) -> None:
        seconds.append(record.seconds)
        clock.append(time.process_time())

    context = FitContext(on_epoch=on_epoch)
    training = replace(default_training_of(architecture), max_epochs=n_epochs, patience=n_epochs)
    reset_peak_memory()
    family_of(architecture).fit(architecture, training, data, context)
    return {
        "seconds": seconds[-1],
        "cpu_seconds": clock[-1] - clock[-2],
        "memory_peak": peak_memory_bytes(),
    }


def time_iteration(*, prepared: str, settings: dict[str, Any]) -> dict[str, Any]:
    """One iteration of weighted_als, with the transposed ratings it is made on."""
    architecture = TypeAdapter(FAMILIES["weighted_als"]).validate_python({**settings, "iterations": 1})
    _, _, data = _learned_from(prepared)
    # Compiled before, on very little.
    few = slice(0, 100)
    one = replace(data.train, **{name: array[few] for name, array in vars(data.train).items()})
    family_of(architecture).fit(architecture, None, replace(data, train=one), FitContext())
    _ = data.by_user
    reset_peak_memory()
    return _timed(lambda: family_of(architecture).fit(architecture, None, data, FitContext()))


def time_lists(*, prepared: str) -> dict[str, Any]:
    """The exact top 20 of all users from random vectors: time does not depend on what the numbers are."""
    dataset, split, _ = _learned_from(prepared)
    rng = np.random.default_rng(0)
    scorer = LinearScorer(
        user_vectors=rng.normal(size=(dataset.n_users, _N_FACTORS)),
        item_vectors=rng.normal(size=(dataset.n_items, _N_FACTORS)),
        user_offsets=np.zeros(dataset.n_users),
        item_offsets=np.zeros(dataset.n_items),
        predicts_ratings=False,
    )
    reset_peak_memory()
    return _timed(lambda: recommend_all(scorer, dataset, split, PROTOCOL))


def time_trial(*, prepared: str, family: str, settings: dict[str, Any]) -> dict[str, Any]:
    """A whole trial but for the database: split, fit, model, lists, metrics; or why it is refused."""
    config = TrialConfig(TypeAdapter(FAMILIES[family]).validate_python(settings), None)
    dataset = open_dataset(prepared)
    claim = Claim(1, 1, 1, config.label, config, PROTOCOL, dataset.name, Path(prepared).stem)
    with tempfile.TemporaryDirectory(prefix="recsweep-bench-") as folder:
        return _timed(
            lambda: run_trial(
                claim, dataset, Path(folder).as_uri(), on_epoch=lambda _: None, check_stop=lambda: None
            )
        )


def time_refusal(*, prepared: str, family: str, settings: dict[str, Any]) -> dict[str, Any]:
    """How soon a trial is refused that needs too much memory, and with what words; "" where it is not."""
    architecture = TypeAdapter(FAMILIES[family]).validate_python(settings)
    dataset = open_dataset(prepared)
    reset_peak_memory()
    told: list[str] = []

    def ask() -> None:
        try:
            require_memory(architecture, dataset)
        except TrialError as error:
            told.append(str(error))

    return {**_timed(ask), "message": "".join(told)}


def _learned_from(prepared: str) -> tuple[Dataset, Split, FitData]:
    dataset = open_dataset(prepared)
    split = split_ratings(dataset, PROTOCOL)
    return dataset, split, fit_data(dataset, split, PROTOCOL)


def _timed(call: Callable[[], object]) -> dict[str, Any]:
    started, cpu_started = time.perf_counter(), time.process_time()
    call()
    return {
        "seconds": time.perf_counter() - started,
        "cpu_seconds": time.process_time() - cpu_started,
        "memory_peak": peak_memory_bytes(),
    }
