"""Commands that start and stop sweeps."""

import sys

import click
from sqlalchemy import Engine

from scheduler.commands.connection import SWEEP_OPTION, open_store, require_sweep
from scheduler.commands.named_data import leave_out_forgotten, resolve_named_data
from scheduler.commands.results import print_leaderboard
from scheduler.commands.serving import print_served
from scheduler.machine import Endpoints, ensure_services
from scheduler.progress import watch_sweep
from scheduler.sweep.dispatch import dispatch, make_plan, remove_old_checkpoints, stored_trials
from scheduler.sweep.end import SweepEnd, judge_end
from scheduler.sweep.expand import expand
from scheduler.sweep.spec import SweepSpec, find_sweep_file, read_spec
from shared import store
from shared.console import console, describe_data
from shared.ending import INTERRUPTED
from shared.settings import load_settings
from shared.store import Sweep, Trial
from shared.store.database import create_engine


@click.command()
@click.option("--sweep", "sweep_name", envvar="SWEEP", default="reference", help="Sweep file.")
@click.option("--dataset", "dataset_name", envvar="DATASET", default=None, help="A MovieLens set, or sample.")
@click.option("--fresh", envvar="FRESH", is_flag=True, help="Start a new sweep beside the stored one.")
@click.option("--workers", envvar="WORKERS", type=click.IntRange(min=1), default=None, help="Task processes.")
@click.option("--dry-run", envvar="DRY_RUN", is_flag=True, help="Print the plan and stop.")
def sweep(sweep_name: str, dataset_name: str | None, fresh: bool, workers: int | None, dry_run: bool) -> None:
    """Train all architectures of a sweep file and show the leaderboard."""
    settings = load_settings()
    spec = read_spec(find_sweep_file(sweep_name))
    resolved = resolve_named_data(dataset_name, settings)
    endpoints = ensure_services(settings, workers)
    engine = create_engine(endpoints.database_url)
    dataset = leave_out_forgotten(engine, resolved.dataset)
    console.print(
        f"Data {describe_data(dataset.name, is_synthetic=dataset.is_synthetic)}: "
        f"{dataset.n_users:,} users, {dataset.n_items:,} items, {dataset.n_ratings:,} ratings"
    )
    if dry_run:
        _print_plan(spec, [] if fresh else stored_trials(engine, spec, dataset))
        return
    artifact_root = store.artifact_root(engine, settings.artifacts)
    stored_sweep, plan = dispatch(
        engine, endpoints.broker_url, artifact_root, spec, dataset, fresh=fresh, source=resolved.source
    )
    trial_ids = [trial.trial_id for trial in store.sweep_trials(engine, stored_sweep.sweep_id)]
    remove_old_checkpoints(settings.artifacts, trial_ids)
    try:
        console.print(f"Sweep {stored_sweep.sweep_id} {spec.name}, {plan.n_trials} trials: {plan}")
        if endpoints.flower_url:
            console.print(f"Flower: {endpoints.flower_url}")
        trials = watch_sweep(
            engine, endpoints.broker_url, stored_sweep.sweep_id, console, stored_sweep.protocol.objective
        )
    except KeyboardInterrupt:
        console.print()
        console.print("The sweep goes on without you. Watch it: make sweep again. Stop it: make cancel")
        sys.exit(INTERRUPTED)
    store.mark_ended_sweeps(engine)
    _print_end(engine, artifact_root, endpoints, stored_sweep, judge_end(expand(spec), trials))


@click.command()
@SWEEP_OPTION
def cancel(sweep_name: str | None) -> None:
    """Stop the latest sweep, its refits and refreshes of its data set: queued trials never start."""
    engine, _ = open_store()
    stored_sweep = require_sweep(engine, sweep_name)
    refits = store.refits_of_sweep(engine, stored_sweep.sweep_id)
    open_refits = [refit.label for refit in refits if refit.status in ("queued", "running")]
    n_queued, n_running = store.cancel_sweep(engine, stored_sweep.sweep_id)
    _cancel_refreshes(engine, stored_sweep.dataset_name)
    if n_queued + n_running == 0:
        console.print(f"Sweep {stored_sweep.sweep_id} {stored_sweep.name}: nothing to cancel")
        return
    console.print(
        f"Sweep {stored_sweep.sweep_id} {stored_sweep.name}: {n_queued} queued trials cancelled, "
        f"{n_running} running ones stop within seconds. `make sweep` resumes it."
    )
    if open_refits:
        console.print(f"Among them {', '.join(open_refits)}, which `make promote` takes up again.")


def _cancel_refreshes(engine: Engine, dataset_name: str) -> None:
    for one in store.list_sweeps(engine):
        is_of_it = one.is_refresh and one.dataset_name == dataset_name
        if is_of_it and any(store.cancel_sweep(engine, one.sweep_id)):
            console.print(
                f"A refresh of {dataset_name} was stopped too (sweep {one.sweep_id}); `make refresh` takes "
                "it up again."
            )


def _print_plan(spec: SweepSpec, stored: list[Trial]) -> None:
    configs = expand(spec)
    plan = make_plan(configs, stored)
    console.print(f"Sweep {spec.name}, {plan.n_trials} trials: {plan}")
    for config in plan.to_run:
        console.print(f"  to run: {config.label}")


def _print_end(
    engine: Engine, artifact_root: str, endpoints: Endpoints, stored_sweep: Sweep, end: SweepEnd
) -> None:
    print_leaderboard(engine, stored_sweep)
    for line in end.lines():
        console.print(line)
    for trial in end.failed:
        console.print(f"failed: {trial.label}: {trial.error_reason}: {trial.error_message}", style="red")
    print_served(engine, stored_sweep.dataset_name)
    if endpoints.flower_url:
        console.print(f"Flower:  {endpoints.flower_url}")
    console.print("SQL:     make psql          One user: make recommend USER=…")
    console.print(f"Models:  {artifact_root}/sweep-{stored_sweep.sweep_id}")
    if end.failed:
        console.print("`make sweep` runs the failed trials again.")
        sys.exit(1)
