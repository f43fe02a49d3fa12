"""Commands that delete what is stored."""

import click

from scheduler.commands.connection import open_store
from scheduler.machine import clean_services
from shared import store
from shared.artifacts import delete_folder
from shared.console import confirm, console
from shared.settings import load_settings
from shared.store import OldSweep

YES_OPTION = click.option("--yes", envvar="YES", is_flag=True, help="Do not ask.")


@click.command()
@click.option("--keep", envvar="KEEP", type=click.IntRange(min=1), default=3, help="Newest sweeps to keep.")
@YES_OPTION
def prune(keep: int, yes: bool) -> None:
    """Delete all but the newest sweeps of each data set, with their recommendations, models and logs."""
    engine, _ = open_store()
    old = store.old_sweeps(engine, keep)
    for sweep in old:
        if sweep.kept_because:
            console.print(f"Sweep {_describe(sweep)} is kept: {sweep.kept_because}")
    doomed = [sweep for sweep in old if not sweep.kept_because]
    if not doomed:
        console.print(f"Nothing to delete: no {'other ' if old else ''}sweep is older than the newest {keep}")
        return
    names = ", ".join(_describe(sweep) for sweep in doomed)
    if not yes:
        confirm(f"Delete sweeps {names}?")
    # The rows first: files without rows are litter, rows without files are wrong.
    sweep_ids = [sweep.sweep_id for sweep in doomed]
    log_urls = store.prune_sweeps(engine, sweep_ids)
    artifacts_url = load_settings().artifacts
    delete_sweep_folders(store.artifact_root(engine, artifacts_url), artifacts_url, sweep_ids, log_urls)
    console.print(f"Deleted sweeps {names}")


@click.command()
@YES_OPTION
def clean(yes: bool) -> None:
    """Stop all services and delete the results, models and caches of this machine."""
    settings = load_settings()
    if not yes:
        confirm(f"Delete all results, models and caches in {settings.state_dir}?")
    clean_services(settings)
    console.print(f"Deleted {settings.state_dir}")


def delete_sweep_folders(
    artifact_root: str, artifacts_url: str, sweep_ids: list[int], log_urls: list[str]
) -> None:
    """Remove what the trials of pruned sweeps left: their folders, and those of version 0.1 that rows named.

    Version 0.1 put the files of all databases into one folder: only what `log_urls` name is surely ours.
    """
    for sweep_id in sweep_ids:
        delete_folder(f"{artifact_root}/sweep-{sweep_id}")
    for log_url in log_urls:
        if log_url.startswith(f"{artifacts_url}/sweep-"):
            delete_folder(log_url.rpartition("/attempt-")[0])


def _describe(sweep: OldSweep) -> str:
    return f"{sweep.sweep_id} ({sweep.name} on {sweep.dataset_name}, {sweep.created_at:%Y-%m-%d})"
