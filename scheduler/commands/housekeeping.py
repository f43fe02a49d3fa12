"""Commands that delete what is stored."""

import click
from sqlalchemy import Engine

from scheduler.commands.connection import open_store
from scheduler.machine import clean_services
from shared import store
from shared.artifacts import delete_folder
from shared.console import confirm, console
from shared.settings import load_settings

_YES_OPTION = click.option("--yes", envvar="YES", is_flag=True, help="Do not ask.")


@click.command()
@click.option("--keep", envvar="KEEP", type=click.IntRange(min=1), default=3, help="Newest sweeps to keep.")
@_YES_OPTION
def prune(keep: int, yes: bool) -> None:
    """Delete all but the newest sweeps, with their recommendations, models and logs."""
    engine, _ = open_store()
    old = store.list_sweeps(engine)[keep:]
    if not old:
        console.print(f"Nothing to delete: there are no more than {keep} sweeps")
        return
    names = ", ".join(f"{sweep.sweep_id} ({sweep.name} of {sweep.created_at:%Y-%m-%d})" for sweep in old)
    if not yes:
        confirm(f"Delete sweeps {names}?")
    _delete(engine, [sweep.sweep_id for sweep in old])
    console.print(f"Deleted sweeps {names}")


@click.command()
@_YES_OPTION
def clean(yes: bool) -> None:
    """Stop all services and delete the results, models and caches of this machine."""
    settings = load_settings()
    if not yes:
        confirm(f"Delete all results, models and caches in {settings.state_dir}?")
    clean_services(settings)
    console.print(f"Deleted {settings.state_dir}")


def _delete(engine: Engine, sweep_ids: list[int]) -> None:
    # The rows first: files without rows are litter, rows without files are wrong.
    store.prune_sweeps(engine, sweep_ids)
    artifacts_url = load_settings().artifacts
    for sweep_id in sweep_ids:
        delete_folder(f"{artifacts_url}/sweep-{sweep_id}")
