"""Small data sets, configurations and results for tests; every number follows from the arguments."""

import itertools
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import numpy as np
import redis
from sqlalchemy import Engine, text

from shared.datasets.dataset import Dataset
from shared.domain.families.tower import Tower
from shared.domain.protocol import Protocol
from shared.domain.training import TrainingConfig
from shared.domain.trial import TrialConfig
from shared.queue import QUEUE_NAME
from shared.store import (
    Claim,
    EpochRecord,
    Hits,
    QueuedTrial,
    RankedItems,
    RatedItems,
    Sweep,
    TrialResult,
    UserResults,
    add_trials,
    claim_trial,
    create_sweep,
    finish_trial,
    mark_ended_sweeps,
    save_dataset,
    sweep_trials,
)

DEFAULT_SEED = TrainingConfig().random_seed
RANKINGS = ("ndcg", "recall", "precision", "map", "hit_rate", "mrr")
_tags = itertools.count(1)


def make_dataset(n_users: int = 4, n_items: int = 8, n_rated: int = 3, name: str = "tiny") -> Dataset:
    """User u rated the items u, u + 1, … (n_rated of them, modulo n_items) with 1, 2, 3, 4, 5, 1, …

    Users are "1" to n_users and items "10", "20", …; every item is a "Drama", even rows a "Comedy" too.
    """
    user_index = np.repeat(np.arange(n_users, dtype=np.int32), n_rated)
    step = np.tile(np.arange(n_rated, dtype=np.int32), n_users)
    return Dataset(
        name=name,
        is_synthetic=True,
        user_ids=np.array([str(number + 1) for number in range(n_users)]),
        item_ids=np.array([str(10 * (number + 1)) for number in range(n_items)]),
        user_index=user_index,
        item_index=((user_index + step) % n_items).astype(np.int32),
        ratings=(step % 5 + 1).astype(np.float32),
        timestamps=np.zeros(len(user_index), np.int64),
        titles=np.array([f"Item {number}" for number in range(n_items)]),
        genres=np.array(["Drama|Comedy" if number % 2 == 0 else "Drama" for number in range(n_items)]),
    )


def make_config(merge: str = "concatenate", embedding_size: int = 4, seed: int = DEFAULT_SEED) -> TrialConfig:
    """An architecture with dense layers 2 and 1."""
    return TrialConfig(
        architecture=Tower(merge=merge, embedding_size=embedding_size, dense_layers=(2, 1)),
        training=TrainingConfig(random_seed=seed),
    )


def make_ranked(dataset: Dataset, k: int = 2, seed: int = 0) -> RankedItems:
    """The first k unrated items of every user after a shuffle by `seed`, with scores 5, 4.5, 4, …"""
    rated = set(zip(dataset.user_index.tolist(), dataset.item_index.tolist(), strict=True))
    order = np.random.default_rng(seed).permutation(dataset.n_items).tolist()
    rows = [
        (user, rank, item, 5.5 - 0.5 * rank)
        for user in range(dataset.n_users)
        for rank, item in enumerate([item for item in order if (user, item) not in rated][:k], start=1)
    ]
    user_index, ranks, item_index, scores = (list(column) for column in zip(*rows, strict=True))
    return RankedItems(
        user_index=np.array(user_index, np.int32),
        rank=np.array(ranks, np.int32),
        item_index=np.array(item_index, np.int32),
        score=np.array(scores, np.float32),
    )


def make_rating_predictions(dataset: Dataset, k: int = 2) -> RatedItems:
    """The k top-rated items of every user; each prediction is half a star too high."""
    order = np.lexsort((dataset.item_index, -dataset.ratings, dataset.user_index))
    users = dataset.user_index[order]
    rank = np.arange(len(order)) - np.searchsorted(users, users) + 1
    top = order[rank <= k]
    return RatedItems(
        user_index=dataset.user_index[top],
        rank=rank[rank <= k].astype(np.int32),
        item_index=dataset.item_index[top],
        rating=dataset.ratings[top],
        prediction=dataset.ratings[top] + np.float32(0.5),
    )


def make_epochs(n_epochs: int) -> tuple[EpochRecord, ...]:
    """Epoch n has the validation loss 1 + 1/n."""
    return tuple(
        EpochRecord(epoch=n, loss=1 / n, val_loss=1 + 1 / n, val_rmse=(1 + 1 / n) ** 0.5, seconds=0.1)
        for n in range(1, n_epochs + 1)
    )


def make_hits(rows: Sequence[tuple[int, int, int]] = ()) -> Hits:
    """Hits of user_index, rank, item_index, in the order of users and ranks."""
    columns = np.array(rows, np.int32).reshape(-1, 3).T
    return Hits(*columns)


def make_user_results(
    dataset: Dataset,
    *,
    error: float = 0.9,
    ndcg: float = 0.1,
    seed: int = 0,
    predicts_ratings: bool = True,
    hits: Hits | None = None,
) -> UserResults:
    """One held out rating a user; the last third of the users have no relevant item.

    Without `hits` no item was found, whatever the rankings say.

    Errors are about `error` and ndcg about `ndcg`: every user has a level, from half to one and a half,
    around which trials scatter by a tenth, by `seed`. User u has u + 1 training ratings.
    """
    n_users = dataset.n_users
    level = np.random.default_rng(99).uniform(0.5, 1.5, n_users)
    of_trial = level + np.random.default_rng(seed).normal(0, 0.1, n_users)
    of_trial /= of_trial.mean()
    rankings = {name: (ndcg * of_trial).astype(np.float32) for name in RANKINGS}
    for values in rankings.values():
        values[2 * n_users // 3 :] = np.nan
    return UserResults(
        user_index=np.arange(n_users, dtype=np.int32),
        n_train_ratings=np.arange(1, n_users + 1, dtype=np.int32),
        n_ratings=np.ones(n_users, np.int32),
        squared_error=error**2 * of_trial if predicts_ratings else None,
        absolute_error=error * of_trial if predicts_ratings else None,
        rankings=rankings,
        hits=hits or make_hits(),
    )


def make_result(
    dataset: Dataset,
    *,
    val_rmse: float = 0.9,
    ndcg: float = 0.1,
    k: int = 2,
    seed: int = 0,
    n_epochs: int = 3,
    user_results: Mapping[str, UserResults] | None = None,
) -> TrialResult:
    """A whole result; without epochs that of a baseline, without results of users that of version 0.1."""
    epochs = make_epochs(n_epochs)
    return TrialResult(
        n_parameters=77,
        best_epoch=n_epochs or None,
        val_loss=val_rmse**2 if epochs else None,
        val_rmse=val_rmse,
        metrics={
            "validation": {"rmse": val_rmse, "mae": val_rmse / 2, f"ndcg@{k}": ndcg, f"recall@{k}": ndcg / 2}
        },
        epochs=epochs,
        recommendations=make_ranked(dataset, k, seed),
        rating_predictions=make_rating_predictions(dataset, k),
        model_url="file:///models/model.keras" if epochs else None,
        log_url="file:///models/trial.log",
        train_seconds=1.5,
        peak_memory_bytes=1_000_000,
        user_results=user_results or {},
    )


def store_sweep(
    engine: Engine,
    dataset: Dataset,
    configs: Sequence[TrialConfig],
    *,
    name: str = "small",
    protocol: Protocol | None = None,
) -> Sweep:
    """A stored sweep with its trials queued."""
    sweep = create_sweep(
        engine,
        name,
        save_dataset(engine, dataset),
        spec={"sweep": name},
        protocol=protocol or Protocol(k=2),
        code_version="test",
    )
    add_trials(engine, sweep.sweep_id, configs)
    return sweep


def claim_label(engine: Engine, sweep_id: int, label: str, lease_seconds: float = 60) -> Claim:
    """The claim of a trial known to be free."""
    (trial_id,) = [trial.trial_id for trial in sweep_trials(engine, sweep_id) if trial.label == label]
    claim = claim_trial(engine, trial_id, "worker-1", lease_seconds, "test")
    if claim is None:
        raise AssertionError(f"trial {label} is not free")
    return claim


def store_result(engine: Engine, sweep_id: int, label: str, dataset: Dataset, result: TrialResult) -> int:
    """Run a queued trial to its end in no time, as the watcher notices; gives its `trial_id`."""
    claim = claim_label(engine, sweep_id, label)
    if not finish_trial(engine, claim, result, dataset):
        raise AssertionError(f"trial {label} was superseded")
    mark_ended_sweeps(engine)
    return claim.trial_id


def make_queued(trial_id: int, label: str = "label") -> QueuedTrial:
    """A queued trial that is in no database."""
    queued_at = datetime(2026, 1, 1, tzinfo=UTC)
    return QueuedTrial(trial_id, 1, label, make_config(), attempt=0, worker=None, queued_at=queued_at)


def deliver_message(broker_url: str) -> None:
    """What Redis holds once a worker has taken the message that waited longest and not acknowledged it."""
    with redis.Redis.from_url(broker_url, decode_responses=True) as client:
        message = client.rpop(QUEUE_NAME)
        client.hset("unacked", f"tag-{next(_tags)}", f'[{message}, "", "{QUEUE_NAME}"]')


def expire_leases(engine: Engine) -> None:
    """As if every running worker had stopped answering."""
    with engine.begin() as connection:
        connection.execute(
            text("update trials set lease_expires_at = now() - interval '1 second' where status = 'running'")
        )
