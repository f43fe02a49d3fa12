"""A made-up database whose lists, prepared ratings and models can be looked at: for the views of lists."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from sqlalchemy import Engine, text

from scheduler.verdicts.writing import ensure_verdicts
from shared.datasets import Dataset, split_ratings
from shared.datasets.prepared import store_prepared
from shared.domain.families.ease import Ease
from shared.domain.families.item_knn import ItemKnn
from shared.domain.families.tower import Tower
from shared.domain.families.weighted_als import WeightedAls
from shared.domain.protocol import Protocol
from shared.domain.training import TrainingConfig
from shared.domain.trial import TrialConfig
from shared.store import mark_ended_sweeps
from tests.factories import store_result, store_sweep
from tests.page_samples import BASELINES, K, sample_dataset, sample_result

ARABIC_ID = "مستخدم 7"
LONG_ID = "u" * 300
ODD_ID = "a b/c?d=é&f#g"
FAMILIES = (
    TrialConfig(WeightedAls(size=2)),
    TrialConfig(Ease(l2=5.0)),
    TrialConfig(ItemKnn(neighbours=2)),
    TrialConfig(Tower(merge="dot", embedding_size=4, dense_layers=(8, 1)), TrainingConfig(max_epochs=12)),
)


@dataclass(frozen=True)
class ListSweep:
    """The sweep and its trials: by family, the best first."""

    sweep_id: int
    trial_ids: dict[str, int]
    dataset: Dataset


def list_dataset() -> Dataset:
    """As `sample_dataset`, with users of names that would break an address."""
    made = sample_dataset()
    user_ids = made.user_ids.astype("U300")
    user_ids[:3] = (ARABIC_ID, LONG_ID, ODD_ID)
    timestamps = (1_000_000_000 + 86_400 * np.arange(made.n_ratings)).astype(np.int64)
    return replace(made, user_ids=user_ids, timestamps=timestamps)


def store_lists(engine: Engine, folder: Path | None = None) -> ListSweep:
    """A sweep of four families and two baselines, judged; with a folder, its data and models lie there."""
    dataset = list_dataset()
    protocol = Protocol(k=K, objective=f"ndcg@{K}", test_fraction=0.1, relevance_threshold="none")
    configs = [*FAMILIES, *BASELINES]
    sweep = store_sweep(engine, dataset, configs, name="lists", protocol=protocol)
    root = folder.as_uri() if folder else "file:///nowhere"
    if folder:
        store_prepared(root, dataset)
    split = split_ratings(dataset, protocol)
    trial_ids = {}
    for place, config in enumerate(configs):
        n_epochs = 6 if config.training else 0
        attempt = f"{root}/sweep-{sweep.sweep_id}/{config.label}/attempt-1"
        suffix = "keras" if config.family == "tower" else "npz"
        result = replace(
            sample_result(dataset, place, n_epochs, split),
            model_url=f"{attempt}/{config.label}.{suffix}",
            log_url=f"{attempt}/trial.log",
        )
        if folder:
            write_model(folder / f"sweep-{sweep.sweep_id}" / config.label / "attempt-1", config, dataset)
        trial_ids[config.family] = store_result(engine, sweep.sweep_id, config.label, dataset, result)
    mark_ended_sweeps(engine)
    assert ensure_verdicts(engine, sweep)
    return ListSweep(sweep.sweep_id, trial_ids, dataset)


def write_model(attempt: Path, config: TrialConfig, dataset: Dataset) -> None:
    """Arrays as the families save them; item 1 is the one most similar to item 0 by each."""
    attempt.mkdir(parents=True)
    (attempt / "trial.log").write_text("epoch 1\nepoch 2\n", encoding="utf-8")
    n_items = dataset.n_items
    angles = np.linspace(0, np.pi / 2, n_items)
    arrays = {
        "weighted_als": {"item_vectors": np.stack([np.cos(angles), np.sin(angles)], axis=1)},
        "ease": {
            "items": np.arange(n_items),
            "item_item": np.eye(n_items, k=1, dtype=np.float32) - np.eye(n_items, k=2, dtype=np.float32),
        },
        "item_knn": {
            "counts": np.full(n_items, 1),
            "neighbours": (np.arange(n_items) + 1) % n_items,
            "similarities": np.full(n_items, 0.5, np.float32),
        },
    }.get(config.family)
    if arrays is not None:
        np.savez(attempt / f"{config.label}.npz", allow_pickle=False, **arrays)


def remove_lists_of(engine: Engine, trial_id: int) -> None:
    """As the scheduler does with lists that are not kept."""
    with engine.begin() as connection:
        connection.execute(
            text("update trials set lists_removed_at = now() where trial_id = :trial_id"),
            {"trial_id": trial_id},
        )
