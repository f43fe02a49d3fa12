"""The command behind `make verify`, with the URLs of a worker in the environment."""

import sys

import click

from shared import store
from shared.console import console
from shared.datasets import load_prepared, split_ratings
from shared.settings import load_settings
from worker.process.compiled_programs import keep_compiled_programs
from worker.process.database import database_engine
from worker.process.quiet import quiet_tensorflow


@click.command()
@click.argument("sweep_id", type=int)
def main(sweep_id: int) -> None:
    """Recompute the numbers and lists of a sweep, check the contract, say what differs."""
    settings = load_settings()
    keep_compiled_programs(settings.cache_dir)
    quiet_tensorflow()
    # It imports TensorFlow.
    from worker.verify.differences import find_differences  # noqa: PLC0415

    engine = database_engine()
    sweep = store.get_sweep(engine, sweep_id)
    artifact_root = store.artifact_root(engine, settings.artifacts)
    dataset = load_prepared(artifact_root, sweep.fingerprint, settings.cache_dir)
    split = split_ratings(dataset, sweep.protocol)
    configs = {trial.trial_id: trial.config for trial in store.sweep_trials(engine, sweep.sweep_id)}
    n_differences = 0
    for row in store.leaderboard(engine, sweep.sweep_id):
        if row.status != "succeeded":
            console.print(f"{row.label}: not checked, it is {row.status}")
            continue
        found = find_differences(engine, sweep, row, configs[row.trial_id], dataset, split)
        n_differences += len(found.differences)
        not_kept = f" ({found.not_kept})" if found.not_kept else ""
        console.print(f"{row.label}: {'; '.join(found.differences) or 'as stored'}{not_kept}")
    broken = store.verify_recommendations(engine, sweep.sweep_id, dataset, split)
    for one in broken:
        console.print(f"{one.label}: {one.check}: {one.n_rows} rows, such as {one.example}")
    if n_differences or broken:
        console.print(f"Sweep {sweep.sweep_id}: {n_differences + len(broken)} differences")
        sys.exit(1)
    console.print(
        f"Sweep {sweep.sweep_id}: metrics, lists, rating predictions and results of users follow from the "
        f"saved models, and "
        f"every list keeps the contract ({', '.join(name for name, _ in store.list_checks())})"
    )
