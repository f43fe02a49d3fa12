"""Commands that start and stop sweeps."""

import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import click
from sqlalchemy import Engine

from scheduler.commands.connection import SWEEP_OPTION, open_store, require_sweep
from scheduler.commands.named_data import data_options, leave_out_forgotten, resolve_named_data
from scheduler.commands.results import print_leaderboard
from scheduler.commands.search_options import search_options
from scheduler.commands.serving import print_served
from scheduler.machine import Endpoints, database_folder, ensure_services
from scheduler.progress import watch_sweep
from scheduler.sweep.asked import asked_configs
from scheduler.sweep.blends import asked_blends
from scheduler.sweep.dispatch import Plan, dispatch, plan_of, remove_old_checkpoints, stored_trials
from scheduler.sweep.end import SweepEnd, judge_end
from scheduler.sweep.repeat_plan import end_lines, most_repeats, plan_lines
from scheduler.sweep.room import lists_of, require_room
from scheduler.sweep.search.belief import importance_of
from scheduler.sweep.search.words import describe_search, search_end
from scheduler.sweep.spec import SweepSpec, find_sweep_file, read_spec
from scheduler.sweep.suitable import suited_to
from shared import store
from shared.console import console, describe_data
from shared.cores import count_cores
from shared.datasets import Dataset, SourceOptions
from shared.datasets.sources.left_out import OnError
from shared.ending import INTERRUPTED
from shared.errors import StoreUnavailable
from shared.plain_text import shortened
from shared.settings import Settings, load_settings
from shared.store import Sweep
from shared.store.database import create_engine


@click.command()
@click.option("--sweep", "sweep_name", envvar="SWEEP", default="reference", help="Sweep file.")
@data_options
@click.option("--fresh", envvar="FRESH", is_flag=True, help="Start a new sweep beside the stored one.")
@click.option("--stopping", envvar="STOPPING", default=None, help="Rule that stops hopeless trials early.")
@click.option("--workers", envvar="WORKERS", type=click.IntRange(min=1), default=None, help="Task processes.")
@search_options
@click.option("--dry-run", envvar="DRY_RUN", is_flag=True, help="Print the plan and stop.")
def sweep(  # noqa: PLR0917  Its options.
    sweep_name: str,
    asked: str | None,
    name: str | None,
    on_error: OnError | None,
    max_skipped: int | None,
    fresh: bool,
    stopping: str | None,
    workers: int | None,
    dry_run: bool,
    **search: Any,  # noqa: ANN401  `search_options`.
) -> None:
    """Train all architectures of a sweep file and show the leaderboard."""
    settings = load_settings()
    spec = read_spec(find_sweep_file(sweep_name), search, stopping)
    resolved = resolve_named_data(asked, SourceOptions(name or None, on_error, max_skipped), settings)
    spec = suited_to(spec, resolved.dataset)
    endpoints = ensure_services(settings, workers)
    engine = create_engine(endpoints.database_url)
    dataset = leave_out_forgotten(engine, resolved.dataset)
    console.print(
        f"Data {describe_data(dataset.name, is_synthetic=dataset.is_synthetic)}: "
        f"{dataset.n_users:,} users, {dataset.n_items:,} items, {dataset.n_ratings:,} ratings"
    )
    stored, proposals = ([], []) if fresh else stored_trials(engine, spec, dataset)
    reprieved = store.reprieved_trials(engine, stored, spec.protocol, spec.stopping)
    plan = plan_of(spec, stored, proposals, reprieved)
    asked_now = asked_configs(spec, stored, proposals)
    n_repeats = most_repeats(spec, asked_now, stored, plan.n_to_choose)
    if dry_run:
        _print_plan(spec, plan)
        for line in describe_search(spec, dataset.n_ratings, workers or count_cores(), plan.n_to_choose):
            console.print(line)
    for line in plan_lines(spec, n_repeats):
        console.print(line)
    _check_room(spec, plan, dataset, settings, workers or count_cores(), n_repeats)
    if dry_run:
        return
    artifact_root = store.artifact_root(engine, settings.artifacts)
    stored_sweep, plan = dispatch(
        engine, endpoints.broker_url, artifact_root, spec, dataset, fresh=fresh, source=resolved.source
    )
    trial_ids = [trial.trial_id for trial in store.sweep_trials(engine, stored_sweep.sweep_id)]
    remove_old_checkpoints(settings.artifacts, trial_ids)
    try:
        console.print(f"Sweep {stored_sweep.sweep_id} {spec.name}, {plan.n_trials} trials: {plan}")
        _print_gone(engine, stored_sweep.sweep_id)
        if endpoints.flower_url:
            console.print(f"Flower: {endpoints.flower_url}")
        if endpoints.dashboard_url:
            console.print(f"Page:   {endpoints.dashboard_url}/sweeps/{stored_sweep.sweep_id}")
        trials = watch_sweep(
            engine,
            endpoints.broker_url,
            stored_sweep.sweep_id,
            console,
            stored_sweep.protocol.objective,
            spec=spec,
        )
    except KeyboardInterrupt:
        console.print()
        console.print("The sweep goes on without you. Watch it: make sweep again. Stop it: make cancel")
        sys.exit(INTERRUPTED)
    store.mark_ended_sweeps(engine)
    _remove_surplus_lists(engine, stored_sweep.sweep_id)
    proposals = store.sweep_proposals(engine, stored_sweep.sweep_id)
    blends = asked_blends(spec, trials, stored_sweep.protocol)
    end = judge_end(asked_configs(spec, trials, proposals), trials, blends.impossible)
    of_growth = [*search_end(spec, trials, proposals), *end_lines(spec, trials)]
    if importance := importance_of(spec, trials, proposals):
        of_growth.append(str(importance))
    _print_end(engine, artifact_root, endpoints, stored_sweep, end, of_growth)


@click.command()
@SWEEP_OPTION
def cancel(sweep_name: str | None) -> None:
    """Stop the latest sweep, its refits and refreshes of its data set: queued trials never start."""
    engine, _ = open_store()
    stored_sweep = require_sweep(engine, sweep_name)
    refits = store.refits_of_sweep(engine, stored_sweep.sweep_id)
    open_refits = [refit.label for refit in refits if refit.status in ("queued", "running")]
    was_growing = store.is_growing(engine, stored_sweep.sweep_id)
    n_queued, n_running = store.cancel_sweep(engine, stored_sweep.sweep_id)
    _cancel_refreshes(engine, stored_sweep.dataset_name)
    if n_queued + n_running == 0 and not was_growing:
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


def _print_plan(spec: SweepSpec, plan: Plan) -> None:
    console.print(f"Sweep {spec.name}, {plan.n_trials} trials: {plan}")
    for config in plan.to_run:
        console.print(f"  to run: {config.label}")


def _check_room(  # noqa: PLR0917  What decides it.
    spec: SweepSpec, plan: Plan, dataset: Dataset, settings: Settings, n_workers: int, n_repeats: int
) -> None:
    """Say how many rows the trials to run will write; SpecError where the disk has no room for them."""
    n_trials, k = len(plan.to_run) + plan.n_to_choose + n_repeats, spec.protocol.k
    if not n_trials:
        return
    # Until the repeats have ended nobody knows whose lists will be kept.
    kept = None if spec.repeats else spec.lists_kept
    lists = lists_of(n_trials, dataset.n_users, k, kept=kept, n_workers=n_workers)
    console.print(f"Lists to write: {lists}")
    require_room(lists, database_folder(settings))


def _print_gone(engine: Engine, sweep_id: int) -> None:
    """Say so where a smaller `[lists] keep` of before removed what this one would keep."""
    gone = store.lists_gone(engine, sweep_id)
    if gone:
        console.print(
            f"Lists that an earlier `[lists] keep` removed stay so, those of {shortened(', '.join(gone))}: "
            "FRESH=1 makes all anew",
            style="yellow",
        )


def _remove_surplus_lists(engine: Engine, sweep_id: int) -> None:
    n_slow = store.slow_removals(engine, sweep_id)
    if n_slow:
        console.print(
            f"Removing the lists of {n_slow} trials row by row, which takes its time: the sweep began when "
            "[lists] keep was larger"
        )
    # Where somebody reads for long, the watcher does it later.
    with suppress(StoreUnavailable):
        store.remove_surplus_lists(engine)


def _print_end(  # noqa: PLR0917  What a sweep ends with.
    engine: Engine,
    artifact_root: str,
    endpoints: Endpoints,
    stored_sweep: Sweep,
    end: SweepEnd,
    of_growth: Sequence[str],
) -> None:
    print_leaderboard(engine, stored_sweep)
    for line in (*end.lines(), *of_growth):
        console.print(line)
    for trial in end.failed:
        console.print(f"failed: {trial.label}: {trial.error_reason}: {trial.error_message}", style="red")
    for reason in end.impossible:
        console.print(reason, style="red")
    print_served(engine, stored_sweep.dataset_name)
    if endpoints.flower_url:
        console.print(f"Flower:  {endpoints.flower_url}")
    if endpoints.dashboard_url:
        console.print(f"Page:    {endpoints.dashboard_url}/sweeps/{stored_sweep.sweep_id}    or: make report")
    console.print("SQL:     make psql          One user: make recommend USER=…")
    console.print(f"Models:  {artifact_root}/sweep-{stored_sweep.sweep_id}")
    if end.failed:
        console.print("`make sweep` runs the failed trials again.")
    if end.failed or end.impossible:
        sys.exit(1)
