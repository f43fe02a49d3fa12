"""Time and memory of the top 20 of every user; prints Markdown rows.

    DATA_DIR=… python -m tests.benchmarks.bench_recommend    all users of ML-1M, each kind of head
    python -m tests.benchmarks.bench_recommend --large       200,000 users x 80,000 items, product head

Weights are random: time does not depend on their values, except for the few pairs that are scored again.
`implicit` is timed beside ours where it is installed, on the same embeddings and seen items.
"""

# ruff: noqa: E402  Threads are set before the libraries that read them are imported.

import os

# One thread for each library, as workers have it; more than one are ours.
for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
    os.environ[_name] = "1"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import argparse
import importlib
import importlib.util
import time
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
from scipy.sparse import csr_matrix

from shared.datasets import Dataset, load_dataset, split_ratings
from shared.domain.families import BASELINES
from shared.domain.families.tower import Tower
from shared.domain.protocol import Protocol
from shared.settings import load_settings
from tests.benchmarks.report import describe, judge, megabytes, print_note, print_table, seconds
from worker.families.contract import FitContext
from worker.families.registry import family_of
from worker.families.tower.scorer import weights_scorer
from worker.families.tower.weights import Weights
from worker.metrics import measure as measure_metrics
from worker.process.memory import peak_memory_bytes
from worker.ranking.scorers import Scorer
from worker.ranking.top_k import predict_top_rated, recommend_all
from worker.trial import fit_data

EMBEDDING_SIZE = 50
HEADS = [
    *(Tower(merge, EMBEDDING_SIZE, (64, 32, 1)) for merge in ("concatenate", "multiply", "average", "dot")),
    *(Tower(merge, EMBEDDING_SIZE, (64, 32, 1), "relu") for merge in ("concatenate", "multiply", "average")),
    Tower("concatenate", EMBEDDING_SIZE, (64, 32, 1), "gelu"),
]
PROTOCOL = Protocol()
KERAS_BATCH = 2**16
# Seconds on two cores.
LINEAR_BAR, ACTIVATION_BARS = 1, {"relu": 3}


def random_weights(architecture: Tower, n_users: int, n_items: int) -> Weights:
    rng = np.random.default_rng(0)
    size = architecture.embedding_size
    n_inputs = 2 * size if architecture.merge == "concatenate" else size
    dense = []
    for n_outputs in architecture.dense_layers:
        kernel = rng.normal(scale=n_inputs**-0.5, size=(n_inputs, n_outputs)).astype(np.float32)
        dense.append((kernel, np.full(n_outputs, 0.1, np.float32)))
        n_inputs = n_outputs
    users, items = (rng.normal(scale=0.5, size=(n, size)).astype(np.float32) for n in (n_users, n_items))
    return Weights(users, items, tuple(dense))


def random_dataset(n_users: int, n_items: int, n_ratings_a_user: int) -> Dataset:
    rng = np.random.default_rng(0)
    # Popular items first: the place of an item falls off as the square of a uniform number.
    place = (rng.random(n_users * n_ratings_a_user) ** 2 * n_items).astype(np.int64)
    user = np.repeat(np.arange(n_users), n_ratings_a_user)
    user, item = np.divmod(np.unique(user * n_items + place), n_items)
    return Dataset(
        name="random",
        is_synthetic=True,
        user_ids=np.arange(n_users).astype(str),
        item_ids=np.arange(n_items).astype(str),
        user_index=user.astype(np.int32),
        item_index=item.astype(np.int32),
        ratings=rng.integers(1, 6, len(user)).astype(np.float32),
        timestamps=np.zeros(len(user), np.int64),
        titles=np.full(n_items, ""),
        genres=np.full(n_items, ""),
    )


def best_of(repeats: int, call: Callable[[], object]) -> float:
    """The shortest time in seconds; the first call, which may compile, is not counted when there are more."""
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        call()
        times.append(time.perf_counter() - started)
    return min(times)


def first_time(call: Callable[[], object]) -> float:
    return best_of(1, call)


def print_heads(dataset: Dataset, repeats: int) -> None:
    """One row a head: lists, then all that a trial needs after training."""
    print_table(
        ("head", "first call, 1 thread, s", "1 thread, s", "2 threads, s", "bar", "+ top-rated, metrics, s"),
        head_rows(dataset, repeats),
        f"Top {PROTOCOL.k} of {dataset.n_users:,} users x {dataset.n_items:,} items, {dataset.name}",
    )


def head_rows(dataset: Dataset, repeats: int) -> Iterator[tuple[object, ...]]:
    split = split_ratings(dataset, PROTOCOL)

    def evaluate(scorer: Scorer, *, predicts_ratings: bool = True) -> None:
        rankings = recommend_all(scorer, dataset, split, PROTOCOL)
        measure_metrics(scorer, dataset, split, PROTOCOL, rankings, predicts_ratings=predicts_ratings)
        predict_top_rated(scorer, dataset, PROTOCOL, predicts_ratings=predicts_ratings)

    for architecture in HEADS:
        weights = random_weights(architecture, dataset.n_users, dataset.n_items)
        scorer = weights_scorer(architecture, weights, dataset.n_items)
        rank = partial(recommend_all, scorer, dataset, split, PROTOCOL)
        first = first_time(rank)
        one, two = best_of(repeats, rank), best_of(repeats, partial(rank, n_threads=2))
        everything = best_of(repeats, partial(evaluate, scorer))
        limit = LINEAR_BAR if architecture.is_linear else ACTIVATION_BARS.get(architecture.activation)
        bar = f"≤ {limit}: {judge(is_met=two <= limit)}" if limit else ""
        yield describe(architecture), *map(seconds, (first, one, two)), bar, seconds(everything)
    data = fit_data(dataset, split, PROTOCOL)
    for baseline in (kind() for kind in BASELINES):
        family = family_of(baseline)
        fit = first_time(partial(family.fit, baseline, None, data, FitContext()))
        scorer = family.make_scorer(baseline, family.fit(baseline, None, data, FitContext()).weights, data)
        everything = best_of(repeats, partial(evaluate, scorer, predicts_ratings=baseline.predicts_ratings))
        yield f"{baseline.family}, fitted in {seconds(fit)} s", "", "", "", "", seconds(everything)


def print_dot_with_activation(dataset: Dataset, n_users: int) -> None:
    """Fifty towers a pair: timed on some users."""
    architecture = Tower("dot", EMBEDDING_SIZE, (64, 32, 1), "relu")
    scorer = weights_scorer(
        architecture, random_weights(architecture, dataset.n_users, dataset.n_items), dataset.n_items
    )
    scorer.score_block(np.arange(1))
    spent = first_time(lambda: scorer.score_block(np.arange(n_users)))
    print_note(
        f"{describe(architecture)}, scores of {n_users} users, 1 thread: {seconds(spent)} s; all users, "
        f"extrapolated: {seconds(spent * dataset.n_users / n_users)} s."
    )


def print_keras(dataset: Dataset, n_users: int) -> None:
    """Keras' predict over all pairs of some users."""
    keras_model = importlib.import_module("worker.families.tower.model")
    architecture = Tower("concatenate", EMBEDDING_SIZE, (64, 32, 1), "relu")
    model = keras_model.build_model(architecture, dataset.n_users, dataset.n_items, random_seed=0).serving
    user = np.repeat(np.arange(n_users), dataset.n_items)[:, None]
    item = np.tile(np.arange(dataset.n_items), n_users)[:, None]

    def predict() -> None:
        model.predict([user, item], batch_size=KERAS_BATCH, verbose=0)

    predict()
    spent = first_time(predict)
    print_note(
        f"Keras predict, {describe(architecture)}, all pairs of {n_users} users, batch {KERAS_BATCH:,}, "
        f"1 thread: {seconds(spent)} s; all users, extrapolated, no top k: "
        f"{seconds(spent * dataset.n_users / n_users)} s."
    )


def print_implicit(dataset: Dataset, repeats: int) -> None:
    """The same embeddings and seen items through implicit's top k."""
    if importlib.util.find_spec("implicit") is None:
        print_note("implicit is not installed here: not timed beside ours.")
        return
    topk = importlib.import_module("implicit.cpu.topk").topk
    architecture = Tower("multiply", EMBEDDING_SIZE, (1,))
    weights = random_weights(architecture, dataset.n_users, dataset.n_items)
    split = split_ratings(dataset, PROTOCOL)
    scorer = weights_scorer(architecture, weights, dataset.n_items)
    users = weights.user_embedding * weights.dense[0][0][:, 0]
    seen = csr_matrix(
        (np.ones(dataset.n_ratings, np.float32), (dataset.user_index, dataset.item_index)),
        shape=(dataset.n_users, dataset.n_items),
    )
    rank = partial(recommend_all, scorer, dataset, split, PROTOCOL)
    ours = [best_of(repeats, partial(rank, n_threads=n)) for n in (1, 2)]
    their_rank = partial(topk, weights.item_embedding, users, PROTOCOL.k, filter_query_items=seen)
    theirs = [best_of(repeats, partial(their_rank, num_threads=n)) for n in (1, 2)]
    print_table(
        ("product head", "1 thread, s", "2 threads, s"),
        (
            ("recsweep: float64-exact lists, and the lists for metrics", *map(seconds, ours)),
            ("implicit: float32 lists", *map(seconds, theirs)),
        ),
        "Beside implicit, same embeddings",
    )


def print_large(n_users: int, n_items: int) -> None:
    dataset = random_dataset(n_users, n_items, n_ratings_a_user=50)
    split = split_ratings(dataset, PROTOCOL)
    architecture = Tower("multiply", EMBEDDING_SIZE, (64, 32, 1))
    scorer = weights_scorer(architecture, random_weights(architecture, n_users, n_items), n_items)
    before = peak_memory_bytes()
    spent = first_time(lambda: recommend_all(scorer, dataset, split, PROTOCOL, n_threads=2))
    print_note(
        f"{n_users:,} users x {n_items:,} items, {dataset.n_ratings:,} ratings, {describe(architecture)}, "
        f"2 threads, the whole of it: {seconds(spent)} s; peak memory {megabytes(peak_memory_bytes())} MB, "
        f"{megabytes(before)} MB of it before ranking "
        f"(all scores at once: {megabytes(n_users * n_items * 4)} MB)."
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--large", action="store_true")
    parser.add_argument("--users", type=int, default=200_000)
    parser.add_argument("--items", type=int, default=80_000)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    if options.large:
        print_large(options.users, options.items)
        return
    dataset = load_dataset("ml-1m", load_settings())
    print_heads(dataset, options.repeats)
    print_dot_with_activation(dataset, n_users=100)
    print_implicit(dataset, options.repeats)
    print_keras(dataset, n_users=200)


if __name__ == "__main__":
    main()
