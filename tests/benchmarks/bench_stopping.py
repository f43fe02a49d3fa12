"""Stopping early: how many epochs it saves, and whether the best trial is still found. On MovieLens 100K.

Every trial of a grid is trained to its end once for each seed. Then each rule is replayed over what was
measured, with two simulated workers and the statements of production, on a database of its own.
"""

import argparse
import heapq
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
from sqlalchemy import Engine, text

from scheduler.machine import clean_services, ensure_services
from shared import store
from shared.datasets import Dataset, resolve_dataset, store_prepared
from shared.domain.families.matrix_factorization import MatrixFactorization
from shared.domain.protocol import Protocol
from shared.domain.results import EpochRecord
from shared.domain.stopping import Stopping
from shared.domain.training import TrainingConfig
from shared.domain.trial import TrialConfig
from shared.errors import DatasetError
from shared.settings import Settings, load_settings
from shared.store import Claim
from shared.store.database import create_engine
from tests.benchmarks.fresh_process import measure
from tests.benchmarks.report import judge, print_heading, print_note, print_table

# The defaults of `Stopping` were chosen on seeds 100 to 102, which are none of these.
SEEDS = tuple(range(10))
RULES = (Stopping("successive_halving"), Stopping("median"))
N_WORKERS = 2
PROTOCOL = Protocol(objective="ndcg@20")
SIZES, LEARNING_RATES, USER_L2 = (16, 32, 64), (0.01, 0.03, 0.09), (0.1, 0.5, 2.0)
# Of successive halving: the most epochs, as a share of the full run's; how near to its winner, how often.
MOST_EPOCHS, NEAR, N_NEAR = 0.4, 0.002, 9

Histories = Sequence[Sequence[float]]


@dataclass(frozen=True)
class Replay:
    """What a rule makes of a full run: its share of the epochs, and how far its winner is behind."""

    epochs: float
    n_stopped: int
    behind: float


def grid() -> list[TrialConfig]:
    """The 27 configurations, in the order in which they are published."""
    trials = []
    for size, learning_rate, user_l2 in product(SIZES, LEARNING_RATES, USER_L2):
        architecture = MatrixFactorization(size=size, user_l2=user_l2)
        training = asdict(architecture.default_training) | {"learning_rate": learning_rate}
        trials.append(TrialConfig(architecture, TrainingConfig(**training)))
    return trials


def in_order_of_publishing(trials: Sequence[TrialConfig]) -> list[int]:
    """The most expensive first, as `make sweep` does."""
    return sorted(range(len(trials)), key=lambda number: trials[number].expected_cost, reverse=True)


def histories_of(prepared: str, seed: int, folder: Path | None) -> Histories:
    """ndcg@20 after each epoch of each trial; kept in the folder, where one is given, for another rule."""
    kept = None if folder is None else folder / f"histories-{seed}.json"
    if kept is not None and kept.exists():
        found: Histories = json.loads(kept.read_text())
        return found
    trials = [_arguments(trial) for trial in grid()]
    measured: dict[str, Any] = measure(
        "stopping_times:histories", prepared=prepared, trials=trials, seed=seed
    )
    if kept is not None:
        kept.write_text(json.dumps(measured["histories"]))
    histories: Histories = measured["histories"]
    return histories


def _arguments(trial: TrialConfig) -> dict[str, Any]:
    training = asdict(trial.training) if trial.training else {}
    del training["random_seed"]
    return {"architecture": asdict(trial.architecture), "training": training}


def replay(engine: Engine, dataset_id: int, rule: Stopping, histories: Histories) -> Replay:
    """Two workers take the trials in their order; epochs take as long as a trial costs."""
    trials = grid()
    waiting = in_order_of_publishing(trials)
    claims: dict[int, Claim] = {}
    sweep = store.create_sweep(
        engine,
        "bench",
        dataset_id,
        spec={"stopping": rule.canonical},
        protocol=PROTOCOL,
        code_version="bench",
    )
    store.add_trials(engine, sweep.sweep_id, trials)
    ids = {trial.config_hash: trial.trial_id for trial in store.sweep_trials(engine, sweep.sweep_id)}
    running: list[tuple[float, int, int]] = []

    def take(now: float) -> None:
        if not waiting:
            return
        number = waiting.pop(0)
        claim = store.claim_trial(engine, ids[trials[number].config_hash], "bench", 3600, "bench")
        if claim is None:
            sys.exit("a trial of the benchmark is not free")
        claims[number] = claim
        heapq.heappush(running, (now + trials[number].expected_cost, number, 1))

    for worker in range(N_WORKERS):
        # Not in step, as two workers never are.
        take(worker / 2)
    n_epochs = n_stopped = 0
    best = -np.inf
    while running:
        now, number, epoch = heapq.heappop(running)
        value = histories[number][epoch - 1]
        n_epochs += 1
        record = EpochRecord(epoch, 0.0, None, None, 1.0, value)
        claim = claims[number]
        store.record_epoch(engine, claim.trial_id, claim.attempt, record)
        if store.stop_hopeless(engine, claim, epoch) is not None:
            n_stopped += 1
            take(now)
        elif epoch == len(histories[number]):
            best = max(best, *histories[number])
            _succeed(engine, claim)
            take(now)
        else:
            heapq.heappush(running, (now + trials[number].expected_cost, number, epoch + 1))
    of_full_run = sum(len(history) for history in histories)
    return Replay(n_epochs / of_full_run, n_stopped, max(max(history) for history in histories) - best)


def _succeed(engine: Engine, claim: Claim) -> None:
    """As if its result had been stored: the rules look at nothing of it."""
    with engine.begin() as connection:
        connection.execute(
            text("""
                update trials set status = 'succeeded', lease_expires_at = null, finished_at = now(),
                    n_parameters = 1, train_seconds = 1, log_url = 'bench'
                where trial_id = :trial_id
            """),
            {"trial_id": claim.trial_id},
        )


def rows(replays: dict[str, list[Replay]]) -> Iterator[tuple[object, ...]]:
    for rule, of_seeds in replays.items():
        epochs = mean(one.epochs for one in of_seeds)
        n_near = sum(one.behind <= NEAR for one in of_seeds)
        wanted = N_NEAR * len(of_seeds) / len(SEEDS)
        is_met = epochs <= MOST_EPOCHS and n_near >= wanted
        yield (
            rule,
            f"{epochs:.0%}",
            f"{min(one.epochs for one in of_seeds):.0%} to {max(one.epochs for one in of_seeds):.0%}",
            f"{mean(one.n_stopped for one in of_seeds):.1f}",
            f"{max(one.behind for one in of_seeds):.4f}",
            f"{n_near} of {len(of_seeds)}",
            f"≤ {MOST_EPOCHS:.0%}, ≥ {N_NEAR} of {len(SEEDS)}: {judge(is_met=is_met)}"
            if rule == "successive_halving"
            else "",
        )


@contextmanager
def scratch_engine() -> Iterator[Engine]:
    """A database of its own, which is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="recsweep-bench-") as folder:
        Path(folder).chmod(0o755)
        settings = Settings.model_validate(
            {"state_dir": Path(folder) / "state", "database_url": None, "broker_url": None}
        )
        try:
            # No worker: it would take the trials.
            engine = create_engine(ensure_services(settings, n_workers=0).database_url)
            yield engine
            engine.dispose()
        finally:
            clean_services(settings)


def movielens_100k() -> Dataset:
    """The published ratings, in DATA_DIR or downloaded; without them, a message and exit."""
    try:
        return resolve_dataset("ml-100k", load_settings()).dataset
    except DatasetError as error:
        sys.exit(f"this benchmark measures on MovieLens 100K: {error}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="to try the script: its figures mean little")
    parser.add_argument("--keep", type=Path, help="folder that keeps what was trained, to replay it again")
    options = parser.parse_args()
    print_heading("Stopping the hopeless", "bench_stopping")
    dataset = movielens_100k()
    if options.keep is not None:
        options.keep.mkdir(parents=True, exist_ok=True)
    replays: dict[str, list[Replay]] = {rule.rule: [] for rule in RULES}
    with tempfile.TemporaryDirectory(prefix="recsweep-bench-") as folder, scratch_engine() as engine:
        store_prepared(Path(folder).as_uri(), dataset)
        prepared = str(Path(folder) / "datasets" / f"{dataset.fingerprint}.npz")
        dataset_id = store.save_dataset(engine, dataset)
        for seed in SEEDS[:1] if options.quick else SEEDS:
            histories = histories_of(prepared, seed, options.keep)
            for rule in RULES:
                replays[rule.rule].append(replay(engine, dataset_id, rule, histories))
    print_note(
        f"{len(grid())} trials of matrix_factorization on MovieLens 100K, size {SIZES}, learning rate "
        f"{LEARNING_RATES}, user_l2 {USER_L2}, at most 20 epochs; {N_WORKERS} workers. A seed draws "
        "the split and the weights. The defaults of [stopping] were chosen on other seeds."
    )
    columns = ("rule", "epochs", "range", "stopped", "winner behind, most", f"within {NEAR}", "bar")
    print_table(columns, rows(replays))


if __name__ == "__main__":
    main()
