"""A made-up database for the page: sweeps that have ended, run, failed, and names that would break a page."""

from dataclasses import replace

import numpy as np
from sqlalchemy import Engine

from scheduler.verdicts.writing import ensure_verdicts
from shared.datasets import Split
from shared.datasets.dataset import Dataset
from shared.domain.families.item_popularity import ItemPopularity
from shared.domain.families.tower import Tower
from shared.domain.families.user_item_bias import UserItemBias
from shared.domain.protocol import Protocol
from shared.domain.results import TrialResult, UserResults
from shared.domain.training import TrainingConfig
from shared.domain.trial import TrialConfig
from shared.store import EpochRecord, Sweep, fail_trial, mark_ended_sweeps, record_epoch
from tests.factories import (
    claim_label,
    make_dataset,
    make_hits,
    make_result,
    make_user_results,
    store_result,
    store_sweep,
)

HOSTILE_TITLE = '<script>window.wasMarkup = true</script> & "Co"'
ARABIC_TITLE = "ألف ليلة وليلة"
LONG_TITLE = "An Endless Title " * 17 + "of 300 chars"
K = 20
BASELINES = (TrialConfig(ItemPopularity()), TrialConfig(UserItemBias()))


def sample_dataset(n_users: int = 60, n_items: int = 45, name: str = "sample") -> Dataset:
    """Made-up films; three of the titles are hostile, Arabic, and 300 characters long."""
    made = make_dataset(n_users=n_users, n_items=n_items, n_rated=12, name=name)
    titles = made.titles.astype("U400")
    titles[:3] = (HOSTILE_TITLE, ARABIC_TITLE, LONG_TITLE)
    return replace(made, titles=titles)


def sample_configs(n_trials: int) -> list[TrialConfig]:
    """So many towers of two merges, growing embeddings and some seeds."""
    sizes = (4, 8, 16, 32, 64)
    return [
        TrialConfig(
            Tower(merge=("dot", "concatenate")[n % 2], embedding_size=sizes[n // 2 % 5], dense_layers=(8, 1)),
            TrainingConfig(random_seed=n // 10, max_epochs=12),
        )
        for n in range(n_trials)
    ]


def with_hits(results: UserResults, dataset: Dataset, rows: np.ndarray, seed: int) -> UserResults:
    """The results, where lists found two in three of the ratings in `rows` that are relevant, by `seed`."""
    random = np.random.default_rng(seed)
    held_out = np.bincount(dataset.user_index[rows], minlength=dataset.n_users)
    found = rows[random.random(len(rows)) < 2 / 3]
    found = found[~np.isnan(results.rankings["precision"][dataset.user_index[found]])]
    hits = []
    for user in np.unique(dataset.user_index[found]).tolist():
        items = dataset.item_index[found[dataset.user_index[found] == user]].tolist()
        ranks = np.sort(random.choice(np.arange(1, K + 1), len(items), replace=False)).tolist()
        hits += [(user, rank, item) for rank, item in zip(ranks, items, strict=True)]
    n_found = np.bincount([user for user, _, _ in hits], minlength=dataset.n_users)
    n_found = np.where(np.isnan(results.rankings["precision"]), np.nan, n_found).astype(np.float32)
    rankings = {
        **results.rankings,
        "precision": n_found / K,
        "recall": n_found / np.maximum(held_out, 1).astype(np.float32),
    }
    n_ratings = np.maximum(held_out, 1).astype(np.int32)
    return replace(results, n_ratings=n_ratings, rankings=rankings, hits=make_hits(hits))


def sample_result(dataset: Dataset, place: int, n_epochs: int = 6, split: Split | None = None) -> TrialResult:
    """The better the lower the place; costs, coverage and popularity trade against ndcg.

    With a split, lists found some of what it holds out.
    """
    ndcg, rmse = 0.30 - 0.012 * place, 0.86 + 0.008 * place
    users = {
        "validation": make_user_results(dataset, error=rmse, ndcg=ndcg, seed=place),
        "test": make_user_results(dataset, error=rmse, ndcg=ndcg * 0.98, seed=100 + place),
    }
    if split is not None:
        users = {part: with_hits(of, dataset, split.part(part), 200 + place) for part, of in users.items()}
    made = make_result(
        dataset, val_rmse=rmse, ndcg=ndcg, k=K, seed=place, n_epochs=n_epochs, user_results=users
    )
    lists = {
        f"coverage@{K}": 0.2 + 0.03 * (place % 9),
        f"popularity@{K}": 20.0 - place,
        f"novelty@{K}": 3.0 + place / 5,
    }
    test = {"rmse": rmse + 0.01, f"ndcg@{K}": ndcg * 0.98, f"recall@{K}": ndcg / 2}
    epochs = tuple(
        replace(one, objective=ndcg * (1 - 0.6**one.epoch), val_rmse=rmse + 0.3 * 0.5**one.epoch)
        for one in made.epochs
    )
    return replace(
        made,
        metrics={"validation": {**made.metrics["validation"], **lists}, "test": {**test, **lists}},
        epochs=epochs,
        train_seconds=3.0 + 40.0 / (1 + place),
        n_parameters=1000 * (place + 1),
    )


def store_ended_sweep(engine: Engine, dataset: Dataset, n_trials: int = 10, name: str = "lists") -> Sweep:
    """All succeeded but the last architecture, which failed; judged, so it has verdicts."""
    protocol = Protocol(k=K, objective=f"ndcg@{K}", test_fraction=0.1, relevance_threshold="none")
    configs = [*sample_configs(n_trials), *BASELINES]
    sweep = store_sweep(engine, dataset, configs, name=name, protocol=protocol)
    for place, config in enumerate(configs):
        if place == n_trials - 1:
            claim = claim_label(engine, sweep.sweep_id, config.label)
            fail_trial(
                engine,
                claim.trial_id,
                claim.attempt,
                "not_finite_loss",
                "the loss is not finite: <b>learning_rate</b> 0.9 is too large",
            )
            continue
        n_epochs = 0 if config.is_baseline else 6
        store_result(engine, sweep.sweep_id, config.label, dataset, sample_result(dataset, place, n_epochs))
    mark_ended_sweeps(engine)
    assert ensure_verdicts(engine, sweep)
    return sweep


def store_running_sweep(engine: Engine, dataset: Dataset, name: str = "running") -> Sweep:
    """Of four trials one has succeeded, one is in epoch 3, two wait."""
    configs = sample_configs(4)
    protocol = Protocol(k=K, objective=f"ndcg@{K}", test_fraction=0.1)
    sweep = store_sweep(engine, dataset, configs, name=name, protocol=protocol)
    store_result(engine, sweep.sweep_id, configs[0].label, dataset, sample_result(dataset, 3))
    claim = claim_label(engine, sweep.sweep_id, configs[1].label)
    for epoch in (1, 2, 3):
        record = EpochRecord(
            epoch=epoch, loss=1 / epoch, val_loss=1.0, val_rmse=0.9, seconds=0.1, objective=0.1
        )
        record_epoch(engine, claim.trial_id, claim.attempt, record)
    return sweep


def store_failed_sweep(engine: Engine, dataset: Dataset, name: str = "failed") -> Sweep:
    """Nothing succeeded."""
    configs = sample_configs(2)
    sweep = store_sweep(engine, dataset, configs, name=name, protocol=Protocol(k=K))
    for config in configs:
        claim = claim_label(engine, sweep.sweep_id, config.label)
        fail_trial(
            engine,
            claim.trial_id,
            claim.attempt,
            "out_of_memory",
            "the trial needs 9.1 GB, the limit is 2 GB",
        )
    mark_ended_sweeps(engine)
    return sweep
